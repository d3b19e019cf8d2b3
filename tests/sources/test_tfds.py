"""Data sets of TensorFlow Datasets: prepared here by builders of our own, read as a source, and through `ingest`."""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from checkouts import run
from PIL import Image

from assay.dataset import manifest
from assay.errors import AssayError
from assay.images import decode
from assay.sources import opening

tfds = pytest.importorskip("tensorflow_datasets")
CLASSES = ["ape", "bee/wasp", "cow"]


def pixels(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (8, 9, 3), np.uint8)


def jpeg(number: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels(number)).save(content, "JPEG", quality=90)
    return content.getvalue()


class Made(tfds.core.GeneratorBasedBuilder):  # type: ignore[misc]
    """What the builders of these tests have in common."""

    VERSION = tfds.core.Version("1.0.0")
    FEATURES: ClassVar[dict[str, Any]]
    PARTS: ClassVar = {"train": range(60), "validation": range(60, 66), "test": range(66, 78)}

    def _info(self) -> Any:
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(self.FEATURES))

    def _split_generators(self, _: Any) -> dict[str, Any]:
        return {name: self._generate_examples(part) for name, part in self.PARTS.items()}

    def _generate_examples(self, part: range) -> Iterator[tuple[int, dict[str, Any]]]:
        for number in part:
            yield number, self.example(number)

    def example(self, number: int) -> dict[str, Any]:
        raise NotImplementedError


class Animals(Made):
    FEATURES: ClassVar = {
        "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
        "label": tfds.features.ClassLabel(names=CLASSES),
        "id": tfds.features.Text(),
    }

    def example(self, number: int) -> dict[str, Any]:
        return {"image": io.BytesIO(jpeg(number)), "label": -1 if number == 0 else number % 3, "id": str(number)}


class Several(Made):
    FEATURES: ClassVar = {
        "image": tfds.features.Image(shape=(None, None, 3)),
        "labels": tfds.features.Sequence(tfds.features.ClassLabel(names=["ape", "bee", "cow"])),
    }

    def example(self, number: int) -> dict[str, Any]:
        return {"image": pixels(number), "labels": [n for n in range(3) if number >> n & 1]}


class Texts(Made):
    FEATURES: ClassVar = {"text": tfds.features.Text(), "label": tfds.features.ClassLabel(num_classes=2)}

    def example(self, number: int) -> dict[str, Any]:
        return {"text": "a", "label": 0}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which TensorFlow Datasets keeps the three sets."""
    folder = tmp_path_factory.mktemp("tfds")
    for builder in (Animals, Several, Texts):
        builder(data_dir=folder).download_and_prepare()
    return folder


@pytest.fixture(autouse=True)
def data_dir(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from tensorflow_datasets.core import constants
    from tensorflow_datasets.core.utils import file_utils

    monkeypatch.setattr(constants, "DATA_DIR", str(prepared))
    monkeypatch.setattr(file_utils.constants, "DATA_DIR", str(prepared))
    return prepared


def test_images_have_their_own_bytes_and_given_splits_are_kept() -> None:
    animals = opening.open_source("tfds:animals")
    assert len(animals.entries) == 78
    counts = {split: sum(entry.split == split for entry in animals.entries) for split in (None, "val", "test")}
    assert counts == {None: 60, "val": 6, "test": 12}
    every = {number: jpeg(number) for number in range(78)}
    number_of = {content: number for number, content in every.items()}
    for entry in animals.entries:
        content = animals.read(entry)
        number = number_of.pop(content)
        assert len(content) == entry.bytes
        assert entry.label == (None if number == 0 else CLASSES[number % 3])
        assert entry.path.split("/")[0] == ("train" if number < 60 else "validation" if number < 66 else "test")
        assert entry.path.split("/")[1] == ("-" if number == 0 else CLASSES[number % 3].replace("/", "_"))
        assert entry.path.endswith(".jpg")
    assert number_of == {}
    assert opening.open_source("tfds:animals:1.0.0").entries == animals.entries


def test_images_of_several_classes_are_a_multi_label_set_and_pixels_are_kept_as_png() -> None:
    several = opening.open_source("tfds:several")
    assert several.task == "multi_label"
    by_pixels = {pixels(number).tobytes(): number for number in range(78)}
    for entry in several.entries:
        shown = decode.prepare(several.read(entry), height_px=8, width_px=9, colour="rgb", resize="stretch")
        number = by_pixels[shown.tobytes()]
        assert entry.label == "|".join(name for n, name in enumerate(["ape", "bee", "cow"]) if number >> n & 1)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("texts", r"no image classification set: .* and has text \(Text\), label \(ClassLabel\)"),
        ("no_such_set", "TensorFlow Datasets knows none of this name"),
    ],
)
def test_what_is_no_image_set_is_refused(name: str, said: str) -> None:
    with pytest.raises(AssayError, match=f"tfds:{name}: {said}"):
        opening.open_source(f"tfds:{name}")


def test_cut_file_is_named(prepared: Path) -> None:
    (file,) = (prepared / "animals/1.0.0").glob("animals-train.tfrecord*")
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    try:
        with pytest.raises(AssayError, match=r"animals-train\.tfrecord\S+ is not whole \(it ends within a record\)"):
            opening.open_source("tfds:animals")
    finally:
        file.write_bytes(whole)


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(AssayError, match=r"tfds:mnist: needs TensorFlow Datasets .*; pip install 'assay\[tfds\]'"):
        opening.open_source("tfds:mnist")


@pytest.mark.slow
def test_set_goes_through_ingest_and_tensorflow_is_not_imported(checkout: Path, prepared: Path) -> None:
    run(checkout, "assay", "snapshot", "tfds:animals", TFDS_DATA_DIR=str(prepared))
    assert json.loads((checkout / "data/source.json").read_text())["n_images"] == 78
    code = "import runpy, sys\ntry:\n    runpy.run_module('tasks.ingest', run_name='__main__')\n"
    code += "finally:\n    assert 'tensorflow' not in sys.modules"
    run(checkout, "python", "-c", code, TFDS_DATA_DIR=str(prepared))
    rows = manifest.read(checkout / "data/manifest.parquet")
    assert rows["decodable"].all()
    assert rows["split"].isna().sum() == 1  # the one without a label
    given = rows[rows["path"].str.startswith(("test/", "validation/"))]
    assert given.groupby("split").size().to_dict() == {"test": 12, "val": 6}
