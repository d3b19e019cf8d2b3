from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledgers import SHARES, column, empty, given_rows, grow, numbered, paired, reasons, rows

from assay.dataset import splits as ledger
from assay.errors import AssayError
from assay.labels import SPLITS


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


@given(st.lists(st.text(st.sampled_from('aN/\r\n",; é\u2028'))))
def test_ledger_comes_back_whatever_a_group_is_called(
    tmp_path_factory: pytest.TempPathFactory, groups: list[str]
) -> None:
    file = tmp_path_factory.mktemp("ledger") / "ledger.csv"
    names = [f"{number:04d}" for number in range(len(groups))]
    known = pd.DataFrame({"sha256": names, "group": groups, "split": "train", "batch": 1})
    known = known.astype({"sha256": "str", "group": "str", "split": "str", "batch": "int64"})
    ledger.write(file, known)
    pd.testing.assert_frame_equal(ledger.read(file), known)


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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no ledger: Empty CSV file"),
        ("<<<<<<< HEAD\nsha256,group,split,batch\n", "no ledger"),
        ("sha256,group,split,batch\n<<<<<<< HEAD\na,g,train,1\n", "no ledger"),
        ("sha256,group,split,batch\na,g,train,\n", "no ledger"),
        ("sha256,group,split,batch\na,g,train,1\na,g,train,1\n", "a is listed twice"),
        ("sha256,group,split,batch\na,g,Train,1\n", "'Train' is no split"),
    ],
)
def test_ledger_that_a_merge_has_damaged_is_named(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "ledger.csv").write_text(text)
    with pytest.raises(AssayError, match=rf"ledger\.csv: {said}.*take the file of one side of the merge whole"):
        ledger.read(tmp_path / "ledger.csv")


def test_given_split_is_that_of_the_image_and_of_its_copies() -> None:
    images = given_rows(
        *[(f"{i}", f"p{i}", "cat", None, split) for i, split in enumerate(["test", "val", "train", "val", "val"])],
        ("copy", "p1", "cat", None, None),
    )
    found = ledger.extend(empty(), images, SHARES, paired())
    expected = {"0": "test", "1": "val", "2": "train", "3": "val", "4": "val", "copy": "val"}
    assert column(found, "split") == expected
    assert ledger.contradictions(found, images).empty


def test_given_test_is_complete_and_the_others_share_the_rest() -> None:
    given_test = [(f"test{i}", f"t{i}", "cat", None, "test") for i in range(10)]
    images = given_rows(*given_test, *[(f"free{i}", f"f{i}", "cat", None, None) for i in range(80)])
    assert ledger.extend(empty(), images, SHARES, paired())["split"].value_counts().to_dict() == {
        "train": 70, "val": 10, "test": 10,
    }  # fmt: skip


def test_chain_of_given_groups_and_equal_pixels_is_one_group() -> None:
    images = given_rows(
        ("a", "p1", "cat", "g1", None), ("b", "p2", "cat", "g1", None), ("c", "p2", "cat", "g2", None),
        ("d", "p3", "cat", "g2", None), ("e", "p4", "cat", None, None),
    )  # fmt: skip
    found = ledger.extend(empty(), images, SHARES, paired())
    groups = column(found, "group")
    assert groups["a"] == groups["b"] == groups["c"] == groups["d"] != groups["e"]
    assert found.groupby("group")["split"].nunique().max() == 1


def test_group_keeps_its_split_for_an_image_that_comes_when_the_first_is_gone() -> None:
    first = ledger.extend(empty(), given_rows(("a", "p1", "cat", "g", "test")), SHARES, paired())
    later = ledger.extend(first, given_rows(("b", "p2", "cat", "g", None)), SHARES, paired())
    assert column(later, "split") == {"a": "test", "b": "test"}


def test_group_that_is_given_later_takes_in_new_images_under_its_old_name() -> None:
    known = grow(empty(), ("a", "p1", "cat"), ("b", "p2", "cat"))
    images = given_rows(("b", "p2", "cat", "g", None), ("c", "p3", "cat", "g", None))
    found = ledger.extend(known, images, SHARES, paired())
    assert column(found, "group") == {"a": "p1", "b": "p2", "c": "p2"}
    assert column(found, "split") == {"a": "train", "b": "test", "c": "test"}


def test_given_split_that_the_ledger_contradicts_moves_nothing_and_is_reported() -> None:
    known = ledger.extend(empty(), given_rows(("a", "p1", "cat", None, "train")), SHARES, paired())
    images = given_rows(("a", "p1", "cat", None, "test"), ("b", "p1", "cat", None, "test"))
    found = ledger.extend(known, images, SHARES, paired())
    assert column(found, "split") == {"a": "train", "b": "test"}
    assert ledger.contradictions(found, images)["reason"].tolist() == ["given test, but in train with group p1-train"]


