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


def given_rows(*images: tuple[str, str, str, str | None, str | None]) -> pd.DataFrame:
    """Return images of (sha256, pixels, label, given group, given split)."""
    return pd.DataFrame(images, columns=["sha256", "pixels", "label", "given_group", "given_split"])


def column(found: pd.DataFrame, name: str) -> dict[str, str]:
    return dict(zip(found["sha256"], found[name], strict=True))


def test_given_split_is_that_of_the_image_and_of_its_copies() -> None:
    images = given_rows(
        *[(f"{i}", f"p{i}", "cat", None, split) for i, split in enumerate(["test", "val", "train", "val", "val"])],
        ("copy", "p1", "cat", None, None),
    )
    found = ledger.extend(empty(), images, SHARES)
    expected = {"0": "test", "1": "val", "2": "train", "3": "val", "4": "val", "copy": "val"}
    assert column(found, "split") == expected
    assert ledger.contradictions(found, images).empty


def test_given_test_is_complete_and_the_others_share_the_rest() -> None:
    given_test = [(f"test{i}", f"t{i}", "cat", None, "test") for i in range(10)]
    images = given_rows(*given_test, *[(f"free{i}", f"f{i}", "cat", None, None) for i in range(80)])
    assert ledger.extend(empty(), images, SHARES)["split"].value_counts().to_dict() == {
        "train": 70, "val": 10, "test": 10,
    }  # fmt: skip


def test_chain_of_given_groups_and_equal_pixels_is_one_group() -> None:
    images = given_rows(
        ("a", "p1", "cat", "g1", None), ("b", "p2", "cat", "g1", None), ("c", "p2", "cat", "g2", None),
        ("d", "p3", "cat", "g2", None), ("e", "p4", "cat", None, None),
    )  # fmt: skip
    found = ledger.extend(empty(), images, SHARES)
    groups = column(found, "group")
    assert groups["a"] == groups["b"] == groups["c"] == groups["d"] != groups["e"]
    assert found.groupby("group")["split"].nunique().max() == 1


def test_group_keeps_its_split_for_an_image_that_comes_when_the_first_is_gone() -> None:
    first = ledger.extend(empty(), given_rows(("a", "p1", "cat", "g", "test")), SHARES)
    later = ledger.extend(first, given_rows(("b", "p2", "cat", "g", None)), SHARES)
    assert column(later, "split") == {"a": "test", "b": "test"}


def test_group_that_is_given_later_takes_in_new_images_under_its_old_name() -> None:
    known = grow(empty(), ("a", "p1", "cat"), ("b", "p2", "cat"))
    images = given_rows(("b", "p2", "cat", "g", None), ("c", "p3", "cat", "g", None))
    found = ledger.extend(known, images, SHARES)
    assert column(found, "group") == {"a": "p1", "b": "p2", "c": "p2"}
    assert column(found, "split") == {"a": "train", "b": "test", "c": "test"}


def test_given_split_that_the_ledger_contradicts_moves_nothing_and_is_reported() -> None:
    known = ledger.extend(empty(), given_rows(("a", "p1", "cat", None, "train")), SHARES)
    images = given_rows(("a", "p1", "cat", None, "test"), ("b", "p1", "cat", None, "test"))
    found = ledger.extend(known, images, SHARES)
    assert column(found, "split") == {"a": "train", "b": "train"}
    assert ledger.contradictions(found, images)["reason"].tolist() == ["given test, but in train with group p1"] * 2


def test_group_that_is_given_two_splits_is_reported_by_its_name() -> None:
    images = given_rows(("a", "p1", "cat", "pat7", "train"), ("b", "p2", "cat", "pat7", "test"))
    found = ledger.extend(empty(), images, SHARES)
    assert found["split"].nunique() == 1
    wrong = ledger.contradictions(found, images)
    assert len(wrong) == 1
    assert wrong.loc[0, "reason"].endswith("with group pat7")


def test_one_content_that_is_given_two_splits_is_reported() -> None:
    images = given_rows(("a", "p1", "cat", None, "train"), ("a", "p1", "cat", None, "test"))
    assert len(ledger.contradictions(ledger.extend(empty(), images, SHARES), images)) == 1


def test_given_group_over_images_that_have_two_splits_moves_nothing_and_is_reported() -> None:
    known = grow(empty(), ("a", "p1", "cat"), ("b", "p2", "cat"))
    images = given_rows(("a", "p1", "cat", "g", None), ("b", "p2", "cat", "g", None))
    found = ledger.extend(known, images, SHARES)
    assert found.equals(known)
    assert ledger.contradictions(found, images)["reason"].tolist() == [
        "in train, but its group g is in other splits too",
        "in test, but its group g is in other splits too",
    ]


given_pictures = st.tuples(
    st.integers(0, 12), st.sampled_from(["cat", "dog"]), st.sampled_from([None, "g1", "g2"]),
    st.sampled_from([None, None, "train", "test"]),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(given_pictures, min_size=1, max_size=12), min_size=1, max_size=3))
def test_what_is_not_reported_is_as_given_and_no_row_moves(
    steps: list[list[tuple[int, str, str | None, str | None]]],
) -> None:
    known = empty()
    for step in steps:
        images = given_rows(*[(f"{n:02d}", f"pixels{n % 9}", label, *given) for n, label, *given in step])
        grown = ledger.extend(known, images, SHARES)
        assert grown.iloc[: len(known)].equals(known)
        both = images.merge(grown, on="sha256")
        wrong = ledger.contradictions(grown, images)
        assert ((both["given_split"].notna()) & (both["given_split"] != both["split"])).any() <= (len(wrong) > 0)
        if wrong.empty:
            assert both.groupby("pixels")["split"].nunique().max() == 1
            assert not (both.groupby("given_group")["split"].nunique() > 1).any()
        known = grown


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
