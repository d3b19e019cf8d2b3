import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from assay import metrics
from assay.labels import Task


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


def marks(*numbers: int, n_classes: int) -> np.ndarray:
    return metrics.one_hot(np.array(numbers), n_classes)


def overall(actual: np.ndarray, probabilities: np.ndarray, task: Task = "single_label") -> dict[str, float]:
    return metrics.overall(actual, probabilities, task, confidence=0.95, n_bins=10)


def test_two_by_two_scores_are_those_by_hand() -> None:
    actual, predicted = marks(0, 0, 0, 1, 1, n_classes=2), marks(0, 0, 1, 1, 0, n_classes=2)
    assert metrics.confusion(actual, predicted).tolist() == [[2, 1], [1, 1]]
    first, second = metrics.by_class(actual, predicted, predicted.astype(float), 0.95)
    assert (second.n, second.n_named, second.n_found) == (2, 2, 1)
    assert (second.precision_low, second.precision_high) == metrics.wilson(1, 2, 0.95)
    assert (first.n, first.precision, first.recall, first.f1) == pytest.approx((3, 2 / 3, 2 / 3, 2 / 3))
    assert (second.n, second.precision, second.recall, second.f1) == pytest.approx((2, 1 / 2, 1 / 2, 1 / 2))


def test_all_correct_and_sure_is_perfect() -> None:
    found = overall(marks(0, 1, 2, n_classes=3), np.eye(3))
    perfect = ("accuracy", "accuracy_high", "macro_f1", "macro_f1_low", "macro_f1_high", "balanced_accuracy")
    for name in (*perfect, "min_class_recall", "auc", "average_precision"):
        assert found[name] == pytest.approx(1), name
    assert found["log_loss"] == pytest.approx(0)
    assert found["calibration_error"] == 0
    assert found["baseline_accuracy"] == pytest.approx(1 / 3)


def test_class_that_is_never_found_shows_in_the_worst_recall_and_not_in_the_accuracy() -> None:
    found = overall(marks(*[0] * 9, 1, n_classes=2), np.tile([0.9, 0.1], (10, 1)))
    assert found["accuracy"] == found["baseline_accuracy"] == pytest.approx(0.9)
    assert found["min_class_recall"] == 0
    assert found["calibration_error"] == pytest.approx(0)


def test_class_without_a_test_image_has_no_part_in_the_means() -> None:
    actual = marks(0, 1, n_classes=3)
    found = overall(actual, np.eye(3)[:2])
    assert found["macro_f1"] == found["min_class_recall"] == found["macro_f1_low"] == 1
    absent = metrics.by_class(actual, actual, np.eye(3)[:2], 0.95)[2]
    assert (absent.n, absent.recall, absent.f1, absent.auc, absent.average_precision) == (0, 0, 0, None, None)


def test_one_image_gives_finite_numbers_and_no_area_under_the_curve() -> None:
    found = overall(marks(1, n_classes=2), np.array([[0.25, 0.75]]))
    assert not {"auc", "average_precision"} & set(found)
    assert found["log_loss"] == pytest.approx(-np.log(0.75))
    assert found["calibration_error"] == pytest.approx(0.25)
    assert np.isfinite(list(found.values())).all()


def test_calibration_bins_are_those_by_hand() -> None:
    probabilities = np.array([[0.95, 0.05], [0.91, 0.09], [0.4, 0.6], [0.0, 1.0]])
    low, high = metrics.calibration(marks(0, 1, 1, 1, n_classes=2), probabilities, "single_label", 5)
    assert (low.confidence, low.accuracy, low.n) == pytest.approx((0.6, 1, 1))
    assert (high.confidence, high.accuracy, high.n) == pytest.approx((2.86 / 3, 2 / 3, 3))
    assert metrics.calibration_error([low, high]) == pytest.approx(0.4 / 4 + 0.75 * (2.86 / 3 - 2 / 3))


