"""Shortcuts against scikit-learn and SciPy; a probe that finds a stamp and nothing where there is nothing."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import contingency
from sklearn.metrics import roc_auc_score

from assay.validation.profile import shortcuts

SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(2, 5))
def test_auc_is_that_of_scikit_learn_with_ties(seed: int, n_classes: int) -> None:
    random = np.random.default_rng(seed)
    values = np.stack([random.normal(size=60), random.integers(0, 4, 60)])
    marks = np.eye(n_classes, dtype=bool)[np.r_[np.arange(n_classes), random.integers(0, n_classes, 60 - n_classes)]]
    found = shortcuts.auc(values, marks)
    for row, of_property in zip(found, values, strict=True):
        for k, each in enumerate(row):
            theirs = roc_auc_score(marks[:, k], of_property)
            assert each == pytest.approx(max(theirs, 1 - theirs))


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_auc_does_not_depend_on_order_or_a_monotone_scale(seed: int) -> None:
    random = np.random.default_rng(seed)
    values, marks = random.normal(size=(1, 50)), random.random((50, 2)) < 0.4
    order = random.permutation(50)
    found = shortcuts.auc(values, marks)
    assert shortcuts.auc(values[:, order], marks[order]) == pytest.approx(found)
    assert shortcuts.auc(np.exp(values), marks) == pytest.approx(found)
    assert shortcuts.auc(-values, marks) == pytest.approx(found)


def test_class_of_all_or_none_is_told_by_nothing_and_a_missing_value_is_the_lowest() -> None:
    marks = np.array([[1, 0, 1], [1, 0, 1], [1, 0, 0]], bool)
    assert shortcuts.auc(np.array([[1.0, 2.0, np.nan]]), marks).tolist() == [[0.5, 0.5, 1.0]]


def test_deviation_is_that_of_the_paper() -> None:
    """Hanley and McNeil's own example: an area of 0.893 over 51 abnormal and 58 normal images has an error of 0.032."""
    found = shortcuts.deviation(np.array(0.893), np.array(51), np.array(58))
    assert float(found) == pytest.approx(0.032, abs=0.001)


