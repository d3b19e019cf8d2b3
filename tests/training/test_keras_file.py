import dataclasses
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from assay import files, params
from assay.dataset.records import contents
from assay.labels import Task
from assay.training import keras_file, network, tensors
from assay.training.tensors import keras

tensors.set_up(threads=2)  # here, because it must come before the first operation of any test

ROOT = Path(__file__).parents[2]
NOWHERE = Path("nowhere")
P = dataclasses.replace(params.load(ROOT / "params.yaml").train, filters=(4, 8), dropout=0.5, epochs=1)


def index_of(task: Task = "single_label") -> contents.Index:
    train = contents.Split(n_images=8, class_counts=(4, 4), shards=())
    size = {"height_px": 8, "width_px": 8, "channels": 1}
    return contents.Index(classes=("ant", "bee"), splits={"train": train}, task=task, **size)


def built(seed: int = 3) -> keras.Model:
    tensors.set_up(threads=2, seed=seed)
    return network.build(index_of(), P, own=NOWHERE)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8)


def test_the_file_says_the_task(tmp_path: Path) -> None:
    index = index_of("multi_label")
    keras_file.write(tmp_path / "m.keras", network.build(index, P, own=NOWHERE), index.classes, index.task)
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert json.loads(archive.read("metadata.json"))["task"] == "multi_label"


def test_the_file_gives_back_the_predictions_and_holds_the_classes(tmp_path: Path, images: np.ndarray) -> None:
    whole = built()
    keras_file.write(tmp_path / "model.keras", whole, ("ant", "bee"))
    again = keras_file.read(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(images, verbose=0), whole.predict(images, verbose=0))
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert json.loads(archive.read("metadata.json"))["classes"] == ["ant", "bee"]
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_other_weights_give_other_bytes(tmp_path: Path) -> None:
    """Whether equal ones give equal bytes in two processes is asked by tests/tasks/test_train.py."""
    keras_file.write(tmp_path / "one.keras", built(seed=3), ("ant", "bee"))
    keras_file.write(tmp_path / "two.keras", built(seed=4), ("ant", "bee"))
    assert files.sha256(tmp_path / "one.keras") != files.sha256(tmp_path / "two.keras")