@settings(max_examples=30, deadline=None)
@given(answers())
def test_scores_agree_with_sklearn(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    labels, probabilities = drawn
    n_classes = probabilities.shape[1]
    predicted = probabilities.argmax(axis=1)
    actual, named = metrics.one_hot(labels, n_classes), metrics.named(probabilities, "single_label")
    found = overall(actual, probabilities)
    present = np.unique(labels)
    assert found["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(labels, predicted))
    assert found["macro_f1"] == pytest.approx(
        sklearn.metrics.f1_score(labels, predicted, labels=present, average="macro", zero_division=0)
    )
    assert found["balanced_accuracy"] == pytest.approx(
        sklearn.metrics.recall_score(labels, predicted, labels=present, average="macro")
    )
    precision, recall, f1, n = sklearn.metrics.precision_recall_fscore_support(
        labels, predicted, labels=range(n_classes), zero_division=0
    )
    np.testing.assert_array_equal(
        metrics.confusion(actual, named), sklearn.metrics.confusion_matrix(labels, predicted, labels=range(n_classes))
    )
    scores = metrics.by_class(actual, named, probabilities, 0.95)
    found_by_class = [(score.precision, score.recall, score.f1, score.n) for score in scores]
    np.testing.assert_allclose(np.array(found_by_class).T, [precision, recall, f1, n])


@settings(max_examples=30, deadline=None)
@given(answers())
def test_the_order_of_the_images_does_not_matter(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    labels, probabilities = drawn
    order = np.random.default_rng(0).permutation(len(labels))
    actual = metrics.one_hot(labels, probabilities.shape[1])
    one, other = overall(actual, probabilities), overall(actual[order], probabilities[order])
    for name in one:  # the same images in another order are other resamples
        if name.startswith("accuracy") or not name.endswith(("_low", "_high")):
            assert other[name] == pytest.approx(one[name]), name


@settings(max_examples=30, deadline=None)
@given(answers(), st.integers(1, 20))
def test_every_image_is_in_one_bin_and_the_error_is_a_share(drawn: tuple[np.ndarray, np.ndarray], n_bins: int) -> None:
    bins = metrics.calibration(metrics.one_hot(drawn[0], drawn[1].shape[1]), drawn[1], "single_label", n_bins)
    assert sum(found.n for found in bins) == len(drawn[0])
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


# Multi-label


@st.composite
def sets(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Classes bool [N, K] of up to 40 images, at least one of them in a class, and probabilities [N, K]."""
    n, k = draw(st.integers(1, 40)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    actual = rng.random((n, k)) < draw(st.floats(0.05, 0.95))
    actual[0, 0] = True
    return actual, rng.random((n, k)).round(draw(st.integers(1, 6)))


@settings(max_examples=20, deadline=None)
@given(sets())
def test_multi_label_scores_agree_with_sklearn(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    actual, probabilities = drawn
    predicted = probabilities >= 0.5
    found, present = overall(actual, probabilities, "multi_label"), actual.any(axis=0)
    scores = metrics.by_class(actual, predicted, probabilities, 0.95)
    of_each = [(actual[:, k], predicted[:, k]) for k in range(actual.shape[1])]  # scikit-learn takes [N, 1] for binary
    f1 = np.array([sklearn.metrics.f1_score(*pair, zero_division=0) for pair in of_each])
    recall = np.array([sklearn.metrics.recall_score(*pair, zero_division=0) for pair in of_each])
    expected = {
        "accuracy": sklearn.metrics.accuracy_score(actual, predicted),
        "macro_f1": np.mean(f1[present]),
        "micro_f1": sklearn.metrics.f1_score(actual.ravel(), predicted.ravel()),
        "hamming_loss": sklearn.metrics.hamming_loss(actual, predicted),
        "min_class_recall": min(recall[present]),
        "log_loss": sklearn.metrics.log_loss(actual.ravel(), probabilities.ravel(), labels=[0, 1]),
    }
    varied = [k for k in range(actual.shape[1]) if 0 < actual[:, k].sum() < len(actual)]
    if varied:
        areas = (sklearn.metrics.roc_auc_score, sklearn.metrics.average_precision_score)
        for name, score in zip(("auc", "average_precision"), areas, strict=True):
            expected[name] = score(actual[:, varied], probabilities[:, varied], average="macro")
            own = [getattr(scores[k], name) for k in varied]
            np.testing.assert_allclose(own, [score(actual[:, k], probabilities[:, k]) for k in varied])
    assert {name: found.get(name) for name in expected} == pytest.approx(expected)
    assert "balanced_accuracy" not in found
    np.testing.assert_allclose([score.f1 for score in scores], f1)
    counts = [sklearn.metrics.confusion_matrix(*pair, labels=[False, True]) for pair in of_each]
    found_counts = [
        [[len(actual) - s.n - s.n_named + s.n_found, s.n_named - s.n_found], [s.n - s.n_found, s.n_found]]
        for s in scores
    ]
    np.testing.assert_array_equal(found_counts, counts)


def test_dead_class_shows_in_the_worst_recall_and_not_in_the_share_of_right_decisions() -> None:
    actual = np.zeros((100, 3), bool)
    actual[:60, 0] = actual[20:80, 1] = actual[:3, 2] = True
    found = overall(actual, np.where(actual, 0.9, 0.1) * [1, 1, 0], "multi_label")
    assert found["hamming_loss"] == pytest.approx(0.01)
    assert found["min_class_recall"] == 0
    assert found["accuracy"] == pytest.approx(0.97)


def test_baseline_is_the_commonest_set_of_classes() -> None:
    actual = np.array([[1, 1], [1, 1], [0, 1], [0, 0]], bool)
    assert overall(actual, actual.astype(float), "multi_label")["baseline_accuracy"] == 0.5


def test_multi_label_calibration_bins_are_those_by_hand() -> None:
    actual, probabilities = np.array([[True, False], [False, True]]), np.array([[0.75, 0.1], [0.7, 0.2]])
    low, high = metrics.calibration(actual, probabilities, "multi_label", 2)
    assert (low.confidence, low.accuracy, low.n) == pytest.approx((0.15, 0.5, 2))
    assert (high.confidence, high.accuracy, high.n) == pytest.approx((0.725, 0.5, 2))


def test_bootstrap_interval_of_a_share_is_that_of_wilson_on_many_images() -> None:
    """Where every image is in the only class, a recall of r is an F1 of 2 r / (1 + r)."""
    actual = np.ones((2000, 1), bool)
    predicted = (np.arange(2000) < 1400)[:, None]
    low, high = metrics.intervals(actual, predicted, 0.95)["micro_f1"]
    expected = [2 * share / (1 + share) for share in metrics.wilson(1400, 2000, 0.95)]
    assert (low, high) == pytest.approx(expected, abs=0.003)
    wrong = metrics.intervals(actual, predicted, 0.95)["hamming_loss"]
    assert wrong == pytest.approx(metrics.wilson(600, 2000, 0.95), abs=0.003)


def test_bootstrap_agrees_with_scipy() -> None:
    rng = np.random.default_rng(5)
    actual = rng.random((150, 3)) < 0.4
    predicted = actual ^ (rng.random((150, 3)) < 0.2)

    def macro(rows: np.ndarray) -> float:
        return float(sklearn.metrics.f1_score(actual[rows], predicted[rows], average="macro"))

    theirs = scipy.stats.bootstrap(
        (np.arange(150),), macro, n_resamples=300, method="percentile", vectorized=False, rng=rng
    ).confidence_interval
    assert metrics.intervals(actual, predicted, 0.95)["macro_f1"] == pytest.approx((theirs.low, theirs.high), abs=0.015)


def test_interval_covers_what_it_should_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    n_covered = 0
    for _ in range(60):
        actual = rng.random((200, 3)) < [0.5, 0.3, 0.2]
        predicted = np.where(rng.random(actual.shape) < 0.9, actual, ~actual)
        low, high = metrics.intervals(actual, predicted, 0.9)["macro_f1"]
        # Of a class with share s: 0.9 s found, 0.1 (1 - s) wrongly named.
        truth = np.mean([1.8 * s / (s + 0.9 * s + 0.1 * (1 - s)) for s in (0.5, 0.3, 0.2)])
        n_covered += int(low <= truth <= high)
    assert 46 <= n_covered <= 60  # 54 are expected; fewer than 46 come by chance once in 1,000
