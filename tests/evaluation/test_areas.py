import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.evaluation import areas


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 60), st.integers(0, 2**32), st.integers(1, 4))
def test_weighted_areas_are_those_of_sklearn(n: int, seed: int, digits: int) -> None:
    rng = np.random.default_rng(seed)
    positive, scores = rng.random(n) < 0.5, rng.random(n).round(digits)
    positive[:2] = [True, False]
    weights = rng.integers(0, 4, (3, n)).astype(float)
    weights[0] = 1
    roc, precision = areas.weighted(positive, scores, weights)
    for row, *found in zip(weights, roc, precision, strict=True):
        if 0 < (row * positive).sum() < row.sum():
            theirs = [
                score(positive, scores, sample_weight=row)
                for score in (sklearn.metrics.roc_auc_score, sklearn.metrics.average_precision_score)
            ]
            assert found == pytest.approx(theirs)
        else:
            assert np.isnan(found).all()


def test_area_is_the_share_of_pairs_in_order() -> None:
    rng = np.random.default_rng(0)
    positive, scores = rng.random(200) < 0.3, rng.random(200).round(1)
    above = scores[positive][:, None] - scores[~positive][None, :]
    found = areas.weighted(positive, scores, np.ones((1, 200)))[0][0]
    assert found == pytest.approx(np.mean((above > 0) + 0.5 * (above == 0)))


def test_class_that_all_images_have_has_no_area_and_no_part_in_the_mean() -> None:
    actual = np.array([[1, 1], [1, 0], [1, 1], [1, 0]], bool)
    found = areas.measure(actual, np.array([[0.5, 0.9], [0.4, 0.2], [0.3, 0.8], [0.2, 0.1]]), np.arange(4))["roc_auc"]
    assert found.of_class(0, 0.95) is None
    assert found.of_class(1, 0.95) is not None
    mean = found.mean(0.95)
    assert mean is not None
    assert mean.value == 1
    nothing = areas.measure(actual[:, :1], np.ones((4, 1)), np.arange(4))["roc_auc"]
    assert nothing.mean(0.95) is None


def test_too_many_decisions_have_areas_without_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(areas, "MOST_DECISIONS", 3)
    found = areas.measure(np.eye(2, dtype=bool), np.eye(2), np.arange(2))["average_precision"]
    assert found.drawn.shape == (0, 2)
    mean = found.mean(0.95)
    assert mean is not None
    assert (mean.value, mean.low) == (1, None)


def test_thinned_curve_rises_from_corner_to_corner() -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(5000) < 0.5
    points = areas.roc(positive, rng.random(5000) + 0.3 * positive)
    assert points[0] == (0, 0)
    assert points[-1] == (1, 1)
    assert points == sorted(points)
    assert len(points) == areas.POINTS


def area(points: list[tuple[float, float]]) -> float:
    across, up = np.array(points).T
    return float(np.trapezoid(up, across))


@settings(max_examples=60, deadline=None)
@given(st.integers(10, 6000), st.floats(0.005, 0.8), st.floats(0, 3), st.integers(1, 6), st.integers(0, 2**32))
def test_drawn_curve_has_the_area_of_the_whole_one(n: int, share: float, apart: float, digits: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < share
    positive[:2] = [True, False]
    scores = (rng.normal(size=n) + apart * positive).round(digits)
    drawn = areas.roc(positive, scores)
    assert len(drawn) <= areas.POINTS
    assert area(drawn) == pytest.approx(sklearn.metrics.roc_auc_score(positive, scores), abs=0.004)
    drawn = areas.precision_recall(positive, scores)
    precision, recall, _ = sklearn.metrics.precision_recall_curve(positive, scores)
    assert len(drawn) <= areas.POINTS
    assert [drawn[0], drawn[-1]] == [(0, 1), (1, pytest.approx(positive.mean()))]
    assert area(drawn) == pytest.approx(-np.trapezoid(precision, recall), abs=0.01)


def test_curve_of_one_class_in_a_hundred_keeps_its_average_precision() -> None:
    """Behind the last hit lie most images: evenly by number, 49 of 50 points would be there."""
    rng = np.random.default_rng(0)
    positive = np.arange(7000) < 70
    scores = rng.normal(size=7000) + 4 * positive
    expected = sklearn.metrics.average_precision_score(positive, scores)
    assert area(areas.precision_recall(positive, scores)) == pytest.approx(expected, abs=0.01)


def test_short_curves_keep_every_corner() -> None:
    positive, scores = np.array([False, False, True, True]), np.array([0.1, 0.4, 0.35, 0.8])
    assert areas.roc(positive, scores) == [(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)]
    expected = [(0, 1), (0.5, 1), (0.5, 0.5), (1, 2 / 3), (1, 0.5)]
    np.testing.assert_allclose(areas.precision_recall(positive, scores), expected)
