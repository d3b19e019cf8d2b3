"""Batches of images for Keras, read from the shards that `preprocess` wrote.

Images are uint8 [N, H, W, C] in [0, 255], labels int64: the class [N], or of a multi-label set 0 or 1 for each class
[N, K]. The last batch of an epoch is smaller if it must be.
"""

import math
from pathlib import Path

import numpy as np

from assay import augment, params
from assay.errors import AssayError
from assay.records import Index
from assay.tensors import tf

SHUFFLED_BYTES = 2**28  # of pixels that wait in memory; a split that fits is shuffled as a whole


def ordered(folder: Path, index: Index, split: str, *, batch_images: int) -> tf.data.Dataset:
    """Return one epoch of (images, labels) in the order of the shards."""
    return named(folder, index, split, batch_images=batch_images).map(lambda images, labels, _: (images, labels))


def named(folder: Path, index: Index, split: str, *, batch_images: int) -> tf.data.Dataset:
    """Return one epoch of (images, labels, sha256) in the order of the shards; `sha256` is string [N]."""
    serialized = tf.data.TFRecordDataset(_shards(folder, index, split))
    return _batches(serialized, index, split, batch_images).prefetch(2)


def shuffled(folder: Path, index: Index, split: str, *, seed: int, p: params.Train) -> tf.data.Dataset:
    """Return `p.epochs` epochs of (images, labels), augmented, each in another order that `seed` decides."""
    shards = _shards(folder, index, split)
    image_bytes = index.height_px * index.width_px * index.channels
    buffer_images = min(index.splits[split].n_images, max(1, SHUFFLED_BYTES // image_bytes))
    files = tf.data.Dataset.from_tensor_slices(shards).shuffle(len(shards), seed=seed)
    serialized = tf.data.TFRecordDataset(files).shuffle(buffer_images, seed=seed)
    batches = _batches(serialized, index, split, p.batch_images).repeat(p.epochs).enumerate()

    def change(step: tf.Tensor, batch: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels, _ = batch
        return augment.apply(images, tf.stack([tf.constant(seed, tf.int64), step]), p.augment), labels

    return batches.map(change, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


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


def _shards(folder: Path, index: Index, split: str) -> list[str]:
    files = [folder / name for name in index.splits[split].shards]
    if missing := [file.name for file in files if not file.exists()]:
        seen = f"{len(missing)} of {len(files)} shards of {split} are missing, the first is {missing[0]}"
        raise AssayError(f"{folder}: {seen}; run `dvc repro preprocess`")
    return [str(file) for file in files]


def _batches(serialized: tf.data.Dataset, index: Index, split: str, batch_images: int) -> tf.data.Dataset:
    """Return batches of (images, labels, sha256); parsing a whole batch costs a quarter of parsing each record."""

    features = {
        "image": tf.io.FixedLenFeature([], tf.string),
        "label": tf.io.FixedLenFeature([len(index.classes)] if index.task == "multi_label" else [], tf.int64),
        "sha256": tf.io.FixedLenFeature([], tf.string),
    }

    def parse(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        found = tf.io.parse_example(batch, features)
        pixels = tf.io.decode_raw(found["image"], tf.uint8)
        images = tf.reshape(pixels, (-1, index.height_px, index.width_px, index.channels))
        return images, found["label"], found["sha256"]

    n_batches = math.ceil(index.splits[split].n_images / batch_images)
    return serialized.batch(batch_images).map(parse).apply(tf.data.experimental.assert_cardinality(n_batches))
