"""Which images of each class the page shows."""

from pathlib import Path

import pandas as pd
import pytest
from cases import images

from assay.dataset.originals import Originals
from assay.validation import findings, samples


@pytest.fixture(autouse=True)
def pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "thumbnails", lambda rows, raw: {path: f"data:{path}" for path in rows.index})


def test_images_of_a_class_are_spread_over_its_names_and_no_copy_is_shown_twice() -> None:
    cats = images("cat", train=100)
    cats.loc[99, "sha256"] = cats.loc[0, "sha256"]
    found = samples.of_classes(pd.concat([cats, images("dog", train=3)]), "single_label", Originals(Path()))
    assert [shot.path for shot in found["cat"]] == [
        f"cat/train{number:03}.png" for number in (0, 14, 28, 42, 56, 70, 84, 98)
    ]
    assert [shot.path for shot in found["dog"]] == [f"dog/train00{number}.png" for number in range(3)]


def test_image_of_several_classes_stands_at_each() -> None:
    rows = pd.concat([images("a", train=2).assign(label="a|b"), images("b", train=1), images("", train=1)])
    found = samples.of_classes(rows, "multi_label", Originals(Path()))
    assert {name: len(shots) for name, shots in found.items()} == {"a": 2, "b": 3}


def test_pictures_are_few_however_many_classes_there_are() -> None:
    rows = pd.concat([images(f"c{number:03}", train=10) for number in range(70)])
    found = samples.of_classes(rows, "single_label", Originals(Path()))
    assert (len(found), sum(map(len, found.values()))) == (samples.CLASSES, samples.PICTURES)
