"""Surveys of tables: silence on clean re-draws, and what was put in is named."""

import numpy as np
import pandas as pd
import pytest
from cases import as_approved, images
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.inference.monitoring import page, survey
from assay.validation.profile import distance
from assay.validation.profile.approved import Profile

LABELS = ("cat", "dog", "owl")
LEVEL = {"cat": 60, "dog": 100, "owl": 140}  # of brightness


def drawn(random: np.random.Generator, n_groups: int, shares: tuple[float, ...] = (0.4, 0.35, 0.25)) -> pd.DataFrame:
    """Return a table of groups of 12 images: their light is that of the group, their brightness that of the class too.

    `predicted` and `probability` are those of a model that has 5 % wrong, whose sureness depends on class and group.
    """
    group = np.arange(n_groups).repeat(12)
    label = random.choice(LABELS, len(group), p=shares)
    rows = images("cat", train=len(group)).assign(label=label, group=[f"{n:04}" for n in group])
    rows["path"] = rows["sha256"] = [f"{number:05}.png" for number in range(len(rows))]
    light = random.normal(0, 8, n_groups)[group]
    rows["brightness"] = pd.Series(label).map(LEVEL) + light + random.normal(0, 8, len(group))
    rows["noise"] = random.gamma(9, 0.3, len(group))
    rows["sharpness"] = random.gamma(4, 2, len(group)) + random.normal(0, 1, n_groups)[group]
    is_wrong = random.random(len(group)) < 0.05
    rows["predicted"] = np.where(is_wrong, random.choice(LABELS, len(group)), label)
    sure = random.beta(np.where(label == "owl", 5, 12), 1) - 0.02 * np.abs(random.normal(0, 1, n_groups)[group])
    return rows.assign(probability=sure.clip(0, 1).round(6))


Test = tuple[pd.DataFrame, survey.Seen]


def as_tested(random: np.random.Generator, n_groups: int) -> Test:
    table = drawn(random, n_groups)
    return table, survey.seen(table, "single_label")


def moved(approved: Profile, rows: pd.DataFrame, test: Test | None) -> dict[str, set[str]]:
    """Return what moved, by the question."""
    pixels = survey.pixels(approved, rows, test[0] if test else None)
    others = survey.predictions(test[1], rows) if test else []
    found = {each.name: {each.name} if each.has_moved else set() for each in others}
    return found | {"pixels": {each.name for each in pixels if each.has_moved}}


@pytest.fixture(scope="module")
def approved() -> Profile:
    return as_approved(drawn(np.random.default_rng(1), 120))


@pytest.fixture(scope="module")
def test_set() -> Test:
    return as_tested(np.random.default_rng(2), 40)


@pytest.mark.slow
def test_clean_images_are_silent_and_what_was_put_in_is_named(approved: Profile, test_set: Test) -> None:
    clean = drawn(np.random.default_rng(3), 30)
    silent: dict[str, set[str]] = {"pixels": set(), "predicted classes": set(), "confidence": set()}
    assert moved(approved, clean, test_set) == silent
    noisy = clean.assign(noise=clean["noise"] * 1.8)
    assert moved(approved, noisy, test_set) == silent | {"pixels": {"noise"}}
    assert moved(approved, noisy, None) == {"pixels": {"noise"}}
    dark = clean.assign(brightness=clean["brightness"] - 35)
    assert moved(approved, dark, test_set)["pixels"] == {"brightness"}
    unsure = clean.assign(probability=clean["probability"] * 0.8)
    assert moved(approved, unsure, test_set) == silent | {"confidence": {"confidence"}}


def test_other_class_shares_are_those_of_the_prediction_alone(approved: Profile, test_set: Test) -> None:
    owls = drawn(np.random.default_rng(4), 30, (0.05, 0.1, 0.85))
    found = moved(approved, owls, test_set)
    assert found == {"pixels": set(), "predicted classes": {"predicted classes"}, "confidence": set()}
    assert moved(approved, owls, None) == {"pixels": set()}
    (shares,) = [each for each in survey.predictions(test_set[1], owls) if each.of]
    assert (shares.of, shares.now) == ("owl", pytest.approx(0.85, abs=0.06))


def test_medians_are_those_of_the_images() -> None:
    rows = drawn(np.random.default_rng(1), 40)
    rows["p50"] = np.where(np.arange(len(rows)) % 20 < 11, 32, np.arange(len(rows)))  # a value that many share
    found = {each.name: each for each in survey.pixels(as_approved(rows), rows, None)}
    brightness = float(np.quantile(rows["brightness"], 0.5, method="inverted_cdf"))
    assert found["brightness"].before == pytest.approx(brightness, rel=1e-5)
    assert found["brightness"].now == pytest.approx(brightness, rel=1e-5)
    middle = float(np.quantile(rows["p50"], 0.5, method="inverted_cdf"))
    assert (found["p50"].before, found["p50"].now) == (middle, middle)


SETS = ("", "cat", "cat|dog", "cat|dog|owl", "dog", "owl")


