from typing import Any

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.evaluation import intervals, metrics
from assay.labels import Task


@st.composite
def drawn(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels [N] and probabilities [N, K] of up to 40 images and 4 classes."""
    n, k = draw(st.integers(1, 40)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return rng.integers(0, k, n), rng.dirichlet(np.full(k, 0.5), n)


@st.composite
def sets(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Classes bool [N, K] of up to 40 images, at least one of them in a class, and probabilities [N, K]."""
    n, k = draw(st.integers(1, 40)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    actual = rng.random((n, k)) < draw(st.floats(0.05, 0.95))
    actual[0, 0] = True
    return actual, rng.random((n, k)).round(draw(st.integers(1, 6)))


def marks(*numbers: int, n_classes: int) -> np.ndarray:
    return metrics.one_hot(np.array(numbers), n_classes)


def measured(
    actual: np.ndarray, probabilities: np.ndarray, task: Task = "single_label", **more: Any
) -> metrics.Measured:
    return metrics.measure(metrics.answers(actual, probabilities, np.arange(len(actual)), task=task, **more), 0.95)


def values(found: metrics.Measured) -> dict[str, float]:
    return {name: estimate.value for name, estimate in found.overall.items()}


def test_two_by_two_scores_are_those_by_hand() -> None:
    actual, predicted = marks(0, 0, 0, 1, 1, n_classes=2), marks(0, 0, 1, 1, 0, n_classes=2)
    assert metrics.confusion(actual, predicted).tolist() == [[2, 1], [1, 1]]
    first, second = measured(actual, predicted.astype(float)).classes
    assert (second.n, second.n_named, second.n_found) == (2, 2, 1)
    assert (second.precision.n, second.recall.n_groups) == (2, 2)
    assert (first.n, first.precision.value, first.recall.value, first.f1.value) == pytest.approx(
        (3, 2 / 3, 2 / 3, 2 / 3)
    )
    assert (second.precision.value, second.recall.value, second.f1.value) == pytest.approx((1 / 2, 1 / 2, 1 / 2))


def test_all_correct_and_sure_is_perfect() -> None:
    found = measured(marks(0, 1, 2, n_classes=3), np.eye(3))
    perfect = ["accuracy", "f1_macro", "f1_weighted", "balanced_accuracy", "min_class_recall", "roc_auc"]
    for name in [*perfect, "average_precision", "cohen_kappa", "matthews_corrcoef"]:
        assert found.overall[name].value == pytest.approx(1), name
    assert found.overall["f1_macro"].low == pytest.approx(found.accuracy.low)
    assert found.overall["log_loss"].value == pytest.approx(0)
    assert found.overall["baseline_accuracy"].value == pytest.approx(1 / 3)


def test_few_images_that_are_all_right_leave_each_measure_open() -> None:
    """A bootstrap of them draws no error, and its interval is a point."""
    found = measured(marks(*[0] * 6, *[1] * 6, n_classes=2), np.repeat(np.eye(2), 6, axis=0))
    assert found.accuracy.low == pytest.approx(12 / (12 + 1.96**2), rel=1e-3)  # Wilson's, of 12 of 12
    for name in ("f1_macro", "f1_micro", "recall_macro", "balanced_accuracy", "precision_weighted", "cohen_kappa"):
        assert found.overall[name].low == pytest.approx(found.accuracy.low), name
        assert found.overall[name].high == 1, name


def test_rare_class_leaves_the_mean_over_classes_more_open() -> None:
    actual = marks(*[0] * 90, *[1] * 10, n_classes=2)
    found = measured(actual, actual.astype(float))
    # Weights 1 / 180 and 1 / 20 of the images: the root of 100 * (90 / 180^2 + 10 / 20^2) is 1.667.
    assert 1 - found.overall["recall_macro"].low == pytest.approx(5 / 3 * (1 - found.accuracy.low))


def test_class_that_is_never_found_shows_in_the_worst_recall_and_not_in_the_accuracy() -> None:
    found = values(measured(marks(*[0] * 9, 1, n_classes=2), np.tile([0.9, 0.1], (10, 1))))
    assert found["accuracy"] == found["baseline_accuracy"] == pytest.approx(0.9)
    assert found["min_class_recall"] == found["matthews_corrcoef"] == found["cohen_kappa"] == 0


def test_class_without_a_test_image_has_no_part_in_the_means() -> None:
    found = measured(marks(0, 1, n_classes=3), np.eye(3)[:2])
    assert found.overall["f1_macro"].value == found.overall["min_class_recall"].value == 1
    absent = found.classes[2]
    assert (absent.n, absent.recall.value, absent.f1.value, absent.roc_auc, absent.average_precision) == (
        0,
        0,
        0,
        None,
        None,
    )
    assert (absent.recall.low, absent.recall.high) == (0, 1)


def test_one_image_gives_finite_numbers_and_no_area_under_the_curve() -> None:
    found = measured(marks(1, n_classes=2), np.array([[0.25, 0.75]]))
    assert not {"roc_auc", "average_precision"} & set(found.overall)
    assert found.overall["log_loss"].value == pytest.approx(-np.log(0.75))
    for name, estimate in found.overall.items():
        assert np.isfinite(
            [each for each in (estimate.value, estimate.low, estimate.high) if each is not None]
        ).all(), name
    assert found.accuracy.is_guess


def test_constant_answers_are_measured() -> None:
    found = values(measured(marks(0, 1, 2, 0, n_classes=3), np.full((4, 3), 1 / 3)))
    assert found["accuracy"] == found["baseline_accuracy"] == 0.5
    assert found["roc_auc"] == 0.5


def test_probability_that_is_no_number_is_no_answer_and_no_other_image_suffers() -> None:
    probabilities = np.array([[0.9, 0.1], [np.nan, np.nan], [0.2, np.inf], [0.1, 0.9]])
    answers = metrics.answers(marks(0, 0, 1, 1, n_classes=2), probabilities, np.arange(4), task="single_label")
    assert answers.n_unanswered == 2
    assert answers.right.tolist() == [True, False, False, True]
    found = metrics.measure(answers, 0.95)
    assert found.overall["accuracy"].value == 0.5
    assert found.overall["log_loss"].value == pytest.approx((-2 * np.log(0.9) + 2 * np.log(2)) / 4)
    assert metrics.confusion(answers.actual, answers.predicted).sum() == 2


@settings(max_examples=30, deadline=None)
@given(drawn())
def test_scores_agree_with_sklearn(of: tuple[np.ndarray, np.ndarray]) -> None:
    labels, probabilities = of
    n_classes = probabilities.shape[1]
    predicted, actual = probabilities.argmax(axis=1), metrics.one_hot(labels, n_classes)
    result = measured(actual, probabilities)
    found, present = values(result), np.unique(labels)
    expected = {
        "accuracy": sklearn.metrics.accuracy_score(labels, predicted),
        "balanced_accuracy": sklearn.metrics.recall_score(labels, predicted, labels=present, average="macro"),
        "matthews_corrcoef": sklearn.metrics.matthews_corrcoef(labels, predicted),
        "log_loss": sklearn.metrics.log_loss(labels, probabilities, labels=range(n_classes)),
    }
    kappa = sklearn.metrics.cohen_kappa_score(labels, predicted, labels=range(n_classes))
    expected |= {"cohen_kappa": kappa} if np.isfinite(kappa) else {}
    for name in ("precision", "recall", "f1"):
        score = getattr(sklearn.metrics, f"{name}_score")
        for average in ("macro", "weighted"):
            expected[f"{name}_{average}"] = score(labels, predicted, labels=present, average=average, zero_division=0)
        expected[f"{name}_micro"] = score(labels, predicted, labels=range(n_classes), average="micro", zero_division=0)
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    precision, recall, f1, n = sklearn.metrics.precision_recall_fscore_support(
        labels, predicted, labels=range(n_classes), zero_division=0
    )
    by_class = [(each.precision.value, each.recall.value, each.f1.value, each.n) for each in result.classes]
    np.testing.assert_allclose(np.array(by_class).T, [precision, recall, f1, n])


@settings(max_examples=20, deadline=None)
@given(sets())
def test_multi_label_scores_agree_with_sklearn(of: tuple[np.ndarray, np.ndarray]) -> None:
    actual, probabilities = of
    predicted = probabilities >= 0.5
    result = measured(actual, probabilities, "multi_label")
    found, present = values(result), actual.any(axis=0)
    of_each = [(actual[:, k], predicted[:, k]) for k in range(actual.shape[1])]  # scikit-learn takes [N, 1] for binary
    f1 = np.array([sklearn.metrics.f1_score(*pair, zero_division=0) for pair in of_each])
    recall = np.array([sklearn.metrics.recall_score(*pair, zero_division=0) for pair in of_each])
    expected = {
        "accuracy": sklearn.metrics.accuracy_score(actual, predicted),
        "f1_macro": np.mean(f1[present]),
        "f1_micro": sklearn.metrics.f1_score(actual.ravel(), predicted.ravel()),
        "hamming_loss": sklearn.metrics.hamming_loss(actual, predicted),
        "min_class_recall": min(recall[present]),
        "log_loss": sklearn.metrics.log_loss(actual.ravel(), probabilities.ravel(), labels=[0, 1]),
    }
    varied = [k for k in range(actual.shape[1]) if 0 < actual[:, k].sum() < len(actual)]
    if varied:
        areas = {"roc_auc": sklearn.metrics.roc_auc_score, "average_precision": sklearn.metrics.average_precision_score}
        for name, score in areas.items():
            expected[name] = score(actual[:, varied], probabilities[:, varied], average="macro")
    assert {name: found.get(name) for name in expected} == pytest.approx(expected)
    assert not {"balanced_accuracy", "cohen_kappa"} & set(found)
    np.testing.assert_allclose([each.f1.value for each in result.classes], f1)


def test_right_class_among_the_first_five_is_sklearns() -> None:
    rng = np.random.default_rng(0)
    labels, probabilities = rng.integers(0, 12, 60), rng.dirichlet(np.ones(12), 60)
    found = values(measured(metrics.one_hot(labels, 12), probabilities))
    theirs = sklearn.metrics.top_k_accuracy_score(labels, probabilities, k=5, labels=range(12))
    assert found["top_5_accuracy"] == pytest.approx(theirs)


@settings(max_examples=20, deadline=None)
@given(drawn())
def test_the_order_of_the_images_does_not_matter(of: tuple[np.ndarray, np.ndarray]) -> None:
    labels, probabilities = of
    order = np.random.default_rng(0).permutation(len(labels))
    actual = metrics.one_hot(labels, probabilities.shape[1])
    one, other = values(measured(actual, probabilities)), values(measured(actual[order], probabilities[order]))
    assert one == pytest.approx(other)


def test_thresholds_say_what_is_named() -> None:
    found = measured(
        np.array([[1, 0], [1, 1]], bool), np.array([[0.3, 0.6], [0.3, 0.9]]), "multi_label", thresholds=(0.2, 0.7)
    )
    assert found.overall["accuracy"].value == 1
    assert [each.threshold for each in found.classes] == [0.2, 0.7]


def test_dead_class_shows_in_the_worst_recall_and_not_in_the_share_of_right_decisions() -> None:
    actual = np.zeros((100, 3), bool)
    actual[:60, 0] = actual[20:80, 1] = actual[:3, 2] = True
    found = values(measured(actual, np.where(actual, 0.9, 0.1) * [1, 1, 0], "multi_label"))
    assert found["hamming_loss"] == pytest.approx(0.01)
    assert found["min_class_recall"] == 0
    assert found["accuracy"] == pytest.approx(0.97)


def test_baseline_is_the_commonest_set_of_classes() -> None:
    actual = np.array([[1, 1], [1, 1], [0, 1], [0, 0]], bool)
    assert values(measured(actual, actual.astype(float), "multi_label"))["baseline_accuracy"] == 0.5


def test_bootstrap_agrees_with_scipy() -> None:
    rng = np.random.default_rng(5)
    actual = rng.random((150, 3)) < 0.4
    probabilities = np.where(actual ^ (rng.random((150, 3)) < 0.2), 0.9, 0.1)

    def macro(rows: np.ndarray) -> float:
        return float(sklearn.metrics.f1_score(actual[rows], probabilities[rows] >= 0.5, average="macro"))

    theirs = scipy.stats.bootstrap(
        (np.arange(150),), macro, n_resamples=300, method="percentile", vectorized=False, rng=rng
    ).confidence_interval
    found = measured(actual, probabilities, "multi_label").overall["f1_macro"]
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.015)


def test_groups_widen_every_interval() -> None:
    rng = np.random.default_rng(2)
    labels = np.repeat(rng.integers(0, 3, 60), 6)
    probabilities = np.repeat(rng.dirichlet(np.ones(3), 60), 6, axis=0)
    actual = metrics.one_hot(labels, 3)
    apart, together = (
        metrics.measure(metrics.answers(actual, probabilities, groups, task="single_label"), 0.95)
        for groups in (np.arange(360), np.repeat(np.arange(60), 6))
    )
    for name in ("accuracy", "f1_macro", "log_loss", "brier", "roc_auc", "cohen_kappa"):
        width = [each.overall[name].high - each.overall[name].low for each in (apart, together)]  # type: ignore[operator]
        assert width[1] / width[0] == pytest.approx(np.sqrt(6), rel=0.2), name


def test_difference_of_two_models_is_paired() -> None:
    """Two models with the same errors but a few differ surely, where their own intervals overlap."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 400)
    predicted = np.where(rng.random(400) < 0.3, (labels + 1) % 3, labels)
    better = np.where((predicted != labels) & (np.arange(400) % 12 == 0), labels, predicted)
    actual, old, new = (metrics.one_hot(numbers, 3) for numbers in (labels, predicted, better))
    found = metrics.answers(actual, old.astype(float), np.arange(400), task="single_label")
    value, resampled = metrics.difference(old, new, found, "f1_macro")
    low, high = intervals.ends(resampled, 0.95)
    f1 = [sklearn.metrics.f1_score(labels, each, average="macro") for each in (predicted, better)]
    assert value == pytest.approx(f1[1] - f1[0])
    assert 0 < low < value < high
    own = metrics.measure(found, 0.95).overall["f1_macro"]
    assert own.high > f1[1]  # type: ignore[operator]
    assert not metrics.difference(old, old, found, "f1_macro")[1].any()
