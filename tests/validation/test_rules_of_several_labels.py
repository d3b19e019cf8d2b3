"""The rules of expectations/ on images that are in several classes, in one or in none: each name counts for itself."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from cases import CLASSES, NEAR, PAIR, Case, images, sound, with_row
from rules_made import broken, build, for_classes, names

from assay.validation import run


def labelled(rows: pd.DataFrame, **labels: str) -> pd.DataFrame:
    """Return the rows with other labels: `labels` by what the paths begin with, an underscore for a slash."""
    found = rows.copy()
    for start, label in labels.items():
        found.loc[found["path"].str.startswith(start.replace("_", "/")), "label"] = label
    return found


def several() -> pd.DataFrame:
    """Return sound images, some in two classes and some in none."""
    both = images("cat", train=9, test=2).assign(label="cat|dog", path=lambda rows: "both/" + rows["path"])
    none = images("none", train=8, val=1, test=3).assign(label="")
    rows = pd.concat([sound(), both, none], ignore_index=True)
    return rows.assign(pixels=rows["path"], sha256=rows["path"])


def with_image(label: str | None, **changes: Any) -> pd.DataFrame:
    """Return the same, and one more training image with this label."""
    extra = with_row(label=label, **changes).tail(1)
    return pd.concat([several().astype(object), extra], ignore_index=True)


def found(folder: Path, table: pd.DataFrame, **options: Any) -> dict[str, run.Result]:
    case = Case(table=table, broken={}, said="", task="multi_label", **options)
    return broken(for_classes(CLASSES), build(folder, case))


def test_images_in_two_classes_and_in_none_break_no_rule(tmp_path: Path) -> None:
    built = build(tmp_path, Case(table=several(), broken={}, said="", task="multi_label"))
    assert broken(for_classes(CLASSES), built) == {}
    counts = built["classes"].set_index("label")[["n_images", "train", "val", "test"]]
    assert counts.loc["cat"].tolist() == [58, 29, 1, 28]
    assert counts.loc["dog"].tolist() == [58, 29, 1, 28]
    assert counts.loc["owl"].tolist() == [47, 20, 1, 26]
    assert built["classes"]["share"].tolist() == [58 / 164, 58 / 164, 47 / 164]  # of the images, not of the names
    assert len(built["labels"]) == 141 + 2 * 11


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "expected"),
    [
        pytest.param(with_image(None, split=None), {"label present": ["cat/new.png"]}, id="no label"),
        pytest.param(with_image(""), {}, id="in no class"),
        pytest.param(with_image("cat|zebra"), {"known class": ["cat/new.png"]}, id="one name unknown"),
        pytest.param(
            with_image("Owl |cat"),
            {"known class": ["cat/new.png"], "one spelling": ["cat/new.png"]},
            id="one name with a blank",
        ),
        pytest.param(
            with_image("cat|dog", pixels="cat/train000.png"),
            {"one label per picture": PAIR, "duplicates": PAIR},
            id="one of two labels missing on the copy",
        ),
        pytest.param(
            with_image("", pixels="cat/train000.png"),
            {"one label per picture": PAIR, "duplicates": PAIR},
            id="copy in no class",
        ),
        pytest.param(
            labelled(several(), owl_val="cat"), {"every class in every split": ["val/owl"]}, id="class without val"
        ),
        pytest.param(
            labelled(several(), owl_train000="cat|dog"), {"training images per class": ["owl"]}, id="one too few"
        ),
        pytest.param(labelled(several(), owl_train000="dog|owl"), {}, id="enough with the one that is in two"),
        pytest.param(labelled(several(), dog="cat|dog"), {"class balance": ["cat"]}, id="most images are in one class"),
        pytest.param(
            pd.concat([several(), images("cat|dog", train=480, test=40)], ignore_index=True),
            {"class balance": ["cat", "dog"], "class imbalance": ["owl"]},
            id="one class is rare",
        ),
        pytest.param(
            labelled(several(), owl=""),
            {"every known class": ["owl"], "every class in every split": ["train/owl", "val/owl", "test/owl"]},
            id="class that is lost",
        ),
    ],
)
def test_each_name_of_an_image_counts(tmp_path: Path, table: pd.DataFrame, expected: dict[str, list[str]]) -> None:
    assert names(found(tmp_path, table)) == expected


def test_unknown_name_is_said_alone_with_the_one_that_may_be_meant(tmp_path: Path) -> None:
    (result,) = found(tmp_path, with_image("dogg|owl")).values()
    assert result.message == (
        "known class: 1 of 165 labels: label must be one of 'cat', 'dog', 'owl': cat/new.png"
        " ('dogg', did you mean 'dog'?) (expectations/labels.yaml: known class)"
    )


@pytest.mark.parametrize(("label", "is_same"), [("cat", True), ("cat|dog", False), ("", False)])
def test_near_duplicates_must_be_in_the_same_classes(tmp_path: Path, label: str, is_same: bool) -> None:
    failing = names(found(tmp_path, with_image(label), pairs=NEAR))
    one = {"near-duplicates": ["cat/new.png"]}
    assert failing == one | ({} if is_same else {"near-duplicates of one label": ["cat/new.png"]})
