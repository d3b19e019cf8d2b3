"""An export as it lies on disk: `model.json`, and the files whose SHA-256 it holds. Read without TensorFlow.

`model.onnx` takes uint8 pixels `image` [N, H, W, C] and returns float32 `probabilities` [N, K], calibrated, `embedding`
[N, D] and, where the network ends in pooling and one dense layer, the class-activation `maps` [N, h, w, K].
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay import labels
from assay.errors import AssayError
from assay.images.decode import Colour, Reading
from assay.images.resizing import Resize
from assay.labels import Task

FORMAT = 1  # of model.json; another one is refused
ABOUT, GRAPH, REFERENCE, CANARY = "model.json", "model.onnx", "reference.npz", "canary"


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What `decode.prepare` is to be told."""

    height_px: int
    width_px: int
    colour: Colour
    resize: Resize
    white_level: int | None = None

    @property
    def reading(self) -> Reading:
        return Reading(white_level=self.white_level)


@dataclass(frozen=True, kw_only=True)
class About:
    """What model.json says."""

    task: Task
    classes: tuple[str, ...]  # in the order of the outputs
    thresholds: tuple[float, ...] | None  # [K]: a multi-label image is in the classes that reach theirs
    temperature: float  # the logits were divided by it, in the graph
    preprocessing: Preprocessing
    outputs: tuple[str, ...]
    ood: Mapping[str, Any] | None  # k and limits, None where there is no reference
    model: str  # SHA-256 of the .keras file
    files: Mapping[str, str]  # path below the folder: SHA-256

    @property
    def limits(self) -> tuple[float, ...]:
        """The thresholds [K], the usual ones where none are given."""
        return self.thresholds or (labels.THRESHOLD,) * len(self.classes)


@dataclass(frozen=True, kw_only=True)
class Export:
    about: About
    sha256: str  # of model.json, and so of all that it names
    contents: Mapping[str, bytes]  # of each file, checked
    folder: Path | None = None  # None: it lies in memory alone


def read(folder: Path, sha256: str | None = None) -> Export:
    """Return the export, each of its files held against its hash; `sha256`: what that of model.json must be.

    Raises `AssayError` for a file that is missing or changed.
    """
    content = _content(folder, ABOUT)
    seen = hashlib.sha256(content).hexdigest()
    if sha256 is not None and seen != sha256:
        raise AssayError(_changed(folder / ABOUT, seen, sha256, "the release"))
    about = parse(content, folder)
    contents = {name: _checked(folder, name, wanted) for name, wanted in about.files.items()}
    return Export(about=about, sha256=seen, contents=contents, folder=folder)


def parse(content: bytes, folder: Path) -> About:
    """Return what the bytes of a model.json say; raises `AssayError` for what is none of this format."""
    try:
        said = json.loads(content)
        if said.pop("format") != FORMAT:
            raise ValueError
        said["preprocessing"] = Preprocessing(**said["preprocessing"])
        for name in ("classes", "outputs", "thresholds"):
            said[name] = None if said[name] is None else tuple(said[name])
        return About(**said)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise AssayError(f"{folder / ABOUT}: no description of an export of format {FORMAT}") from None


def _checked(folder: Path, name: str, wanted: str) -> bytes:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise AssayError(f"{folder / ABOUT}: names {name!r}, which lies outside the export")
    content = _content(folder, name)
    if (seen := hashlib.sha256(content).hexdigest()) != wanted:
        raise AssayError(_changed(folder / name, seen, wanted, ABOUT))
    return content


def _content(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise AssayError(f"{folder / name}: {error.strerror}; `dvc repro register` makes an export") from None


def _changed(file: Path, seen: str, wanted: str, who: str) -> str:
    return f"{file}: its SHA-256 is {seen[:12]}…, {who} says {wanted[:12]}…: changed or damaged, so it is not used"
