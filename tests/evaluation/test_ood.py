import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import scipy.spatial.distance
import sklearn.covariance
import sklearn.metrics
import sklearn.neighbors
from hypothesis import given, settings
from hypothesis import strategies as st

from assay import files
from assay.errors import AssayError
from assay.evaluation import ood

RNG = np.random.default_rng(0)


def drawn(n: int, seed: int = 0, d: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Features of three classes, and the classes."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    return (rng.normal(0, 1, (n, d)) + 6 * np.eye(d)[labels]).astype(np.float32), labels


def pictures(n: int, seed: int = 0, channels: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    scene = np.repeat(np.repeat(rng.integers(40, 220, (n, 4, 4, channels)), 4, axis=1), 4, axis=2)
    return (scene + rng.integers(-4, 5, scene.shape)).clip(0, 255).astype(np.uint8)


def answered(known: ood.Reference, limits: ood.Limits, features: np.ndarray) -> np.ndarray:
    return ood.ratios(known, limits, features, seen(len(features)))


def seen(n: int, seed: int = 0, channels: int = 1) -> np.ndarray:
    return ood.properties(pictures(n, seed, channels))


def reference(n: int = 400) -> ood.Reference:
    features, labels = drawn(n)
    return ood.fit(features, labels, np.array([f"{at:064x}".encode() for at in range(n)]), seen(n))


def test_scores_are_those_of_sklearn_and_scipy() -> None:
    """To the digits of float64, so that threads and how many are asked about at once decide nothing that is said."""
    known, (features, _) = reference(), drawn(50, seed=1)
    knn, mahalanobis = ood.scores(known, features)
    neighbours = sklearn.neighbors.NearestNeighbors(n_neighbors=10, metric="cosine")
    theirs = neighbours.fit(known.features.astype(np.float64)).kneighbors(features)[0][:, -1]
    np.testing.assert_allclose(knn, theirs, atol=1e-12)
    distances = scipy.spatial.distance.cdist(features, known.means, "mahalanobis", VI=known.precision.astype(float))
    np.testing.assert_allclose(mahalanobis, distances.min(axis=1) ** 2, rtol=1e-10)
    alone = [ood.scores(known, features[[place]]) for place in range(len(features))]
    np.testing.assert_allclose(np.squeeze(alone).T, [knn, mahalanobis], rtol=1e-10)


def test_precision_is_that_of_the_shrunk_covariance_around_the_classes() -> None:
    features, labels = drawn(400)
    centred = np.concatenate([features[labels == k] - features[labels == k].mean(axis=0) for k in range(3)])
    theirs = sklearn.covariance.ShrunkCovariance(assume_centered=True, shrinkage=ood.SHRINKAGE).fit(centred)
    np.testing.assert_allclose(reference().precision, theirs.precision_, rtol=1e-3, atol=1e-4)


def test_far_features_are_found_by_one_score_or_the_other() -> None:
    known, (val, _) = reference(), drawn(300, seed=2)
    limits = ood.limits(known, val)
    test, longer, turned = drawn(300, seed=3)[0], 3 * drawn(50, seed=4)[0], np.roll(drawn(50, seed=5)[0], 4, axis=1)
    share = [float((answered(known, limits, each)[:, :2].max(axis=1) > 1).mean()) for each in (test, longer, turned)]
    assert share[0] < 0.12  # each lets 95 % pass
    assert share[1] > 0.95  # kNN cannot see the length: its own share is below that
    assert share[2] > 0.95
    assert (ood.scores(known, longer)[0] > limits.knn_threshold).mean() < 0.5


def test_thresholds_let_19_of_20_validation_images_pass_and_few_are_said() -> None:
    known = reference()
    for n, is_rough in ((99, True), (100, False)):
        val = drawn(n, seed=6)[0]
        limits = ood.limits(known, val)
        assert (ood.scores(known, val)[0] > limits.knn_threshold).mean() == pytest.approx(0.05, abs=0.011)
        assert ("roughly" in limits.note) == is_rough
    none = ood.limits(known, np.empty((0, 8), np.float32))
    assert none.note == "no validation image to tell by"
    assert not ood.verdict(answered(known, none, drawn(1)[0])[0]).is_unlike


def test_thresholds_do_not_depend_on_the_order_in_which_a_processor_adds_up() -> None:
    features, labels = drawn(400, d=64)
    known = ood.fit(features, labels, np.arange(400).astype("S64"), np.zeros((400, 5)))
    val, order = drawn(150, seed=6, d=64)[0], np.random.default_rng(0).permutation(64)
    parts = {"features": known.features[:, order], "means": known.means[:, order]}
    other = replace(known, **parts, precision=known.precision[np.ix_(order, order)])
    assert (ood.scores(known, val)[1] != ood.scores(other, val[:, order])[1]).any()
    assert ood.limits(known, val) == ood.limits(other, val[:, order])


def test_feature_that_is_no_number_is_unlike_anything() -> None:
    known, features = reference(), drawn(3)[0]
    features[1, 2] = np.nan
    knn, mahalanobis = ood.scores(known, features)
    assert np.isinf(knn).tolist() == np.isinf(mahalanobis).tolist() == [False, True, False]
    limits = ood.limits(known, drawn(100, seed=2)[0])
    assert ood.verdict(answered(known, limits, features)[1]).is_unlike
    assert ood.fit(features, np.zeros(3, int), np.array([b""] * 3), seen(3)).features.shape == (2, 8)
    with pytest.raises(AssayError, match="none of 1 train images has finite ones"):
        ood.fit(features[1:2], np.zeros(1, int), np.array([b""]), seen(1))


@pytest.mark.parametrize("scale", [1e-9, 1e5, 1e6, 1e12])
def test_features_that_float16_cannot_hold_are_told_by_their_direction(scale: float) -> None:
    features, labels = drawn(400)
    known = ood.fit(features * np.float32(scale), labels, np.arange(400).astype("S64"), seen(400))
    val, ordinary = drawn(100, seed=2)[0], reference()
    assert np.isfinite(known.features).all()
    np.testing.assert_allclose(ood.scores(known, val * scale)[0], ood.scores(ordinary, val)[0], atol=2e-3)
    limits = ood.limits(known, val * scale)
    assert limits.note.startswith("95 % of 100 validation images")
    assert limits.knn_threshold == pytest.approx(ood.limits(ordinary, val).knn_threshold, abs=2e-3)


def test_features_that_float16_holds_are_kept_as_they_are() -> None:
    features, labels = drawn(400)
    np.testing.assert_array_equal(reference().features, features.astype(np.float16))
    features[:2], features[2] = [[65504] + [1] * 7, [1e-4] + [0] * 7], 0
    known = ood.fit(features, labels, np.arange(400).astype("S64"), seen(400))
    np.testing.assert_array_equal(known.features, features.astype(np.float16))


def test_endless_features_are_refused_and_no_limit_is_no_number(tmp_path: Path) -> None:
    features, labels = drawn(10)
    with pytest.raises(AssayError, match="none of 10 train images has finite ones, of at most 1e\\+15; look at"):
        ood.fit(features * np.float32(1e20), labels, np.array([b""] * 10), seen(10))
    none = ood.limits(reference(), np.full((2, 8), np.nan, np.float32))
    files.write_json(tmp_path / "limits.json", asdict(none))
    assert ood.Limits(**files.read_json(tmp_path / "limits.json")) == none


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("dark", lambda images: images // 40),
        ("bright", lambda images: 255 - images // 40),
        ("washed out", lambda images: 128 + images // 60),
        ("blurred", lambda images: images.mean(axis=(1, 2), keepdims=True) + np.linspace(-40, 40, 16)[:, None]),
        ("noisy", lambda images: RNG.integers(0, 256, images.shape)),
    ],
)
def test_odd_picture_is_named_for_what_is_odd(name: str, change: object, channels: int) -> None:
    features, labels = drawn(200)
    known = ood.fit(features, labels, np.array([b""] * 200), seen(200, channels=channels))
    limits = ood.limits(known, drawn(200, seed=1)[0])
    odd = np.broadcast_to(change(pictures(5, 9, channels)), (5, 16, 16, channels)).astype(np.uint8)  # type: ignore[operator]
    for found in ood.verdicts(known, limits, known.means[[0] * 5], odd):
        assert found.is_unlike
        assert found.score > 1
        assert any(reason.startswith(f"{name}: ") for reason in found.reasons), found.reasons
    same = ood.verdicts(known, limits, known.means[[0] * 40], pictures(40, 8, channels))
    assert not any(found.is_unlike for found in same)


def test_nearest_train_images_are_those_of_brute_force() -> None:
    known, (features, _) = reference(), drawn(20, seed=7)
    places, cosines = ood.nearest(known, features, 3)
    likeness = sklearn.metrics.pairwise.cosine_similarity(features, known.features.astype(np.float32))
    np.testing.assert_allclose(cosines, -np.sort(-likeness, axis=1)[:, :3], atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(likeness, places, axis=1), cosines, atol=1e-5)


def test_multi_label_sets_have_one_middle() -> None:
    features, _ = drawn(100)
    known = ood.fit(features, RNG.integers(0, 2, (100, 4)), np.array([b""] * 100), seen(100))
    assert known.means.shape == (1, 8)
    assert np.isfinite(ood.scores(known, features)[1]).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 30), st.integers(1, 40), st.integers(0, 2**32))
def test_few_images_many_features_and_constant_ones_give_finite_scores(n: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, d)).astype(np.float32)
    features[:, 0] = 0
    known = ood.fit(features, rng.integers(0, 2, n), np.array([b""] * n), seen(n))
    knn, mahalanobis = ood.scores(known, rng.normal(size=(5, d)).astype(np.float32))
    assert np.isfinite(knn).all()
    assert np.isfinite(mahalanobis).all()
    assert ((knn >= -1e-6) & (knn <= 2 + 1e-6)).all()


def test_file_is_read_as_it_was_written_and_has_the_same_bytes_again(tmp_path: Path) -> None:
    known = reference(30)
    ood.write(tmp_path / "a.npz", known)
    again = ood.read(tmp_path / "a.npz")
    for name, value in vars(known).items():
        np.testing.assert_array_equal(getattr(again, name), value)
    ood.write(tmp_path / "b.npz", again)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_what_answers_users_does_not_pay_for_pandas_or_tensorflow() -> None:
    heavy = "{'pandas', 'sklearn', 'scipy', 'tensorflow', 'keras'}"
    code = f"import sys, assay.evaluation.ood; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
