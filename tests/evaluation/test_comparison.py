import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.evaluation import comparison


def answers(both: int, only_old: int, only_new: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    counts = [both, only_old, only_new, neither]
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


def test_difference_flips_and_p_value_are_those_by_hand() -> None:
    found = comparison.paired(*answers(80, 12, 5, 3), np.arange(100), 0.95)
    assert (found.difference, found.n_new_errors, found.n_gone_errors) == pytest.approx((-0.07, 12, 5))
    assert found.p_value == pytest.approx(scipy.stats.binomtest(12, 17).pvalue)
    assert found.disagreement == pytest.approx(0.17)


def test_interval_is_that_of_agresti_and_min() -> None:
    """Cells +0.5, n + 2, then Wald's interval."""
    found = comparison.paired(*answers(80, 12, 5, 3), np.arange(100), 0.95)
    b, c, n = 12.5, 5.5, 102
    half = 1.959964 * math.sqrt((b + c) - (b - c) ** 2 / n) / n
    assert (found.low, found.high) == pytest.approx(((c - b) / n - half, (c - b) / n + half), abs=1e-6)
    assert found.n_effective == pytest.approx(100)


def test_no_difference_on_few_images_says_little() -> None:
    found = comparison.paired(*answers(30, 0, 0, 0), np.arange(30), 0.9)
    assert found.p_value == 1
    assert found.low == pytest.approx(-1.644854 / 32, abs=1e-4)
    none = comparison.paired(*answers(0, 0, 0, 0), np.arange(0), 0.9)
    assert (none.low, none.high, none.p_value) == (-1, 1, 1)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40), st.integers(2, 4))
def test_copies_add_nothing_and_sides_mirror(pairs: list[tuple[bool, bool]], times: int) -> None:
    old, new = np.array(pairs).T
    groups = np.arange(len(old))
    one, other = comparison.paired(old, new, groups, 0.95), comparison.paired(new, old, groups, 0.95)
    assert (one.low, one.high, one.difference) == pytest.approx((-other.high, -other.low, -other.difference))
    copied = comparison.paired(old.repeat(times), new.repeat(times), groups.repeat(times), 0.95)
    assert copied.p_value == pytest.approx(one.p_value)
    n = len(copied_old := old.repeat(times))
    varies = len(set((copied_old.astype(int) - new.repeat(times)).tolist())) > 1
    assert copied.n_effective == pytest.approx((len(old) - 1) * n / (n - 1) if varies else len(old))
    assert copied.high - copied.low >= one.high - one.low - 1e-9


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng, n_covered = np.random.default_rng(4), 0
    groups = np.repeat(np.arange(60), 6)
    for _ in range(300):
        worse, better = rng.beta(0.6, 11.4, 60).repeat(6), rng.beta(0.6, 11.4, 60).repeat(6)
        draw = rng.random(360)
        flips = np.where(draw < worse, -1, np.where(draw > 1 - better, 1, 0))
        found = comparison.paired(flips <= 0, flips >= 0, groups, 0.95)
        n_covered += found.low <= 0 <= found.high
    assert n_covered >= 270  # 285 are expected


def test_a_group_counts_once() -> None:
    flips, groups = np.array([-1] * 8 + [1, 1]), np.array([0] * 8 + [1, 2])
    assert comparison.mcnemar(flips, groups) == pytest.approx(scipy.stats.binomtest(1, 3).pvalue)
    assert comparison.mcnemar(np.array([-1, 1]), np.array([0, 0])) == 1


@pytest.mark.parametrize(("n", "d", "expected"), [(361, 0.02, 0.021), (1000, 0.10, 0.028), (10_000, 0.20, 0.013)])
def test_detectable_difference_is_the_published_one(n: int, d: float, expected: float) -> None:
    assert comparison.detectable(d, n, 0.95) == pytest.approx(expected, abs=6e-4)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.01, 0.3), st.floats(0.02, 0.2))
def test_needed_images_show_what_they_should(d: float, x: float) -> None:
    n = comparison.needed(d, x, 0.95)
    assert comparison.detectable(d, n, 0.95) >= x or n <= 7.85 * d / x**2 + 1
    assert n == pytest.approx(7.8489 * max(d - x * x, 0) / x**2, abs=1.01)


def test_power_is_what_it_says() -> None:
    """The exact test at the detectable difference, simulated."""
    rng, n, d = np.random.default_rng(0), 1000, 0.1
    x = comparison.detectable(d, n, 0.95)
    found = 0
    for _ in range(400):
        flips = rng.choice([-1, 0, 1], n, p=[(d - x) / 2, 1 - d, (d + x) / 2])
        found += comparison.mcnemar(flips, np.arange(n)) < 0.05
    assert found / 400 == pytest.approx(0.8, abs=0.08)


