"""Drift: distances against SciPy's, limits against draws, and silence where only groups or class shares differ."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from assay.validation.profile import distance as drift
from assay.validation.profile import strata


def one_stratum(values: np.ndarray, approved: np.ndarray) -> float:
    """Return the distance of values [N] from the approved ones [M], all of one label."""
    edges = drift.edges(approved[None])
    reference = drift.cumulative(drift.counts(drift.cells(approved[None], edges), np.zeros(len(approved), int), 1))
    counts = drift.counts(drift.cells(values[None], edges), np.zeros(len(values), int), 1)
    return float(drift.distances(counts, np.array([[len(values)]]), reference)[0, 0])


def test_value_is_in_the_cell_of_its_edge_or_between_two() -> None:
    edges = np.array([[1.0, 2.0, np.inf]])
    values = np.array([[0.0, 1.0, 1.5, 2.0, 9.0, np.nan]])
    assert drift.cells(values, edges).ravel().tolist() == [0, 1, 2, 3, 4, 0]


def test_edges_are_the_distinct_twentieths() -> None:
    found = drift.edges(np.stack([np.arange(101.0), np.full(101, 7.0), np.full(101, np.nan)]))
    assert found[0].tolist() == list(range(0, 101, 5))
    assert found[1][0] == 7
    assert np.isinf(found[1][1:]).all()
    assert np.isinf(found[2]).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-1, 1))
def test_distance_is_that_of_kolmogorov_and_smirnov_but_for_a_twentieth(seed: int, shift: float) -> None:
    random = np.random.default_rng(seed)
    approved, new = random.normal(size=400), random.normal(shift, 1, 150)
    theirs = stats.ks_2samp(approved, new).statistic
    assert theirs - 0.06 <= one_stratum(new, approved) <= theirs + 1e-9


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_distance_does_not_depend_on_order_or_scale(seed: int) -> None:
    random = np.random.default_rng(seed)
    approved, new = random.gamma(2, size=300), random.gamma(2.5, size=90)
    found = one_stratum(new, approved)
    assert one_stratum(random.permutation(new), random.permutation(approved)) == found
    assert one_stratum(np.exp2(new), np.exp2(approved)) == pytest.approx(found)


def test_other_class_shares_are_no_drift_of_pixels_but_of_labels() -> None:
    values = np.repeat([10.0, 200.0], 100)[None]
    strata = np.repeat([0, 1], 100)
    edges = drift.edges(values)
    reference = drift.cumulative(drift.counts(drift.cells(values, edges), strata, 2))
    new = np.repeat([10.0, 200.0], [90, 10])[None]
    counts = drift.counts(drift.cells(new, edges), np.zeros(100, int), 1)
    assert drift.distances(counts, np.array([[90, 10]]), reference) == pytest.approx(0)
    assert drift.distances(counts, np.array([[50, 50]]), reference) == pytest.approx(0.4)
    assert drift.label_distance(np.array([[[90, 10]]]), np.array([[100, 100]])) == pytest.approx(0.4)


def test_label_distance_counts_new_and_lost_classes() -> None:
    assert drift.label_distance(np.array([[[0, 5, 5]], [[5, 5, 0]]]), np.array([[7, 7, 0]])) == pytest.approx([0.5, 0])


def test_label_distance_of_a_multi_label_set_is_that_of_the_class_that_moved_most() -> None:
    """Fewer marks of every class alike: their proportions to each other are as before, and the images are not."""
    before, now = (strata.parts(np.array(marks), 100, "multi_label") for marks in ([40, 40, 20], [20, 20, 10]))
    assert drift.label_distance(now[None], before) == pytest.approx(0.2)


def test_median_is_a_value_that_occurs_however_often() -> None:
    values = np.array([[0.0] * 45 + [16] * 40 + [17, 18, 19] * 5, [np.nan] * 98 + [2, 1]])
    assert drift.medians(values).tolist() == [16, 1]
    assert np.isnan(drift.medians(np.full((1, 3), np.nan))).all()


def grouped(random: np.random.Generator, n_groups: int, size: int, between: float) -> tuple[np.ndarray, np.ndarray]:
    """Return values and groups of images that are alike within a group."""
    group = np.arange(n_groups).repeat(size)
    return random.normal(0, between, n_groups)[group] + random.normal(0, 1, len(group)), group


def null_of(values: np.ndarray, unit: np.ndarray) -> drift.Null:
    n = len(values)
    cells = drift.cells(values[None], drift.edges(values[None]))
    return drift.null(cells, np.zeros(n, int), np.ones((n, 1, 1), int), unit, seed=0)


def test_limit_of_single_images_is_that_of_kolmogorov() -> None:
    values, _ = grouped(np.random.default_rng(0), 5000, 1, 0)
    null = null_of(values, np.arange(5000))
    for n in (64, 128, 512):
        expected = stats.kstwo.ppf(0.99, n)
        assert drift.limit(null.properties, null.n_units, n)[0] == pytest.approx(expected, rel=0.12)


@pytest.mark.slow
def test_groups_that_are_alike_widen_the_limit_as_new_groups_need() -> None:
    """Of new groups from the same source few are above the limit of groups, and most are above that of images."""
    random = np.random.default_rng(1)
    above = {"image": 0, "group": 0}
    for _ in range(20):
        values, group = grouped(random, 75, 40, 1)
        is_new = group >= 65
        approved = values[~is_new]
        distance = one_stratum(values[is_new], approved)
        for name, unit, n in [("image", np.arange(len(approved)), is_new.sum()), ("group", group[~is_new], 10)]:
            null = null_of(approved, unit)
            above[name] += distance > drift.limit(null.properties, null.n_units, n)[0]
    assert above["group"] <= 1
    assert above["image"] >= 10


def test_few_groups_that_differ_much_do_not_hide_a_batch_that_is_like_none_of_them() -> None:
    """With a group drawn twice or more, the limit for 4 of 20 such groups would be at the largest distance there is."""
    random = np.random.default_rng(2)
    values, group = grouped(random, 24, 40, 3)
    approved, new = values[group < 20], values[group >= 20]
    null = null_of(approved, group[group < 20])
    limit = drift.limit(null.properties, null.n_units, 4)[0]
    assert one_stratum(new, approved) < limit < 0.9
    assert one_stratum(new + 20, approved) == 1


def test_one_film_of_one_class_is_no_drift_of_the_shares_and_a_batch_of_such_films_is() -> None:
    """Twenty films that are all alike do not say that the next one is."""
    marks = np.tile(np.arange(40) < 4, 20)
    both = np.stack([marks, ~marks], axis=1)[:, None].astype(int)
    null = drift.null(np.zeros((800, 1), np.uint8), np.zeros(800, int), both, np.arange(20).repeat(40), seed=0)
    limit = drift.limit(null.labels[None], null.n_units, 4)[0]
    one, four = drift.label_distance(np.array([[[40 + 3 * 4, 3 * 36]], [[160, 0]]]), both.sum(axis=0))
    assert one < limit < four / 2


def test_limit_falls_with_the_units_and_never_exceeds_one() -> None:
    null = null_of(np.random.default_rng(0).normal(size=500), np.arange(500))
    found = [drift.limit(null.properties, null.n_units, n)[0] for n in (1, 4, 16, 64, 256)]
    assert found == sorted(found, reverse=True)
    assert found[0] <= 1
    assert drift.limit(null.properties, 1, 4) == 1


def test_unequal_units_count_as_fewer() -> None:
    assert drift.effective(np.arange(10).repeat(7)) == 10
    assert drift.effective(np.array([0] * 98 + [1, 2])) == pytest.approx(1.04, abs=0.01)
