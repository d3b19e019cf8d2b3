import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.evaluation import slices


def table(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    label = rng.choice(["cat", "dog"], n)
    return pd.DataFrame(
        {
            "path": [f"{name}/{at}.png" for at, name in enumerate(label)],
            "label": label,
            "sha256": [f"{at:064x}" for at in range(n)],
            "brightness": rng.uniform(0, 255, n),
            "width_px": pd.array(rng.choice([16, 32], n), "Int64"),
            "height_px": pd.array(np.full(n, 16), "Int64"),
            "camera": pd.array(rng.choice(["X100", "P20", None], n), "string"),
        }
    )


def found(
    rows: pd.DataFrame, right: np.ndarray, groups: np.ndarray | None = None
) -> dict[tuple[str, str], slices.Slice]:
    groups = np.arange(len(rows)) if groups is None else groups
    return {(each.column, each.value): each for each in slices.find(rows, right, groups, "single_label", 0.95)}


def test_weak_camera_is_named_with_its_images_and_nothing_else() -> None:
    rows = table(600)
    wrong = (rows["camera"] == "P20").fillna(False).to_numpy(bool) & (np.arange(600) % 3 == 0)
    of = found(rows, ~wrong)
    assert [key for key, each in of.items() if each.is_worse] == [("camera", "P20")]
    worst = of["camera", "P20"]
    assert worst.rest == 1
    assert worst.share.value == pytest.approx(1 - wrong.sum() / (rows["camera"] == "P20").sum())
    assert len(worst.wrong) == slices.SHOWN
    assert wrong[list(worst.wrong)].all()
    assert next(iter(of.values())) == worst


def test_p_value_is_fishers() -> None:
    rows, rng = table(300), np.random.default_rng(2)
    right, mask = rng.random(300) < 0.8, (rows["label"] == "cat").to_numpy()
    counts = [[(mask & ~right).sum(), (mask & right).sum()], [(~mask & ~right).sum(), (~mask & right).sum()]]
    theirs = scipy.stats.fisher_exact(counts, alternative="greater").pvalue
    assert slices.worse(right, mask, 1.0) == pytest.approx(theirs)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_that_of_its_definition(p_values: list[float]) -> None:
    adjusted = slices.holm(np.array(p_values))
    m = len(p_values)
    ranked = sorted(range(m), key=lambda at: p_values[at])
    for rank, at in enumerate(ranked):
        expected = max(min(1.0, (m - before) * p_values[ranked[before]]) for before in range(rank + 1))
        assert adjusted[at] == pytest.approx(expected)
    assert (adjusted >= np.array(p_values) - 1e-12).all()


def test_columns_are_cut_into_values_and_ranges() -> None:
    of = found(table(600), np.ones(600, bool))
    assert {column for column, _ in of} == {"class", "brightness", "width_px", "area_px", "camera"}
    assert {value for column, value in of if column == "width_px"} == {"16", "32"}
    assert {value for column, value in of if column == "camera"} == {"X100", "P20", "(unknown)"}
    assert sum(each.share.n for (column, _), each in of.items() if column == "brightness") == 600
    assert not any(each.is_worse for each in of.values())


def test_slice_of_few_groups_is_not_looked_at() -> None:
    rows = table(600)
    rows.loc[:28, "camera"] = "rare"
    assert ("camera", "rare") not in found(rows, np.ones(600, bool))
    rows.loc[:29, "camera"] = "rare"
    assert ("camera", "rare") in found(rows, np.ones(600, bool))
    assert ("camera", "rare") not in found(rows, np.ones(600, bool), np.arange(600) // 2)


def test_a_column_that_says_nothing_and_an_empty_table_give_no_slice() -> None:
    rows = table(100).assign(camera="one", note=None)
    assert not any(column in ("camera", "note") for column, _ in found(rows, np.ones(100, bool)))
    assert found(table(1), np.ones(1, bool)) == {}


def test_multi_label_image_is_in_the_slice_of_each_of_its_classes() -> None:
    rows = table(200).assign(label=["cat|dog", "cat", "dog", ""] * 50)
    of = slices.find(rows, np.ones(200, bool), np.arange(200), "multi_label", 0.95)
    assert {(each.value, each.share.n) for each in of if each.column == "class"} == {("cat", 100), ("dog", 100)}


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 8])
def test_chance_is_named_in_one_set_of_twenty_at_most(size: int) -> None:
    """160 groups of which all, or most, are right or wrong together; camera and brightness go by group."""
    n_accused, rng = 0, np.random.default_rng(7)
    for seed in range(60):
        of_groups = table(160, seed)
        rows = of_groups.loc[of_groups.index.repeat(size)].reset_index(drop=True)
        groups = np.repeat(np.arange(160), size)
        right = rng.random(len(rows)) < np.repeat(rng.beta(2.7, 0.3, 160), size)
        n_accused += any(each.is_worse for each in found(rows, right, groups).values())
    assert n_accused <= 8  # 3 are the most to expect; more than 8 come once in 250