def test_group_that_is_given_two_splits_is_reported_by_its_name() -> None:
    images = given_rows(("a", "p1", "cat", "pat7", "train"), ("b", "p2", "cat", "pat7", "test"))
    found = ledger.extend(empty(), images, SHARES, paired())
    assert found["split"].nunique() == 1
    wrong = ledger.contradictions(found, images)
    assert wrong["reason"].tolist() == [
        "given train, but in test with group pat7",
        "in test, but its group pat7 is given another split too",
    ]


def test_one_content_that_is_given_two_splits_is_in_the_one_worth_most_and_used_there_alone() -> None:
    images = given_rows(("a", "p1", "cat", None, "train"), ("a", "p1", "cat", None, "test"))
    found = ledger.extend(empty(), images, SHARES, paired())
    assert column(found, "split") == {"a": "test"}
    assert ledger.contradictions(found, images).empty
    assert reasons(found, images) == ["given train, but the same file is in test", ""]


def test_one_content_in_groups_of_two_splits_takes_no_group_to_another_split() -> None:
    images = given_rows(
        ("a", "p1", "cat", "g1", "train"), ("b", "p2", "cat", "g2", "test"),
        ("blank", "p3", "cat", "g1", "train"), ("blank", "p3", "cat", "g2", "test"),
    )  # fmt: skip
    found = ledger.extend(empty(), images, SHARES, paired())
    assert column(found, "split") == {"a": "train", "b": "test", "blank": "test"}
    assert found.groupby("group")["split"].nunique().max() == 1
    assert ledger.contradictions(found, images).empty
    assert reasons(found, images) == ["", "", "given train, but the same file is in test", ""]


def test_copies_that_are_given_two_splits_keep_them_and_only_the_one_worth_most_is_used() -> None:
    images = given_rows(
        ("a", "p1", "cat", None, "train"), ("b", "p1", "cat", None, "test"), ("c", "p1", "cat", None, None),
        ("d", "p2", "cat", None, "val"), ("e", "p2", "cat", None, "train"), ("f", "p3", "cat", None, "test"),
        ("g", "p4", "cat", None, "train"),
    )  # fmt: skip
    near = paired(("d", "f"), ("d", "g"))
    found = ledger.extend(empty(), images, SHARES, near)
    assert "".join(column(found, "split")[name][1] for name in "abcdefg") == "rerarer"
    assert found.groupby("group")["split"].nunique().max() == 1
    assert ledger.contradictions(found, images).empty
    of_b, of_f = "copy of b, which is in test", "near-duplicate of f, which is in test"
    # e shows what f shows, for it is a copy of d; g may stay, for d is not used.
    assert reasons(found, images, near) == [of_b, "", of_b, of_f, of_f, "", ""]


def test_near_duplicates_are_one_group_now_and_later() -> None:
    near = paired(("cat0000", "cat0005"), ("cat0007", "cat0005"), ("new", "cat0003"))
    found = ledger.extend(empty(), rows(*numbered(30)), SHARES, near[:2])
    groups, splits = column(found, "group"), column(found, "split")
    assert groups["cat0000"] == groups["cat0005"] == groups["cat0007"]
    assert found["group"].nunique() == 28
    later = ledger.extend(found, rows(*numbered(30), ("new", "p", "cat")), SHARES, near)
    assert column(later, "group")["new"] == groups["cat0003"]
    assert column(later, "split") == splits | {"new": splits["cat0003"]}


def test_image_like_two_of_different_splits_goes_to_train_and_is_not_used() -> None:
    known = grow(empty(), ("a", "p1", "cat"), ("b", "p2", "cat"))
    images, near = rows(("a", "p1", "cat"), ("b", "p2", "cat"), ("c", "p3", "cat")), paired(("a", "c"), ("b", "c"))
    found = ledger.extend(known, images, SHARES, near)
    assert column(found, "split") == {"a": "train", "b": "test", "c": "train"}
    assert reasons(found, images, near) == ["", "", "near-duplicate of b, which is in test"]


def test_of_several_in_another_split_the_nearest_is_named() -> None:
    """The first by its path was named: of a leaked copy perhaps a look-alike, and not the copy."""
    images = given_rows(*((name, name, "cat", None, "test") for name in "abc"), ("d", "d", "cat", None, "train"))
    near = pd.concat([paired(("a", "d"), ("d", "c"), distance=0.03), paired(("b", "d"), distance=0.001)])
    found = ledger.extend(empty(), images, SHARES, near)
    assert reasons(found, images, near)[-1] == "near-duplicate of b, which is in test"