def named(random: np.random.Generator, n: int, shares: tuple[float, ...]) -> pd.DataFrame:
    """Return images whose predicted labels are of a multi-label set, `shares` of SETS."""
    predicted = random.choice(SETS, n, p=shares)
    return pd.DataFrame({"predicted": predicted, "probability": random.beta(12, 1, n).round(6), "group": ""})


def test_classes_of_a_multi_label_set_are_told_by_the_share_of_the_images_in_them() -> None:
    random = np.random.default_rng(5)
    usual = (0.2, 0.2, 0.15, 0.05, 0.2, 0.2)
    test = survey.seen(named(random, 400, usual), "multi_label")
    silent = [survey.predictions(test, named(random, 300, usual))[0] for _ in range(100)]
    assert sum(each.has_moved for each in silent) <= 4  # of 100: with a rate of 1 % more are seen once in 300 times
    # All classes become as much rarer, or commoner: among the marks nothing moves.
    for shares, most in [((0.8, 0.05, 0.0375, 0.0125, 0.05, 0.05), 0.3), ((0.02, 0.02, 0.02, 0.9, 0.02, 0.02), 0.6)]:
        found = survey.predictions(test, named(random, 300, shares))[0]
        assert found.has_moved
        assert (
            abs(found.now - found.before) == pytest.approx(found.statistic, abs=1e-3) == pytest.approx(most, abs=0.12)
        )
    green = survey.predictions(test, named(random, 300, (0, 0.2, 0.35, 0.05, 0.4, 0)))[0]
    assert (green.of, green.has_moved) == ("dog", True)
    assert green.now == pytest.approx(0.8, abs=0.06)


def test_images_that_are_all_in_no_class_are_no_drift_beside_such() -> None:
    random = np.random.default_rng(6)
    nothing = (1.0, 0, 0, 0, 0, 0)
    test = survey.seen(named(random, 100, nothing), "multi_label")
    found = survey.predictions(test, named(random, 50, nothing))[0]
    assert (found.of, found.has_moved, found.before, found.now) == ("", False, 0, 0)


def test_surest_images_of_a_class_are_those_that_are_in_others_too() -> None:
    rows = pd.DataFrame({"path": list("abc"), "predicted": ["cat|dog", "dog", "cat"], "probability": [0.9, 0.8, 0.7]})
    more = survey.Comparison(name="predicted classes", statistic=0.5, limit=0.1, before=0.1, now=0.6, of="cat")
    groups = page.chosen(rows, [more], None, "multi_label")
    assert (groups[0].title, groups[0].paths) == ("named 'cat': the surest", ("a", "c"))


def test_images_without_a_group_are_taken_to_come_in_groups_as_the_approved_do(approved: Profile) -> None:
    clean = drawn(np.random.default_rng(3), 30)
    known = survey.drawn(clean["group"], approved.nulls, approved.n_images)
    unknown = survey.drawn(clean["group"].where(clean.index < 0), approved.nulls, approved.n_images)
    assert known["group"] == unknown["group"] == 30
    assert known["image"] == 360


def test_image_that_shows_a_move_best_is_first() -> None:
    values = np.array([5.0, 90.0, 7.0, 99.0, 95.0])
    edges = distance.edges(np.arange(50.0)[None])[0]
    counts = distance.counts(distance.cells(np.arange(50.0)[None], edges[None]), np.zeros(50, int), 1)
    shares = distance.cumulative(counts)[0, 0]
    assert survey.extremes(values, edges, shares, 2).tolist() == [3, 4]
    assert survey.extremes(-values, edges, shares, 2).tolist() == [3, 4]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_distance_to_the_nearest_mixture_is_that_of_trying_them_all(seed: int, slack: float) -> None:
    random = np.random.default_rng(seed)
    one, other, seen = (np.sort(random.random(9)) for _ in range(3))
    share = random.random()
    found = survey.unexplained(seen, np.stack([one, other]), np.array([share, 1 - share]), slack)
    tried = np.linspace(max(0, share - slack), min(1, share + slack), 2001)[:, None]
    assert found == pytest.approx(np.abs(tried * one + (1 - tried) * other - seen).max(axis=1).min(), abs=1e-3)


@pytest.mark.slow
def test_error_rate_on_clean_images_is_that_of_the_gates() -> None:
    """Five approvals, sixty looks at each: each question is wrong at most as often as one in a hundred allows."""
    random = np.random.default_rng(0)
    wrong = {"pixels": 0, "predicted classes": 0, "confidence": 0}
    for _ in range(5):
        approved, test = as_approved(drawn(random, 80)), as_tested(random, 30)
        for look in range(60):
            rows = drawn(random, int(random.integers(3, 40)))
            rows["group"] = rows["group"] if look % 2 else None
            for question, names in moved(approved, rows, test).items():
                wrong[question] += bool(names)
    assert max(wrong.values()) <= 8  # of 300: with a rate of 1 % more are seen once in 300 times
