"""The file of a model: its bytes follow from weights and classes alone."""

import io
import json
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assay import files
from assay.labels import Task
from assay.training import normalisation  # noqa: F401  its layer must be known to read a model that has one
from assay.training.tensors import keras

NO_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip can hold


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
    """Return the model, ready to predict; it is not compiled."""
    return keras.saving.load_model(file, compile=False)
