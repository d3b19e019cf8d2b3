"""What is said of a listing before anything is measured, and splits that a source does not give."""

from pathlib import Path

import pandas as pd
import pytest

from assay.dataset import splits
from assay.errors import AssayError
from assay.sources import opening

SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}


def fill(folder: Path, *places: str, n: int = 20) -> str:
    for place in places:
        (folder / place).mkdir(parents=True, exist_ok=True)
        for number in range(n):
            (folder / place / f"{number}.png").write_text(f"{place} {number}")
    return f"folder:{folder}"


def divided(source: opening.Source) -> pd.Series:
    """Return how many images of the source each split gets, as `ingest` gives them."""
    rows = [(e.path, e.path, e.bytes, (e.label,), e.split) for e in source.entries if e.label]
    images = pd.DataFrame(rows, columns=["sha256", "pixels", "bytes", "classes", "given_split"])
    none = pd.DataFrame({"sha256": [], "partner": []})
    ledger = splits.extend(splits.read(Path("none")), images, SHARES, none)
    is_test = ledger["sha256"].str.startswith("test/")
    assert (ledger.loc[is_test, "split"] == "test").all()
    return ledger["split"].value_counts()


def test_val_that_a_source_with_train_and_test_does_not_give_is_drawn_from_train(tmp_path: Path) -> None:
    source = opening.open_source(fill(tmp_path, "train/cat", "train/dog", "test/cat", "test/dog"))
    assert source.drawn == ("val",)
    found = divided(source)
    assert (found["test"], found["val"], found["train"]) == (40, 6, 34)  # 0.1 of 0.8, in two classes of 20
    assert "val: none is given, so it is drawn from train (params.yaml: ingest.val_share)" in opening.notes(source)


def test_test_without_folders_of_classes_is_none(tmp_path: Path) -> None:
    """Its images have no label, so nothing could be measured on them."""
    fill(tmp_path, "test")
    source = opening.open_source(fill(tmp_path, "train/cat", "train/dog", "val/cat", "val/dog"))
    assert source.drawn == ("test",)
    assert divided(source)["test"] > 0


@pytest.mark.parametrize("given", [("train", "val", "test"), ("",)])
def test_splits_that_are_given_stay(tmp_path: Path, given: tuple[str, ...]) -> None:
    places = [f"{split}/{name}" if split else name for split in given for name in ("cat", "dog")]
    source = opening.open_source(fill(tmp_path, *places))
    assert source.drawn == ()
    assert {entry.split for entry in source.entries} == {split or None for split in given}


def test_source_that_is_one_level_too_high_is_asked_about(tmp_path: Path) -> None:
    source = opening.open_source(fill(tmp_path, "Dataset/cat", "Dataset/dog", "Examples/cat"))
    (note,) = opening.notes(source)
    assert note.startswith("no image lies right in the folder of its class: if 'Dataset' is no class")
    assert note.endswith(f"name that: assay snapshot {tmp_path}/Dataset")
    with pytest.raises(AssayError, match=r"only one class, .Dataset.; .* if .Dataset. holds the folders"):
        only = tmp_path / "only"
        opening.open_source(fill(only, "Dataset/cat", "Dataset/dog"))


def test_classes_that_are_called_like_splits_are_asked_about(tmp_path: Path) -> None:
    source = opening.open_source(fill(tmp_path, "Training", "Testing"))
    assert opening.notes(source) == [
        "is 'Testing' a split and no class? Splits are folders train, val and test above those of classes"
    ]


@pytest.mark.parametrize(
    ("train", "test"),
    [("Training", "Testing"), ("TRAIN", "VAL"), ("train_set", "test_set"), ("train", "Test"), ("Train Data", "dev")],
)
def test_splits_in_other_words_are_splits_and_said(tmp_path: Path, train: str, test: str) -> None:
    places = [f"{split}/{name}" for split in (train, test) for name in ("ape", "bee", "cow")]
    source = opening.open_source(fill(tmp_path, *places))
    assert opening.class_names(source) == ("ape", "bee", "cow")
    assert {entry.split for entry in source.entries} == {None, "test" if test.lower().startswith("te") else "val"}
    said = opening.notes(source)
    assert f"{test} is read as the split {'test' if test.lower().startswith('te') else 'val'}" in said


def test_a_class_that_is_called_like_a_split_stays_one_beside_others(tmp_path: Path) -> None:
    source = opening.open_source(fill(tmp_path, "Train/steam", "Plane/jet"))
    assert opening.class_names(source) == ("Plane", "Train")
    assert "is 'Train' a split and no class?" in " ".join(opening.notes(source))


def test_same_folders_below_several_classes_are_asked_about(tmp_path: Path) -> None:
    source = opening.open_source(fill(tmp_path, "2023/ape", "2023/bee", "2024/ape", "2024/bee"))
    (note,) = opening.notes(source)
    assert note.startswith("the folders of several classes are called 'ape', 'bee': if these are the classes")


def test_class_folder_without_an_image_is_told(tmp_path: Path) -> None:
    fill(tmp_path, "dog", ".hidden", "@eaDir", n=0)
    (tmp_path / "dog/readme.txt").touch()
    source = opening.open_source(fill(tmp_path, "ant", "bee"))
    assert opening.notes(source)[-1] == "no image in 'dog': no class without images is known to the model"


def test_what_systems_leave_is_counted_and_no_image(tmp_path: Path) -> None:
    fill(tmp_path, "ant", "bee", "ant/@eaDir", "__MACOSX/ant", n=3)
    for name in ("Thumbs.db", "ant/desktop.ini", "ant/~$1.png", "bee/2.png.part", "bee/3.tmp"):
        (tmp_path / name).write_text("x")
    source = opening.open_source(f"folder:{tmp_path}")
    assert [entry.path for entry in source.entries] == [f"{name}/{n}.png" for name in ("ant", "bee") for n in range(3)]
    assert len(source.left_out) == 11
    assert "11 files left out" in opening.notes(source)[0]


def test_images_right_in_the_folder_are_said(tmp_path: Path) -> None:
    with pytest.raises(AssayError, match=r"expected CLASS/IMAGE.*; 20 files lie right in it, '0\.png' the first"):
        opening.open_source(fill(tmp_path, "."))


def test_ordinary_folder_needs_no_word(tmp_path: Path) -> None:
    assert opening.notes(opening.open_source(fill(tmp_path, "cat", "dog/young"))) == []
