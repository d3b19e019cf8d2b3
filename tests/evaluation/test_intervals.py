import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from assay.evaluation import intervals


def apart(n: int) -> np.ndarray:
    return np.arange(n)


# R. G. Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3.
@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_is_the_published_one(right: int, n: int, low: float, high: float) -> None:
    assert intervals.wilson(right / n, n, 0.95) == pytest.approx((low, high), abs=5e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 500), st.floats(0, 1), st.floats(0.5, 0.999))
def test_wilson_interval_is_scipys(n: int, share: float, confidence: float) -> None:
    right = round(share * n)
    theirs = scipy.stats.binomtest(right, n).proportion_ci(confidence, method="wilson")
    assert intervals.wilson(right / n, n, confidence) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=2, max_size=60))
def test_images_without_groups_have_the_usual_interval(right: list[bool]) -> None:
    found = intervals.share(np.array(right), apart(len(right)), 0.95)
    assert found.n_effective == pytest.approx(len(right))
    assert (found.low, found.high) == pytest.approx(intervals.wilson(found.value, len(right), 0.95))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=2, max_size=30), st.integers(2, 5))
def test_copies_of_each_image_say_no_more(right: list[bool], times: int) -> None:
    alone = intervals.share(np.array(right), apart(len(right)), 0.95)
    copied = intervals.share(np.repeat(right, times), np.repeat(apart(len(right)), times), 0.95)
    n_groups, n = len(right), times * len(right)
    as_if = (n_groups - 1) * n / (n - 1) if 0 < sum(right) < n_groups else n_groups
    assert copied.n_effective == pytest.approx(as_if)
    fewer = as_if * intervals.certainty(n, n_groups, 0.95)
    assert (copied.low, copied.high) == pytest.approx(intervals.wilson(alone.value, fewer, 0.95))
    assert copied.low <= alone.low + 1e-12
    assert copied.n == times * alone.n


def test_design_effect_is_the_variance_of_the_cluster_mean() -> None:
    """Equal groups: variance of the mean of the G group means, against p (1 - p) / n."""
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(50), 8)
    right = rng.random(400) < np.repeat(rng.beta(4, 1, 50), 8)
    means = right.reshape(50, 8).mean(axis=1)
    expected = means.var(ddof=1) / 50 / (right.var(ddof=1) / 400)
    assert intervals.design_effect(right.astype(float), groups) == pytest.approx(expected)
    assert expected > 1.5


def test_few_groups_are_less_certain() -> None:
    t = scipy.stats.t.ppf(0.975, [199, 19])
    assert intervals.certainty(200, 20, 0.95) == pytest.approx((t[0] / t[1]) ** 2)
    assert intervals.certainty(50, 50, 0.95) == intervals.certainty(5, 1, 0.95) == 1


def test_a_share_that_does_not_vary_takes_the_effect_of_all() -> None:
    right, groups = np.ones(40, bool), np.repeat(apart(10), 4)
    assert intervals.share(right, groups, 0.95, of_all=2.0).n_effective == 20
    assert intervals.share(right, groups, 0.95).n_effective == 10
    assert intervals.share(right, apart(40), 0.95, of_all=2.0).n_effective == 40  # groups of one have no effect


def test_no_image_and_one_group_are_said() -> None:
    none = intervals.share(np.empty(0, bool), np.empty(0, int), 0.95)
    assert (none.value, none.low, none.high, none.n, none.is_guess) == (0, 0, 1, 0, True)
    one = intervals.share(np.array([True, True, False]), np.zeros(3, int), 0.95)
    assert one.n_effective == 1
    assert not intervals.share(np.array([True, False] * 10), apart(20), 0.95).is_guess


def test_resamples_draw_whole_groups() -> None:
    groups = np.array([0, 1, 1, 2])
    values = np.array([[1.0, 0], [2, 1], [3, 1], [4, 0]])
    of_groups = intervals.sums(values, groups)
    np.testing.assert_array_equal(of_groups.toarray(), [[1, 0], [5, 2], [4, 0]])
    drawn = intervals.weights(3)
    np.testing.assert_allclose(intervals.resampled(of_groups), drawn @ of_groups.toarray())
    assert (drawn.sum(axis=1) == 3).all()


def test_bootstrap_of_a_mean_agrees_with_scipys() -> None:
    rng = np.random.default_rng(5)
    values = rng.exponential(size=200)
    drawn = intervals.resampled(csr_array(np.stack([values, np.ones(200)], axis=1)))
    low, high = intervals.ends(drawn[:, 0] / drawn[:, 1], 0.9)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, confidence_level=0.9, n_resamples=2000, method="percentile", rng=rng
    ).confidence_interval
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=0.02)
    again = intervals.bootstrap(lambda weight: float((weight * values).sum() / weight.sum()), apart(200), 0.9)
    assert again == pytest.approx((theirs.low, theirs.high), abs=0.04)


def test_what_no_resample_can_measure_has_no_interval() -> None:
    assert np.isnan(intervals.bootstrap(lambda _: float("nan"), apart(4), 0.9)).all()


def test_interval_covers_grouped_data_as_often_as_it_says() -> None:
    """50 groups of 10, correlation 0.2: an interval by image covers 0.77 of the time."""
    rng = np.random.default_rng(1)
    groups, n_covered, n_by_image = np.repeat(np.arange(50), 10), 0, 0
    for _ in range(200):
        right = rng.random(500) < np.repeat(rng.beta(0.9 * 4, 0.1 * 4, 50), 10)
        found = intervals.share(right, groups, 0.95)
        n_covered += found.low <= 0.9 <= found.high
        low, high = intervals.wilson(right.mean(), 500, 0.95)
        n_by_image += low <= 0.9 <= high
    assert n_covered >= 176  # 0.937 of 200 are 187; fewer than 176 come once in 1,000
    assert n_by_image < 170
