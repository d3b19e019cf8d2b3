"""What a run that was killed needs to end in the same bytes: one file, written at the end of each epoch.

It holds all variables of model and optimizer, seeds of dropout among them, which no file of Keras does; the best
weights; and what the epochs said. The order of the images and their augmentation are functions of the epoch.
"""

import hashlib
import json
import platform
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assay import files, params
from assay.training.tensors import keras, tf

FILE = "checkpoint.npz"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    arrays: dict[str, list[np.ndarray]]  # by what they are of: model, optimizer, best, ...
    state: dict[str, Any]  # what JSON can hold


def write(folder: Path, checkpoint: Checkpoint, *, of: Mapping[str, str]) -> None:
    """Write it whole, or leave the last one as it is; raises OSError, as for a full disk.

    `of`: what it may be taken up by, in words that name each part.
    """
    numbered = {
        f"{name}/{number}": array for name, arrays in checkpoint.arrays.items() for number, array in enumerate(arrays)
    }
    text = json.dumps({"of": dict(of), "state": checkpoint.state})
    with files.replacing(folder / FILE) as out:
        np.savez(out, allow_pickle=False, text=np.frombuffer(text.encode(), np.uint8), **numbered)


def read(folder: Path, *, of: Mapping[str, str]) -> Checkpoint | str | None:
    """Return the checkpoint; or why it is not taken up; or None where there is none."""
    try:
        with np.load(folder / FILE, allow_pickle=False) as found:
            content = {name: found[name] for name in found.files}
            written = json.loads(content.pop("text").tobytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        return f"damaged: {error}"
    if others := sorted(name for name in written["of"].keys() | of.keys() if written["of"].get(name) != of.get(name)):
        return f"of another {', '.join(others)}"
    arrays: dict[str, list[np.ndarray]] = {}
    for name, array in sorted(content.items(), key=lambda item: int(item[0].rpartition("/")[2])):
        arrays.setdefault(name.rpartition("/")[0], []).append(array)
    return Checkpoint(arrays=arrays, state=written["state"])


def remove(folder: Path) -> None:
    (folder / FILE).unlink(missing_ok=True)


def take(variables: Sequence[Any]) -> list[np.ndarray]:
    """Return the values of Keras variables."""
    return [np.array(variable) for variable in variables]


def give(variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    """Set the variables to the values that `take` returned, in its order."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def digest(paths: Sequence[Path]) -> str:
    """Return a hash over the files, and over those with code in the folders."""
    found = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            found.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()


def identity(index: Path, own: Path, p: params.Train, *, seed: int, threads: int) -> dict[str, str]:
    """Return what decides the bytes of a run, by what it is of: a run of another one begins anew.

    `index`: records.json, whose shards are named by their content; `own`: the folder of one's own networks and weights.
    """
    versions = [f"{library.__name__} {library.__version__}" for library in (tf, keras, np)]
    return {
        "data": files.sha256(index),
        "parameters": json.dumps(asdict(p)),
        "seed": str(seed),
        "threads": str(threads),
        "code": digest([Path(__file__).parent, *sorted(own.glob("*.*"))]),
        "versions": ", ".join(versions),
        "processor": "AVX2" if p.portable else f"{platform.machine()} {_model()}",
    }


def _model() -> str:
    """Return the name of the processor, which may decide the bits."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