def test_change_within_the_noise_of_seeds_is_unclear() -> None:
    noise = [0.70, 0.71, 0.69, 0.72, 0.68]
    deviation = np.std(noise, ddof=1)
    limit = scipy.stats.t.ppf(0.975, 4) * deviation * math.sqrt(2)
    found = comparison.judge_change([0.70], [0.70 + limit + 1e-6], noise, 0.95, of_flips=0)
    assert (found.verdict, found.n_runs) == ("better", 5)
    assert found.limit == pytest.approx(limit)
    assert comparison.judge_change([0.70], [0.70 + limit - 1e-6], noise, 0.95, of_flips=0).verdict == "unclear"
    assert comparison.judge_change([0.70], [0.70 - limit - 1e-6], noise, 0.95, of_flips=0).verdict == "worse"
    assert comparison.judge_change([0.70], [0.99], [], 0.95, of_flips=0).verdict == "unknown"


def test_many_runs_of_each_side_are_students_test() -> None:
    rng = np.random.default_rng(2)
    for shift in (0, 0.01, 0.03):
        old, new = rng.normal(0.7, 0.01, 5).tolist(), rng.normal(0.7 + shift, 0.01, 5).tolist()
        verdict = comparison.judge_change(old, new, [], 0.95, of_flips=0).verdict
        assert (verdict != "unclear") == (scipy.stats.ttest_ind(new, old).pvalue < 0.05)


def test_seeds_alone_are_called_better_rarely() -> None:
    rng = np.random.default_rng(1)
    called = [
        comparison.judge_change([a], [b], list(rng.normal(0, 1, 5)), 0.95, of_flips=0).verdict
        for a, b in rng.normal(0, 1, (2000, 2))
    ]
    assert called.count("better") / 2000 == pytest.approx(0.025, abs=0.011)


@pytest.mark.parametrize("n_runs", [2, 3, 5])
@pytest.mark.parametrize(("unsure", "chance"), [(2, 0.5), (4, 0.9), (8, 0.9)])
def test_a_few_unsure_images_are_called_better_rarely(n_runs: int, unsure: int, chance: float) -> None:
    """Few runs often have equally many right, and seem not to scatter at all."""
    rng, n, called = np.random.default_rng(n_runs), 361, 0
    for _ in range(500):
        right = rng.random((n_runs + 2, unsure)) < chance
        old, new, *noise = 1 - (unsure - right.sum(axis=1)) / n
        differ = np.mean([(right[a] != right[b]).sum() / n for a in range(2, n_runs + 2) for b in range(2, a)])
        of_flips = comparison.flips_alone(float(differ), n)
        called += comparison.judge_change([old], [new], noise, 0.95, of_flips=of_flips).verdict == "better"
    assert called / 500 <= 0.05


def test_runs_that_are_alike_do_not_make_one_image_a_change() -> None:
    of_flips = comparison.flips_alone(0.0, 361)
    found = comparison.judge_change([0.9945], [0.9972], [0.9945, 0.9945], 0.95, of_flips=of_flips)
    assert found.verdict == "unclear"
    assert found.limit == pytest.approx(1.959964 / 361)


def test_flips_alone_scatter_as_independent_images_do() -> None:
    """Half of the variance of the difference of two runs, each image right by its own chance."""
    rng = np.random.default_rng(0)
    chance = rng.beta(8, 1, 500)
    right = rng.random((2000, 500)) < chance
    disagreement = float(2 * (chance * (1 - chance)).mean())
    assert comparison.flips_alone(disagreement, 500) == pytest.approx(right.mean(axis=1).std(ddof=1), rel=0.05)


def test_images_that_are_missing_for_a_margin_are_those_that_reach_it() -> None:
    deviation = comparison.deviation(0.1, 0.9)
    assert deviation == pytest.approx(0.05 / 1.644854)
    assert comparison.shown(deviation, 0.95) == pytest.approx(2.8016 * deviation, rel=1e-4)
    n_more = comparison.more(deviation, 0.02, 400, 0.95)
    smaller = deviation * math.sqrt(400 / (400 + n_more))
    assert (1.644854 + 0.841621) * smaller == pytest.approx(0.02, rel=1e-3)
    assert comparison.more(0.001, 0.02, 400, 0.95) == 0
