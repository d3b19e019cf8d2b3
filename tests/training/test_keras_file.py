import dataclasses
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from assay import files, params
from assay.dataset.records import contents
from assay.errors import AssayError
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


def written(folder: Path, classes: tuple[str, ...], task: Task = "single_label") -> Path:
    keras_file.write(folder / "model.keras", built(), classes, task)
    return folder / "model.keras"


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (("bee", "ant"), "its classes are those of the records in another order"),
        (
            ("ant", "wasp"),
            "its classes are 2, those of the records 2: it does not know 'bee'; the records do not have 'wasp'",
        ),
        (("ant", "bee", "cow"), "its classes are 3, those of the records 2: the records do not have 'cow'"),
        (("ant",), "its classes are 1, those of the records 2: it does not know 'bee'"),
    ],
)
def test_model_of_other_classes_is_refused(tmp_path: Path, classes: tuple[str, ...], said: str) -> None:
    with pytest.raises(AssayError, match=rf"model\.keras: {said}; `dvc checkout` brings the model") as error:
        keras_file.read_for(written(tmp_path, classes), index_of())
    assert str(error.value).startswith(str(tmp_path))


def test_model_that_keras_itself_saved_names_no_classes(tmp_path: Path) -> None:
    built().save(tmp_path / "model.keras")
    with pytest.raises(AssayError, match="names no classes, so `train` did not write it"):
        keras_file.read_for(tmp_path / "model.keras", index_of())


def test_model_of_another_kind_of_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssayError, match="made for labels of the kind multi_label, and the records are single_label"):
        keras_file.read_for(written(tmp_path, ("ant", "bee"), "multi_label"), index_of())


@pytest.mark.parametrize("change", [{"height_px": 9}, {"channels": 3}])
def test_model_of_images_of_another_size_is_refused(tmp_path: Path, change: dict[str, int]) -> None:
    file = written(tmp_path, ("ant", "bee"))
    assert keras_file.read_for(file, index_of()).output_shape == (None, 2)
    with pytest.raises(AssayError, match="leads from 8 x 8 x 1 pixels to 2 numbers, and the records want"):
        keras_file.read_for(file, dataclasses.replace(index_of(), **change))


def test_model_with_more_outputs_than_it_names_classes_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, ("ant", "bee", "cow"))
    with pytest.raises(AssayError, match="pixels to 2 numbers, and the records want 8 x 8 x 1 pixels to 3"):
        keras_file.read_for(file, dataclasses.replace(index_of(), classes=("ant", "bee", "cow")))


@pytest.mark.parametrize("content", [b"", b"no model", b"PK\x03\x04 cut off"])
def test_file_that_is_no_model_is_named(tmp_path: Path, content: bytes) -> None:
    (file := tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(AssayError, match=r"model\.keras: no model that Keras can read: .*; `dvc checkout`"):
        keras_file.read(file)


@pytest.mark.parametrize("lost", ["metadata.json", "config.json", "model.weights.h5"])
def test_model_without_one_of_its_parts_is_named(tmp_path: Path, lost: str) -> None:
    whole, file = zipfile.ZipFile(written(tmp_path, ("ant", "bee"))), tmp_path / "part.keras"
    with whole, zipfile.ZipFile(file, "w") as part:
        for name in set(whole.namelist()) - {lost}:
            part.writestr(name, whole.read(name))
    with pytest.raises(AssayError, match=r"part\.keras: no model that Keras can read"):
        keras_file.read(file)


def test_model_that_is_not_here_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        keras_file.read(tmp_path / "model.keras")
