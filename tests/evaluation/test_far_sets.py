import numpy as np
import pytest
import scipy.stats

from assay.evaluation import far_sets


@pytest.mark.parametrize("shape", [(16, 16, 1), (20, 12, 3), (40, 60, 3)])
def test_far_sets_have_the_shape_of_the_images_and_are_the_same_again(shape: tuple[int, int, int]) -> None:
    images = np.random.default_rng(0).integers(0, 255, (7, *shape), np.uint8)
    found, again = far_sets.build(images, ["cat", "dog"]), far_sets.build(images, ["cat", "dog"])
    assert set(found) == {"noise", "inverted", "photos", "digits"}
    for name, pictures in found.items():
        assert pictures.dtype == np.uint8
        assert pictures.shape == (7 if name == "inverted" else far_sets.N_IMAGES, *shape)
        np.testing.assert_array_equal(pictures, again[name])
    np.testing.assert_array_equal(found["inverted"].astype(int) + images, 255)


def test_pieces_of_photos_differ_and_digits_are_no_far_set_of_digits() -> None:
    found = far_sets.build(np.zeros((1, 8, 8, 1), np.uint8), list("0123456789"))
    assert "digits" not in found
    assert len({each.tobytes() for each in found["photos"]}) > far_sets.N_IMAGES * 0.9
    assert found["photos"].std() > 20


def test_separation_is_the_share_of_pairs_in_order() -> None:
    rng = np.random.default_rng(1)
    near, far = rng.normal(0, 1, 80), rng.normal(1, 1, 60)
    theirs = scipy.stats.mannwhitneyu(far, near).statistic / (80 * 60)
    assert far_sets.separation(near, far) == pytest.approx(theirs)
    assert far_sets.separation(near, np.array([np.inf, np.nan])) == 1
