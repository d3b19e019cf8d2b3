"""What the shards hold: the index of records.json, and one example of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay import files
from assay.labels import Task

CHANNELS = {"grey": 1, "rgb": 3}


@dataclass(frozen=True, kw_only=True)
class Example:
    image: np.ndarray  # uint8 [H, W, C]
    label: int | tuple[int, ...]  # see labels.encode
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Split:
    n_images: int
    class_counts: tuple[int, ...]  # images of each class; a multi-label image counts in each of its own
    shards: tuple[str, ...]  # file names


@dataclass(frozen=True, kw_only=True)
class Index:
    """What the shards hold: records.json."""

    height_px: int
    width_px: int
    channels: int
    classes: tuple[str, ...]  # sorted
    splits: dict[str, Split]
    task: Task = "single_label"


def write_index(file: Path, index: Index) -> None:
    files.write_json(
        file,
        {
            "task": index.task,
            "height_px": index.height_px,
            "width_px": index.width_px,
            "channels": index.channels,
            "classes": index.classes,
            "splits": {
                name: {"n_images": split.n_images, "class_counts": split.class_counts, "shards": split.shards}
                for name, split in index.splits.items()
            },
        },
    )


def read_index(file: Path) -> Index:
    content = files.read_json(file)
    splits = {
        name: Split(n_images=s["n_images"], class_counts=tuple(s["class_counts"]), shards=tuple(s["shards"]))
        for name, s in content.pop("splits").items()
    }
    return Index(**{**content, "classes": tuple(content["classes"])}, splits=splits)
