import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.evaluation import thresholds


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.integers(25, 80), st.integers(0, 2**32), st.integers(1, 6))
def test_no_threshold_has_a_higher_f1_on_validation(n: int, seed: int, digits: int) -> None:
    rng = np.random.default_rng(seed)
    actual = (np.arange(n) % 2 == 0)[:, None]
    scores = (0.3 * actual + 0.7 * rng.random((n, 1))).round(digits)
    (chosen,) = thresholds.choose(actual, scores)
    found = sklearn.metrics.f1_score(actual, scores >= chosen)
    for other in np.unique(scores):
        assert found >= sklearn.metrics.f1_score(actual, scores >= other) - 1e-9


def test_rare_class_gets_the_threshold_it_needs() -> None:
    rng = np.random.default_rng(0)
    actual = rng.random((2000, 1)) < 0.03
    scores = np.where(actual, rng.uniform(0.15, 0.4, actual.shape), rng.uniform(0, 0.15, actual.shape))
    (chosen,) = thresholds.choose(actual, scores)
    assert chosen == pytest.approx(0.15, abs=0.01)


def test_too_few_images_of_a_class_and_equal_thresholds_keep_the_usual_one() -> None:
    few = np.arange(100)[:, None] < 9
    assert thresholds.choose(few, few * 0.4) == (0.5,)
    assert thresholds.choose(~few, ~few * 0.4) == (0.5,)
    half = np.arange(100)[:, None] < 50
    assert thresholds.choose(half, np.where(half, 0.9, 0.1)) == (0.5,)
    assert thresholds.choose(half, np.full((100, 1), np.nan)) == (0.5,)
