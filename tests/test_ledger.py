from pathlib import Path

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from assay import ledger
from assay.manifest import SPLITS

SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}


def rows(*images: tuple[str, str | None, str | None]) -> pd.DataFrame:
    """Return images of (sha256, pixels, label)."""
    return pd.DataFrame(images, columns=["sha256", "pixels", "label"])


def grow(known: pd.DataFrame, *images: tuple[str, str | None, str | None]) -> pd.DataFrame:
    return ledger.extend(known, rows(*images), SHARES)


def empty() -> pd.DataFrame:
    return ledger.read(Path("no such file"))


def numbered(n: int, label: str = "cat") -> list[tuple[str, str | None, str | None]]:
    return [(f"{label}{i:04d}", f"{label}-{i:04d}", label) for i in range(n)]


def test_shares_are_met_in_every_class() -> None:
    found = grow(empty(), *numbered(100), *numbered(50, "dog"))
    counts = found.groupby([found["sha256"].str[:3], "split"]).size()
    assert counts.to_dict() == {
        ("cat", "train"): 70, ("cat", "val"): 10, ("cat", "test"): 20,
        ("dog", "train"): 35, ("dog", "val"): 5, ("dog", "test"): 10,
    }  # fmt: skip


def test_second_image_of_a_class_is_a_test_image() -> None:
    assert grow(empty(), *numbered(2))["split"].tolist() == ["train", "test"]


def test_copies_share_a_split_also_when_they_come_later() -> None:
    found = grow(empty(), *numbered(30))
    later = grow(found, *numbered(30), *[(f"copy{i:02d}", f"cat-{i:04d}", "cat") for i in range(30)])
    split = later.set_index("sha256")["split"]
    assert all(split[f"copy{i:02d}"] == split[f"cat{i:04d}"] for i in range(30))


def test_new_images_are_a_batch_of_their_own() -> None:
    found = grow(grow(empty(), *numbered(3)), *numbered(5))
    assert found["batch"].tolist() == [1, 1, 1, 2, 2]


def test_removed_image_keeps_its_row_and_split_for_its_return() -> None:
    found = grow(empty(), *numbered(20))
    without = grow(found, *numbered(10))
    assert without.equals(found)
    assert grow(without, *numbered(20)).equals(found)


def test_undecodable_image_has_no_split_until_it_can_be_decoded() -> None:
    found = grow(empty(), *numbered(4), ("broken", None, "cat"))
    assert found.set_index("sha256").loc["broken", ["group", "split"]].tolist() == ["", ""]
    mended = grow(found, *numbered(4), ("broken", "cat-broken", "cat"))
    assert mended.set_index("sha256").loc["broken", "split"] in SPLITS


def test_ledger_comes_back_as_it_was(tmp_path: Path) -> None:
    found = grow(empty(), ("007", "001", "1e5"), ("008", None, "cat"))
    ledger.write(tmp_path / "ledger.csv", found)
    assert ledger.read(tmp_path / "ledger.csv").to_dict() == found.to_dict()


pictures = st.tuples(st.integers(0, 60), st.sampled_from(["cat", "dog", None]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(pictures, min_size=1, max_size=30), min_size=1, max_size=6))
def test_no_growth_moves_an_image_or_splits_a_group(steps: list[list[tuple[int, str | None]]]) -> None:
    known, images = empty(), {}
    for step in steps:
        images |= {number: (f"{number:02d}", f"pixels{number % 26:02d}", label) for number, label in step}
        grown = grow(known, *images.values())
        both = known.merge(grown, on="sha256", suffixes=("", "_new"))
        settled = both[both["split"] != ""]
        assert len(both) == len(known)
        assert (settled["split"] == settled["split_new"]).all()
        assert (both["batch"] == both["batch_new"]).all()
        assert (grown[grown["group"] != ""].groupby("group")["split"].nunique() == 1).all()
        known = grown
