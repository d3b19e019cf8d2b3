import io
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from scipy.ndimage import gaussian_filter

from assay.ingestion import near_duplicates

NONE = np.empty((0, 2), np.int64)


def test_group_is_the_smallest_index_that_pairs_lead_to() -> None:
    assert near_duplicates.groups(7, np.array([[1, 4], [2, 5], [4, 6]])).tolist() == [0, 1, 2, 3, 1, 2, 1]
    assert near_duplicates.groups(3, NONE).tolist() == [0, 1, 2]
    assert near_duplicates.groups(0, NONE).tolist() == []


def picture(seed: int) -> Image.Image:
    """Return a photo-like picture: smooth random shapes, 96 x 96 px."""
    shapes = gaussian_filter(np.random.default_rng(seed).normal(size=(96, 96)), 6)
    return Image.fromarray((127 + 60 * shapes / shapes.std()).clip(0, 230).astype(np.uint8))


def cell(seed: int) -> Image.Image:
    """Return one of a uniform set: the same plate with the same bars, and two faint spots of its own."""
    random, shown = np.random.default_rng(seed), np.full((96, 96), 180.0)
    shown[:, 24:28] = shown[:, 68:72] = 60
    down, right = np.mgrid[:96, :96]
    for y, x in random.integers(12, 84, (2, 2)):
        shown -= 50 * np.exp(-((down - y) ** 2 + (right - x) ** 2) / 60)
    return Image.fromarray((shown + random.normal(0, 3, shown.shape)).clip(0, 255).astype(np.uint8))


def thumbnail(shown: Image.Image) -> np.ndarray:
    return np.asarray(shown.resize((32, 32), Image.Resampling.BILINEAR))


def resaved(shown: Image.Image) -> Image.Image:
    content = io.BytesIO()
    shown.save(content, "JPEG", quality=60)
    return Image.open(content)


def noisy(shown: Image.Image) -> Image.Image:
    pixels = np.asarray(shown) + np.random.default_rng(0).normal(0, 8, (96, 96))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


CHANGES = {
    "resaved": resaved,
    "resized": lambda shown: shown.resize((77, 77)),
    "cropped": lambda shown: shown.resize((96, 96), box=(1.5, 1.5, 94.5, 94.5)),
    "brightened": lambda shown: shown.point(lambda value: round(value * 1.1)),
    "lifted": lambda shown: shown.point(lambda value: value + 20),
    "blurred": lambda shown: shown.filter(ImageFilter.GaussianBlur(1)),
    "noisy": noisy,
    "shifted": lambda shown: shown.transform((96, 96), Image.Transform.AFFINE, (1, 0, 2, 0, 1, 2)),
}


@pytest.mark.parametrize("draw", [picture, cell])
def test_copies_are_confirmed_and_other_pictures_of_the_set_are_not(draw: Callable[[int], Image.Image]) -> None:
    shown = [draw(seed) for seed in range(40)]
    pure = np.stack([thumbnail(one) for one in shown])
    threshold = near_duplicates.calibrate(pure, seed=0)
    others = np.array([(i, j) for i in range(40) for j in range(i + 1, 40)])
    assert (near_duplicates.distance(pure, others) > threshold).all()
    copies = np.stack([np.arange(40), np.arange(40, 80)], axis=1)
    for name, change in CHANGES.items():
        thumbnails = np.concatenate([pure, [thumbnail(change(one)) for one in shown]])
        assert (near_duplicates.distance(thumbnails, copies) <= threshold).mean() >= 0.95, name


def test_negative_and_mirror_image_are_no_copies() -> None:
    shown = thumbnail(picture(0))
    thumbnails = np.stack([shown, 255 - shown, shown[:, ::-1]])
    assert (near_duplicates.distance(thumbnails, np.array([[0, 1], [0, 2]])) > near_duplicates.MOST).all()


def test_blank_images_are_copies_of_each_other_and_of_nothing_else() -> None:
    thumbnails = np.stack([np.full((32, 32), 0), np.full((32, 32), 200), thumbnail(picture(0))]).astype(np.uint8)
    assert near_duplicates.distance(thumbnails, np.array([[0, 1], [0, 2], [1, 2]])) == pytest.approx(
        [0, 1, 1], abs=0.01
    )


def test_no_pairs_have_no_distance() -> None:
    assert near_duplicates.distance(np.zeros((1, 32, 32), np.uint8), NONE).shape == (0,)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_distance_is_in_range_and_the_same_from_both_sides(left: int, right: int) -> None:
    thumbnails = np.stack([thumbnail(picture(left)), thumbnail(picture(right))])
    there, back = near_duplicates.distance(thumbnails, np.array([[0, 1], [1, 0]]))
    assert 0 <= there <= 1
    assert there == pytest.approx(back, rel=1e-3, abs=1e-6)


def plate(seed: int) -> Image.Image:
    """Return one of a set that is more uniform still: the same spots, each two or three pixels from where it was."""
    random, shown = np.random.default_rng(seed), np.full((96, 96), 180.0)
    down, right = np.mgrid[:96, :96]
    for y, x in np.array([(20, 30), (60, 25), (40, 70), (80, 75)]) + random.normal(0, 2.5, (4, 2)):
        shown -= 80 * np.exp(-((down - y) ** 2 + (right - x) ** 2) / 90)
    return Image.fromarray((shown + random.normal(0, 3, shown.shape)).clip(0, 255).astype(np.uint8))


def test_look_alikes_get_a_lower_threshold_than_pictures_of_many_things() -> None:
    uniform = near_duplicates.calibrate(np.stack([thumbnail(plate(seed)) for seed in range(120)]), seed=0)
    varied = near_duplicates.calibrate(np.stack([thumbnail(picture(seed)) for seed in range(60)]), seed=0)
    assert 0 < uniform < varied <= near_duplicates.MOST


def test_a_copy_in_a_set_does_not_spoil_its_threshold() -> None:
    pure = np.stack([thumbnail(cell(seed)) for seed in range(120)])
    copied = np.concatenate([pure, [thumbnail(resaved(cell(0)))]])
    assert near_duplicates.calibrate(copied, seed=0) == pytest.approx(near_duplicates.calibrate(pure, seed=0), rel=0.4)


@pytest.mark.slow
@pytest.mark.parametrize("draw", [picture, cell])
@pytest.mark.parametrize("copies", [1, 2, 4])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.85, 1.0])
def test_copies_of_most_images_are_not_taken_for_strangers(
    draw: Callable[[int], Image.Image], copies: int, share: float
) -> None:
    n = 60
    shown = [draw(seed) for seed in range(n)]
    pure = np.stack([thumbnail(one) for one in shown])
    doubled = np.stack([thumbnail(one.resize((77 - side, 77 - side))) for side in range(copies) for one in shown])
    which = np.flatnonzero(np.tile(np.arange(n) < share * n, copies))
    thumbnails = np.concatenate([pure, doubled[which]])
    threshold = near_duplicates.calibrate(thumbnails, seed=0)
    twins = np.stack([which % n, n + np.arange(len(which))], axis=1)
    assert (near_duplicates.distance(thumbnails, twins) <= threshold).mean() >= 0.95


@pytest.mark.parametrize("n", [0, 1, 5])
def test_set_of_equal_thumbnails_gets_the_most(n: int) -> None:
    assert near_duplicates.calibrate(np.zeros((n, 32, 32), np.uint8), seed=0) == near_duplicates.MOST
