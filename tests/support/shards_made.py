"""Shards of images that say their class, and their index."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from assay.dataset.records import contents, shard


def write_data(folder: Path, *, counts: dict[str, tuple[int, ...]], side_px: int = 16) -> contents.Index:
    """Write shards of at most 5 grey images, bright in the strip of their class, and records.json; return it."""
    rng = np.random.default_rng(0)
    splits = {}
    for split, class_counts in counts.items():
        examples = []
        for number in range(sum(class_counts)):
            label = int(np.searchsorted(np.cumsum(class_counts), number, side="right"))
            image = rng.integers(0, 60, (side_px, side_px, 1), dtype=np.uint8)
            image[:, label * side_px // len(class_counts) :][:, : side_px // len(class_counts)] += 180
            sha256 = hashlib.sha256(f"{split} {number}".encode()).hexdigest()
            examples.append(contents.Example(image=image, label=label, sha256=sha256))
        parts = [examples[start : start + 5] for start in range(0, len(examples), 5)]
        shards = [shard.write(folder / "data/records", split, part) for part in parts]
        splits[split] = contents.Split(n_images=len(examples), class_counts=class_counts, shards=tuple(shards))
    classes = tuple("abcdefgh"[: len(class_counts)])
    index = contents.Index(height_px=side_px, width_px=side_px, channels=1, classes=classes, splits=splits)
    contents.write_index(folder / "data/records.json", index)
    return index


def write_sets(folder: Path, *, n_images: dict[str, int], side_px: int = 16) -> contents.Index:
    """Write shards of grey images of three classes, bright in the strip of each that they are in: of number n those
    whose bit is set in n; and records.json; return it."""
    rng = np.random.default_rng(0)
    splits = {}
    for split, n in n_images.items():
        examples = []
        for number in range(n):
            label = tuple(number >> bit & 1 for bit in range(3))
            image = rng.integers(0, 60, (side_px, side_px, 1), dtype=np.uint8)
            for strip in np.flatnonzero(label):
                image[:, strip * side_px // 3 : (strip + 1) * side_px // 3] += 180
            sha256 = hashlib.sha256(f"{split} {number}".encode()).hexdigest()
            examples.append(contents.Example(image=image, label=label, sha256=sha256))
        counts = np.array([example.label for example in examples]).reshape(-1, 3).sum(axis=0)
        shards = (shard.write(folder / "data/records", split, examples),) if n else ()
        splits[split] = contents.Split(n_images=n, class_counts=tuple(map(int, counts)), shards=shards)
    size = {"height_px": side_px, "width_px": side_px, "channels": 1}
    index = contents.Index(classes=("a", "b", "c"), splits=splits, task="multi_label", **size)
    contents.write_index(folder / "data/records.json", index)
    return index


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def index(folder: Path) -> contents.Index:
    return write_data(folder, counts={"train": (7, 6), "val": (2, 2)})