def test_batches_are_bounded_in_bytes_and_numbered_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "BATCH_BYTES", 100)
    sizes = rows(*numbered(6)).assign(bytes=[60, 40, 30, 500, 80, 20])
    found = ledger.extend(empty(), sizes, SHARES, paired())
    assert found["batch"].tolist() == [1, 1, 2, 3, 4, 4]
    assert ledger.extend(found, rows(("zebra", "z", "cat")), SHARES, paired())["batch"].tolist() == [
        1,
        1,
        2,
        3,
        4,
        4,
        5,
    ]


def test_shares_of_label_sets_are_met_in_every_class() -> None:
    draws = np.random.default_rng(1).random((3000, 4)) < (0.5, 0.3, 0.1, 0.02)
    sets = ["|".join(np.array(["ant", "bee", "cow", "dog"])[each]) for each in draws]
    found = grow(empty(), *[(f"{i:04d}", f"p{i:04d}", label) for i, label in enumerate(sets)])
    for share, split in ((0.7, "train"), (0.1, "val"), (0.2, "test")):
        is_in = (found["split"] == split).to_numpy()
        assert is_in.mean() == pytest.approx(share, abs=0.01)
        assert is_in[~draws.any(axis=1)].mean() == pytest.approx(share, abs=0.01)
        for name in range(4):
            assert is_in[draws[:, name]].mean() == pytest.approx(share, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_twenty_steps_of_growth_move_nothing_leak_nothing_and_keep_the_shares(seed: int) -> None:
    draw = np.random.default_rng(seed)
    known, images, pairs, n = empty(), [], [], 1200
    for _ in range(21):
        for number in range(len(images), n):
            label = draw.choice(["ant", "bee", "cow|bee", "cow", ""], p=[0.4, 0.3, 0.1, 0.15, 0.05])
            images.append((f"{draw.integers(2**48):012x}{number}", f"p{number - draw.integers(2)}", label))
            if draw.random() < 0.1:
                pairs.append((images[-1][0], images[draw.integers(number + 1)][0]))
        near = paired(*pairs)
        grown = ledger.extend(known, rows(*images), SHARES, near)
        assert grown.iloc[: len(known)].equals(known)
        listed = rows(*images).assign(path="x", given_split=None).merge(grown, on="sha256")
        used = listed[ledger.leaks(listed, near) == ""]
        assert len(used) > 0.95 * len(listed)
        assert used.groupby("pixels")["split"].nunique().max() == 1
        split = used.set_index("sha256")["split"]
        ends = near[near["sha256"].isin(split.index) & near["partner"].isin(split.index)]
        assert (split[ends["sha256"]].to_numpy() == split[ends["partner"]].to_numpy()).all()
        for name in ("ant", "bee", "cow"):
            carries = used["classes"].map(lambda names, name=name: name in names)
            for of_split in SPLITS:
                assert carries[used["split"] == of_split].mean() == pytest.approx(carries.mean(), abs=0.02)
        known, n = grown, int(n * (1 + draw.uniform(0.01, 0.1)))


def test_given_group_over_images_that_have_two_splits_moves_nothing_and_is_reported() -> None:
    known = grow(empty(), ("a", "p1", "cat"), ("b", "p2", "cat"))
    images = given_rows(("a", "p1", "cat", "g", None), ("b", "p2", "cat", "g", None))
    found = ledger.extend(known, images, SHARES, paired())
    assert found.equals(known)
    assert ledger.contradictions(found, images)["reason"].tolist() == [
        "in train, but its group g is in other splits too",
        "in test, but its group g is in other splits too",
    ]


given_pictures = st.tuples(
    st.integers(0, 12), st.sampled_from(["cat", "dog"]), st.sampled_from([None, "g1", "g2"]),
    st.sampled_from([None, None, "train", "test"]),
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(given_pictures, min_size=1, max_size=12), min_size=1, max_size=3))
def test_what_is_not_reported_is_as_given_and_no_row_moves(
    steps: list[list[tuple[int, str, str | None, str | None]]],
) -> None:
    known = empty()
    for step in steps:
        images = given_rows(*[(f"{n:02d}", f"pixels{n % 9}", label, *given) for n, label, *given in step])
        grown = ledger.extend(known, images, SHARES, paired())
        assert grown.iloc[: len(known)].equals(known)
        both = images.merge(grown, on="sha256")
        wrong = ledger.contradictions(grown, images)
        is_as_given = both["given_split"].isna() | (both["given_split"] == both["split"])
        assert is_as_given.groupby(both["sha256"]).any().all() or len(wrong)
        if wrong.empty:
            used = both[ledger.leaks(both.assign(path=both["sha256"]), paired()) == ""]
            assert used.groupby("pixels")["split"].nunique().max() == 1
            assert not (used.groupby("given_group")["split"].nunique() > 1).any()
        known = grown


pictures = st.tuples(st.integers(0, 60), st.sampled_from(["cat", "dog", None]))


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
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
