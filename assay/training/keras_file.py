"""The file of a model: its bytes follow from weights and classes alone."""

import io
import json
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assay import files
from assay.dataset.records.contents import Index
from assay.errors import AssayError
from assay.labels import Task
from assay.training import normalisation  # noqa: F401  its layer must be known to read a model that has one
from assay.training.tensors import keras

NO_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip can hold
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, ImportError, zipfile.BadZipFile)  # by Keras and h5py too
MEND = "`dvc checkout` brings the model of dvc.lock back, `dvc repro -f -s train` makes one of these records"


def write(file: Path, model: keras.Model, classes: Sequence[str], task: Task = "single_label") -> None:
    """Write the model without its optimizer, as a .keras file whose bytes only its weights and classes decide.

    Keras itself writes dates and memory addresses (`shared_object_id`) into it. metadata.json has classes and task.
    """
    members = _members(keras.Model(model.input, model.output, name=model.name))
    metadata = json.loads(members["metadata.json"])
    metadata |= {"date_saved": "1980-01-01@00:00:00", "task": task, "classes": list(classes)}
    members["metadata.json"] = json.dumps(metadata).encode()
    members["config.json"] = json.dumps(_renumbered(json.loads(members["config.json"]), {})).encode()
    with files.replacing(file) as out, zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, NO_DATE), content)


def _members(model: keras.Model) -> dict[str, bytes]:
    """Return the files inside the .keras file that Keras writes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.keras"
        model.save(file)
        with zipfile.ZipFile(io.BytesIO(file.read_bytes())) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


def _renumbered(config: Any, numbers: dict[int, int]) -> Any:
    """Return the config with its shared_object_ids counted from 1 in the order of their appearance."""
    if isinstance(config, list):
        return [_renumbered(item, numbers) for item in config]
    if not isinstance(config, dict):
        return config
    if "shared_object_id" in config:
        number = numbers.setdefault(config["shared_object_id"], len(numbers) + 1)
        config = {**config, "shared_object_id": number}
    return {key: _renumbered(value, numbers) for key, value in config.items()}


def read(file: Path) -> keras.Model:
    """Return the model, ready to predict, not compiled; raises `AssayError` for a file that is no such model."""
    _metadata(file)  # Keras says the same of a file that is not there and of one that is no zip
    try:
        return keras.saving.load_model(file, compile=False)
    except UNREADABLE as error:
        raise _no_model(file, error) from None


def read_for(file: Path, index: Index) -> keras.Model:
    """Return the model of these records; raises `AssayError` for one of other classes or of images of another size.

    The outputs have no names: with other classes, or the same in another order, all would be scored without a word.
    """
    if said := _other_labels(_metadata(file), index):
        raise AssayError(f"{file}: {said}; {MEND}")
    model = read(file)
    wanted = (index.height_px, index.width_px, index.channels), (len(index.classes),)
    seen = tuple(model.input_shape[1:]), tuple(model.output_shape[1:])
    if not all(map(_fits, seen, wanted)):
        told = [f"{' x '.join(map(str, pixels))} pixels to {' x '.join(map(str, n))}" for pixels, n in (seen, wanted)]
        raise AssayError(f"{file}: leads from {told[0]} numbers, and the records want {told[1]}; {MEND}")
    return model


def _metadata(file: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(file) as archive:
            return dict(json.loads(archive.read("metadata.json")))
    except UNREADABLE as error:
        raise _no_model(file, error) from None


def _no_model(file: Path, error: Exception) -> AssayError:
    first = str(error).strip().partition("\n")[0].strip("'\"")
    return AssayError(f"{file}: no model that Keras can read: {first}; {MEND}")


def _other_labels(said: Mapping[str, Any], index: Index) -> str:
    """Return how the classes differ from those of the records, empty where they are the same."""
    task, classes = said.get("task"), said.get("classes")
    if not isinstance(classes, list):
        return "names no classes, so `train` did not write it"
    if task != index.task:
        return f"made for labels of the kind {task}, and the records are {index.task}"
    if tuple(classes) == index.classes:
        return ""
    new, gone = [n for n in index.classes if n not in classes], [n for n in classes if n not in index.classes]
    if not new and not gone:
        return "its classes are those of the records in another order"
    parts = {"it does not know": new, "the records do not have": gone}
    told = "; ".join(
        f"{word} {', '.join(map(repr, names[:3]))}{', ...' * (len(names) > 3)}"
        for word, names in parts.items()
        if names
    )
    return f"its classes are {len(classes):,}, those of the records {len(index.classes):,}: {told}"


def _fits(seen: tuple[int | None, ...], wanted: tuple[int, ...]) -> bool:
    """Say whether two shapes are the same; None: any length will do."""
    return len(seen) == len(wanted) and all(one in (None, other) for one, other in zip(seen, wanted, strict=True))
