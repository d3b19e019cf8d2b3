import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from assay import metrics


@st.composite
def answers(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels [N] and probabilities [N, K] of up to 40 images and 4 classes."""
    n, k = draw(st.integers(1, 40)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return rng.integers(0, k, n), rng.dirichlet(np.full(k, 0.5), n)


# R. G. Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3.
@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_is_the_published_one(right: int, n: int, low: float, high: float) -> None:
    assert metrics.wilson(right, n, 0.95) == pytest.approx((low, high), abs=5e-5)


def test_wilson_interval_of_no_images_is_everything() -> None:
    assert metrics.wilson(0, 0, 0.95) == (0.0, 1.0)


def test_two_by_two_scores_are_those_by_hand() -> None:
    counts = metrics.confusion(np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 0]), 2)
    assert counts.tolist() == [[2, 1], [1, 1]]
    first, second = metrics.by_class(counts, 0.95)
    assert (first.n, first.precision, first.recall, first.f1) == pytest.approx((3, 2 / 3, 2 / 3, 2 / 3))
    assert (second.n, second.precision, second.recall, second.f1) == pytest.approx((2, 1 / 2, 1 / 2, 1 / 2))


def test_all_correct_and_sure_is_perfect() -> None:
    labels = np.array([0, 1, 2])
    found = metrics.overall(labels, np.eye(3), confidence=0.95, n_bins=10)
    for name in ("accuracy", "accuracy_high", "macro_f1", "balanced_accuracy", "min_class_recall", "auc"):
        assert found[name] == pytest.approx(1), name
    assert found["log_loss"] == pytest.approx(0)
    assert found["calibration_error"] == 0
    assert found["baseline_accuracy"] == pytest.approx(1 / 3)


def test_class_that_is_never_found_shows_in_the_worst_recall_and_not_in_the_accuracy() -> None:
    labels = np.array([0] * 9 + [1])
    found = metrics.overall(labels, np.tile([0.9, 0.1], (10, 1)), confidence=0.95, n_bins=10)
    assert found["accuracy"] == found["baseline_accuracy"] == pytest.approx(0.9)
    assert found["min_class_recall"] == 0
    assert found["calibration_error"] == pytest.approx(0)


def test_class_without_a_test_image_has_no_part_in_the_means() -> None:
    found = metrics.overall(np.array([0, 1]), np.eye(3)[:2], confidence=0.95, n_bins=10)
    assert found["macro_f1"] == found["min_class_recall"] == 1
    assert metrics.by_class(metrics.confusion(np.array([0, 1]), np.array([0, 1]), 3), 0.95)[2].n == 0


def test_one_image_gives_finite_numbers_and_no_area_under_the_curve() -> None:
    found = metrics.overall(np.array([1]), np.array([[0.25, 0.75]]), confidence=0.95, n_bins=10)
    assert "auc" not in found
    assert found["log_loss"] == pytest.approx(-np.log(0.75))
    assert found["calibration_error"] == pytest.approx(0.25)
    assert np.isfinite(list(found.values())).all()


def test_calibration_bins_are_those_by_hand() -> None:
    probabilities = np.array([[0.95, 0.05], [0.91, 0.09], [0.4, 0.6], [0.0, 1.0]])
    low, high = metrics.calibration(np.array([0, 1, 1, 1]), probabilities, 5)
    assert (low.confidence, low.accuracy, low.n_images) == pytest.approx((0.6, 1, 1))
    assert (high.confidence, high.accuracy, high.n_images) == pytest.approx((2.86 / 3, 2 / 3, 3))
    assert metrics.calibration_error([low, high]) == pytest.approx(0.4 / 4 + 0.75 * (2.86 / 3 - 2 / 3))


@settings(max_examples=30, deadline=None)
@given(answers())
def test_scores_agree_with_sklearn(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    labels, probabilities = drawn
    predicted = probabilities.argmax(axis=1)
    found = metrics.overall(labels, probabilities, confidence=0.95, n_bins=10)
    present = np.unique(labels)
    assert found["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(labels, predicted))
    assert found["macro_f1"] == pytest.approx(
        sklearn.metrics.f1_score(labels, predicted, labels=present, average="macro", zero_division=0)
    )
    assert found["balanced_accuracy"] == pytest.approx(
        sklearn.metrics.recall_score(labels, predicted, labels=present, average="macro")
    )
    precision, recall, f1, n = sklearn.metrics.precision_recall_fscore_support(
        labels, predicted, labels=range(probabilities.shape[1]), zero_division=0
    )
    scores = metrics.by_class(metrics.confusion(labels, predicted, probabilities.shape[1]), 0.95)
    found_by_class = [(score.precision, score.recall, score.f1, score.n) for score in scores]
    np.testing.assert_allclose(np.array(found_by_class).T, [precision, recall, f1, n])


@settings(max_examples=30, deadline=None)
@given(answers())
def test_the_order_of_the_images_does_not_matter(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    labels, probabilities = drawn
    order = np.random.default_rng(0).permutation(len(labels))
    one = metrics.overall(labels, probabilities, confidence=0.95, n_bins=10)
    assert metrics.overall(labels[order], probabilities[order], confidence=0.95, n_bins=10) == pytest.approx(one)


@settings(max_examples=30, deadline=None)
@given(answers(), st.integers(1, 20))
def test_every_image_is_in_one_bin_and_the_error_is_a_share(drawn: tuple[np.ndarray, np.ndarray], n_bins: int) -> None:
    bins = metrics.calibration(*drawn, n_bins)
    assert sum(found.n_images for found in bins) == len(drawn[0])
    assert len(bins) <= n_bins
    assert 0 <= metrics.calibration_error(bins) <= 1


@settings(max_examples=30, deadline=None)
@given(answers())
def test_area_under_the_curve_is_the_share_of_pairs_in_order(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    labels, probabilities = drawn
    positive, scores = labels == 0, probabilities[:, 0].round(1)
    if positive.all() or not positive.any():
        return
    above = scores[positive][:, None] - scores[~positive][None, :]
    pairs = np.mean((above > 0) + 0.5 * (above == 0))
    assert metrics.auc(positive, scores) == pytest.approx(pairs)


def test_thinned_curve_rises_from_corner_to_corner() -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(5000) < 0.5
    points = metrics.roc(positive, rng.random(5000) + 0.3 * positive)
    assert points[0] == (0, 0)
    assert points[-1] == (1, 1)
    assert points == sorted(points)
    assert len(points) == metrics.ROC_POINTS


def test_short_curve_keeps_every_corner() -> None:
    points = metrics.roc(np.array([False, False, True, True]), np.array([0.1, 0.4, 0.35, 0.8]))
    assert points == [(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)]
