import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.evaluation import calibration


def drawn(n: int, n_classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a perfectly calibrated model, and the classes drawn by its probabilities: bool [N, K]."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, n_classes))
    chosen = [rng.choice(n_classes, p=row) for row in calibration.probabilities(logits, "single_label")]
    return logits, np.eye(n_classes, dtype=bool)[chosen]


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_temperature_finds_how_much_too_sure_the_model_is(factor: float) -> None:
    logits, actual = drawn(4000, 4)
    found = calibration.fit(logits * factor, actual, "single_label")
    assert found.value == pytest.approx(factor, rel=0.08)
    assert found.reason.startswith("fitted on 4,000 validation images with ")


def test_temperature_does_not_depend_on_the_order_in_which_a_processor_adds_up() -> None:
    logits, actual = drawn(500, 4)
    order = np.random.default_rng(0).permutation(500)
    others = [calibration.fit(logits[o] * 2, actual[o], "single_label").value for o in (order, order[::-1])]
    assert others == [calibration.fit(logits * 2, actual, "single_label").value] * 2


def test_temperature_of_sigmoids_is_found_too() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (3000, 3))
    actual = rng.random(logits.shape) < calibration.probabilities(logits, "multi_label")
    assert calibration.fit(logits * 2, actual, "multi_label").value == pytest.approx(2, rel=0.1)


def test_fitted_temperature_lowers_the_loss_and_the_error_and_changes_no_answer() -> None:
    logits, actual = drawn(3000, 5, seed=2)
    fitted = calibration.fit(logits[:1500] * 3, actual[:1500], "single_label")
    before, after = (
        calibration.measure(
            calibration.probabilities(logits[1500:] * 3, "single_label", t), actual[1500:], "single_label", 10
        )
        for t in (1.0, fitted.value)
    )
    assert after.log_loss < before.log_loss
    assert after.brier < before.brier
    assert after.error < before.error
    assert after.error < 2 * after.floor
    assert before.excess > 0.05 > abs(after.excess)


def test_too_few_images_no_error_and_broken_logits_are_refused_with_the_reason() -> None:
    logits, actual = drawn(99, 3)
    assert calibration.fit(logits, actual, "single_label") == calibration.Temperature(
        value=1.0, reason="not fitted: 99 validation images, at least 100 are needed"
    )
    logits, _ = drawn(200, 3)
    perfect = np.eye(3, dtype=bool)[logits.argmax(axis=1)]
    assert "no error on 200" in calibration.fit(logits, perfect, "single_label").reason
    logits[7, 1] = np.nan
    assert "no finite number" in calibration.fit(logits, perfect, "single_label").reason


def test_logits_that_say_nothing_end_at_the_bound_and_say_so() -> None:
    rng = np.random.default_rng(0)
    found = calibration.fit(rng.normal(0, 50, (300, 3)), np.eye(3, dtype=bool)[rng.integers(0, 3, 300)], "single_label")
    assert found.reason.endswith("at the end of its range")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(2, 5))
def test_losses_agree_with_sklearn(seed: int, n: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    labels, logits = rng.integers(0, k, n), rng.normal(0, 3, (n, k))
    actual, found = np.eye(k, dtype=bool)[labels], calibration.probabilities(logits, "single_label")
    measured = calibration.measure(found, actual, "single_label", 10)
    expected = sklearn.metrics.log_loss(labels, found, labels=range(k))
    assert measured.log_loss == pytest.approx(expected)
    assert calibration.negative_log_likelihood(logits, actual, "single_label") == pytest.approx(expected)
    if k > 2:
        theirs = sklearn.metrics.brier_score_loss(labels, found, labels=range(k), scale_by_half=False)
        assert measured.brier == pytest.approx(theirs)
    one = calibration.measure(found, found >= 0.5, "multi_label", 10)
    assert one.log_loss == pytest.approx(sklearn.metrics.log_loss((found >= 0.5).ravel(), found.ravel(), labels=[0, 1]))


def test_bins_are_those_by_hand() -> None:
    found = np.array([[0.95, 0.05], [0.91, 0.09], [0.4, 0.6], [0.0, 1.0]])
    low, high = calibration.measure(found, np.eye(2, dtype=bool)[[0, 1, 1, 1]], "single_label", 5).bins
    assert (low.confidence, low.accuracy, low.n) == pytest.approx((0.6, 1, 1))
    assert (high.confidence, high.accuracy, high.n) == pytest.approx((2.86 / 3, 2 / 3, 3))
    assert calibration.error([low, high]) == pytest.approx(0.4 / 4 + 0.75 * (2.86 / 3 - 2 / 3))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 15))
def test_every_answer_is_in_one_bin_and_the_error_is_a_share(seed: int, n: int, n_bins: int) -> None:
    rng = np.random.default_rng(seed)
    confidence, is_so = rng.random(n), rng.random(n) < 0.5
    found = calibration.bins(confidence, is_so, n_bins)
    assert sum(each.n for each in found) == n
    assert len(found) <= n_bins
    assert 0 <= calibration.error(found) <= 1
    assert 0 <= calibration.floor(confidence, n_bins) <= 1


def test_floor_is_the_error_of_a_calibrated_model_and_falls_with_the_images() -> None:
    floors = []
    for n in (361, 5000):
        found = [
            (calibration.probabilities(logits, "single_label"), actual)
            for logits, actual in (drawn(n, 10, seed) for seed in range(3))
        ]
        measured = [calibration.measure(probabilities, actual, "single_label", 10) for probabilities, actual in found]
        assert np.mean([each.error for each in measured]) == pytest.approx(measured[0].floor, rel=0.35)
        floors.append(measured[0].floor)
    assert floors[0] > 2 * floors[1]
