"""Batches of images for Keras, read from the shards that `preprocess` wrote, in the order of the shards.

Images are uint8 [N, H, W, C] in [0, 255], labels int64: the class [N], or of a multi-label set 0 or 1 for each class
[N, K]. The last batch of an epoch is smaller if it must be. A split that is read again and again is read once where it
fits in `CACHED_BYTES` of memory; benchmarks/reading.md says what an epoch costs.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay.dataset.records.contents import Index
from assay.errors import AssayError
from assay.training.tensors import tf

CACHED_BYTES = 2**30  # of pixels of a split: 87,000 images of 64 px in rgb, 7,000 of 224 px


@dataclass(frozen=True, kw_only=True)
class Names:
    """Which images a split holds, in the order of its shards."""

    sha256: np.ndarray  # S64 [N]
    labels: np.ndarray  # int64 [N] or [N, K]
    shard_images: tuple[int, ...]  # of each shard


def ordered(folder: Path, index: Index, split: str, *, batch_images: int, again: bool = False) -> tf.data.Dataset:
    """Return one epoch of (images, labels) in the order of the shards; `again`: it is read more than once."""
    batches = named(folder, index, split, batch_images=batch_images).map(lambda images, labels, _: (images, labels))
    return batches.cache().prefetch(2) if again and fits(index, split) else batches


def named(folder: Path, index: Index, split: str, *, batch_images: int) -> tf.data.Dataset:
    """Return one epoch of (images, labels, sha256) in the order of the shards; `sha256` is string [N]."""
    serialized = tf.data.TFRecordDataset(shards(folder, index, split)).batch(batch_images)
    batches = serialized.map(lambda batch: parse(batch, index))
    return batches.apply(tf.data.experimental.assert_cardinality(steps(index, split, batch_images))).prefetch(2)


def names(folder: Path, index: Index, split: str) -> Names:
    """Return which images the split holds; reads the shards once, and no pixels."""
    wanted = {name: feature for name, feature in _features(index).items() if name != "image"}
    found, sizes = [], []
    for shard in shards(folder, index, split):
        parts = [tf.io.parse_example(batch, wanted) for batch in tf.data.TFRecordDataset(shard).batch(1024)]
        found += parts
        sizes.append(sum(len(part["label"]) for part in parts))
    return Names(
        sha256=np.concatenate([part["sha256"].numpy() for part in found]).astype("S64"),
        labels=np.concatenate([part["label"].numpy() for part in found]),
        shard_images=tuple(sizes),
    )


def statistics(folder: Path, index: Index, split: str, *, batch_images: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation of each channel, float64 [C], over all pixels of the split."""
    sums, squares = np.zeros(index.channels, np.int64), np.zeros(index.channels, np.int64)
    for images, _ in ordered(folder, index, split, batch_images=batch_images):
        pixels = images.numpy().astype(np.int64)
        sums += pixels.sum(axis=(0, 1, 2))
        squares += (pixels**2).sum(axis=(0, 1, 2))
    n_pixels = index.splits[split].n_images * index.height_px * index.width_px
    mean = sums / n_pixels
    return mean, np.sqrt(np.maximum(squares / n_pixels - mean**2, 0))


def fits(index: Index, split: str) -> bool:
    """Say whether the pixels of the split may be kept in memory."""
    return index.splits[split].n_images * index.height_px * index.width_px * index.channels <= CACHED_BYTES


def steps(index: Index, split: str, batch_images: int) -> int:
    """Return how many batches hold the split once."""
    return math.ceil(index.splits[split].n_images / batch_images)


def shards(folder: Path, index: Index, split: str) -> list[str]:
    """Return the paths of the split's shards; raises `AssayError` when one is missing."""
    files = [folder / name for name in index.splits[split].shards]
    if missing := [file.name for file in files if not file.exists()]:
        seen = f"{len(missing)} of {len(files)} shards of {split} are missing, the first is {missing[0]}"
        raise AssayError(f"{folder}: {seen}; run `dvc repro preprocess`")
    return [str(file) for file in files]


def parse(batch: tf.Tensor, index: Index) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return (images, labels, sha256) of serialized records [N]; a whole batch costs a quarter of one by one."""
    found = tf.io.parse_example(batch, _features(index))
    pixels = tf.io.decode_raw(found["image"], tf.uint8)
    images = tf.reshape(pixels, (-1, index.height_px, index.width_px, index.channels))
    return images, found["label"], found["sha256"]


def _features(index: Index) -> dict[str, tf.io.FixedLenFeature]:
    return {
        "image": tf.io.FixedLenFeature([], tf.string),
        "label": tf.io.FixedLenFeature([len(index.classes)] if index.task == "multi_label" else [], tf.int64),
        "sha256": tf.io.FixedLenFeature([], tf.string),
    }