def pictures(seed: int, n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels [N, 60] of smooth random borders, and three classes that have nothing to do with them."""
    random = np.random.default_rng(seed)
    level = random.integers(40, 200, (n, 1)) + random.normal(0, 25, (n, 60))
    return level.clip(0, 255).astype(np.uint8), np.eye(3, dtype=bool)[np.arange(n) % 3]


def test_probe_finds_a_stamp_and_nothing_else() -> None:
    pixels, marks = pictures(0)
    assert shortcuts.probe(pixels, marks, np.arange(600)).max() < 0.6
    stamped = pixels.copy()
    stamped[marks[:, 1], :2] = 255
    found = shortcuts.probe(stamped, marks, np.arange(600))
    assert found[1] > 0.95
    assert (shortcuts.probe(stamped, marks, np.arange(600)) == found).all()


def leads(n: int, strength: float, seed: int, stamped: int = 0) -> np.ndarray:
    """Return the lead of three classes of n images whose border and centre tell them equally well but for a stamp."""
    draw, marks = np.random.default_rng(seed), np.repeat(np.eye(3, dtype=bool), n, axis=0)
    pixels = 120 + draw.normal(0, 25, (3 * n, 2, 60))
    pixels[:, :, :3] += strength * 25 * marks[:, None, :]  # each class is told by a pixel of its own
    pixels[:n, 0, :stamped] = 255
    rows = pd.DataFrame({"label": np.repeat(["a", "b", "c"], n), "group": ""})
    classes = ["a", "b", "c"]
    found = shortcuts._borders({}, rows, pixels.clip(0, 255).astype(np.uint8), classes, marks)
    return found["lead"].to_numpy()


@pytest.mark.slow
@pytest.mark.parametrize("n", [12, 40])
@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_border_leads_by_what_is_beyond_chance(n: int, strength: float) -> None:
    """Of 40 images a class the border led the centre by more than 0.15 in 10 of 40 draws of photos."""
    assert sum(bool((leads(n, strength, seed) > 0.15).any()) for seed in range(20)) <= 1


@pytest.mark.parametrize("n", [40, 250])
def test_stamp_leads_and_the_class_that_has_it_is_named(n: int) -> None:
    found = [leads(n, 0.5, seed, stamped=2) > 0.15 for seed in range(10)]
    assert all(each[0] for each in found)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_one_pixel_of_any_level_tells_its_class(level: int) -> None:
    pixels, marks = pictures(0)
    assert shortcuts.places(pixels, marks).max() < 0.65
    stamped = pixels.copy()
    stamped[marks[:, 1], 7] = level
    found = shortcuts.places(stamped, marks)
    score = -np.abs(stamped[:, 7].astype(float) - level)
    assert found[1] == pytest.approx(roc_auc_score(marks[:, 1], score))
    assert found[1] > 0.95
    assert found[[0, 2]].max() < 0.85  # half of what they are told from is stamped


def test_a_background_of_all_is_no_place_and_few_images_have_none() -> None:
    """A digit that keeps clear of an edge has the level of the paper there: that is its shape, and no stamp."""
    random = np.random.default_rng(0)
    marks = np.eye(3, dtype=bool)[np.arange(600) % 3]
    pixels = np.where(random.random((600, 60)) < 0.5, 0, random.integers(1, 256, (600, 60))).astype(np.uint8)
    pixels[:, 7] = np.where(marks[:, 1], 0, 200)
    assert shortcuts.places(pixels, marks)[1] < 0.7
    assert (shortcuts.places(pixels[:24], marks[:24]) == 0.5).all()


def test_what_only_a_group_has_is_not_learned() -> None:
    """Each group has a class and a border of its own, so that only a split through groups would tell the class."""
    random = np.random.default_rng(0)
    group = np.arange(40).repeat(15)
    pixels = random.integers(0, 256, (40, 60))[group] + random.normal(0, 3, (600, 60))
    marks = np.eye(2, dtype=bool)[random.permutation(np.arange(40) % 2)[group]]
    byte = pixels.clip(0, 255).astype(np.uint8)
    assert shortcuts.probe(byte, marks, group).max() < 0.75
    assert shortcuts.probe(byte, marks, np.arange(600)).min() > 0.95


def test_too_few_images_or_units_say_nothing() -> None:
    pixels, marks = pictures(0, 24)
    assert (shortcuts.probe(pixels, marks, np.arange(24)) == 0.5).all()
    pixels, marks = pictures(0)
    assert (shortcuts.probe(pixels, marks, np.arange(600) % 4) == 0.5).all()


def test_sample_holds_all_images_of_rare_classes() -> None:
    marks = np.zeros((20_000, 3), bool)
    marks[:, 0], marks[:50, 1], marks[50:, 2] = True, True, True
    chosen = shortcuts.sample(marks, 0)
    assert len(chosen) == shortcuts.SAMPLE
    assert set(range(50)) <= set(chosen.tolist())
    assert len(set(chosen.tolist())) == shortcuts.SAMPLE
    assert shortcuts.sample(marks[:100], 0).tolist() == list(range(100))


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_association_is_cramers_v_less_what_chance_gives(seed: int) -> None:
    random = np.random.default_rng(seed)
    one, other = (pd.Series(random.integers(0, 3, 300)).astype("str") for _ in range(2))
    table = pd.crosstab(one, other).to_numpy()
    assert shortcuts.association(one, other) <= contingency.association(table, method="cramer") + 1e-9


def test_association_of_the_same_and_of_one_value() -> None:
    names = pd.Series(["a", "b"] * 50)
    assert shortcuts.association(names, names) == pytest.approx(1)
    assert shortcuts.association(names, pd.Series(["x"] * 100)) == 0
