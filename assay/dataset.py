"""Batches of images for Keras, read from the shards that `preprocess` wrote.

Images are uint8 [N, H, W, C] in [0, 255], labels int64: the class [N], or of a multi-label set 0 or 1 for each class
[N, K]. The last batch of an epoch is smaller if it must be. A split that is read again and again is read once where it
fits in `CACHED_BYTES` of memory; benchmarks/reading.md says what an epoch costs.
"""

import math
from pathlib import Path

import numpy as np

from assay import augment, params
from assay.errors import AssayError
from assay.records import Index
from assay.tensors import tf

CACHED_BYTES = 2**30  # of pixels of a split: 87,000 images of 64 px in rgb, 7,000 of 224 px
SHUFFLED_BYTES = 2**28  # of pixels that wait in memory, of a split that does not fit as a whole
INTERLEAVED, RUN_IMAGES = 8, 16  # shards that are read by turns, and images from each


def ordered(folder: Path, index: Index, split: str, *, batch_images: int, again: bool = False) -> tf.data.Dataset:
    """Return one epoch of (images, labels) in the order of the shards; `again`: it is read more than once."""
    batches = named(folder, index, split, batch_images=batch_images).map(lambda images, labels, _: (images, labels))
    return batches.cache().prefetch(2) if again and _fits(index, split) else batches


def named(folder: Path, index: Index, split: str, *, batch_images: int) -> tf.data.Dataset:
    """Return one epoch of (images, labels, sha256) in the order of the shards; `sha256` is string [N]."""
    serialized = tf.data.TFRecordDataset(_shards(folder, index, split))
    return _batches(serialized, index, split, batch_images).prefetch(2)


def shuffled(folder: Path, index: Index, split: str, *, seed: int, p: params.Train) -> tf.data.Dataset:
    """Return `p.epochs` epochs of (images, labels), augmented, each in another order that `seed` decides."""
    batches = (_cached if _fits(index, split) else _streamed)(folder, index, split, seed=seed, p=p)
    n_batches = p.epochs * math.ceil(index.splits[split].n_images / p.batch_images)
    batches = batches.apply(tf.data.experimental.assert_cardinality(n_batches))
    if augment.changes_nothing(p.augment):
        return batches.prefetch(2)

    def change(step: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels = batch
        return augment.apply(images, tf.stack([tf.constant(seed, tf.int64), step]), p.augment), labels

    return batches.enumerate().map(change, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)


def _fits(index: Index, split: str) -> bool:
    return index.splits[split].n_images * index.height_px * index.width_px * index.channels <= CACHED_BYTES


def _cached(folder: Path, index: Index, split: str, *, seed: int, p: params.Train) -> tf.data.Dataset:
    """Return the batches of all epochs, from a split that is read into memory; each epoch is a permutation of it."""
    n_images = index.splits[split].n_images
    with tf.device("CPU"):
        parts = list(ordered(folder, index, split, batch_images=1024))
        images, labels = (tf.concat(part, 0) for part in zip(*parts, strict=True))

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(tf.range(n_images), tf.stack([seed, number]))
        return tf.data.Dataset.from_tensor_slices(order).batch(p.batch_images)

    orders = tf.data.Dataset.range(p.epochs).flat_map(epoch)
    return orders.map(lambda rows: (tf.gather(images, rows), tf.gather(labels, rows)))


def _streamed(folder: Path, index: Index, split: str, *, seed: int, p: params.Train) -> tf.data.Dataset:
    """Return the batches of all epochs: shards in another order each time, read by turns, shuffled in a buffer."""
    shards = _shards(folder, index, split)
    buffer_images = max(1, SHUFFLED_BYTES // (index.height_px * index.width_px * index.channels))
    files = tf.data.Dataset.from_tensor_slices(shards).shuffle(len(shards), seed=seed)
    # Without `num_parallel_calls` the turns are always the same; the page cache reads ahead.
    serialized = files.interleave(tf.data.TFRecordDataset, cycle_length=INTERLEAVED, block_length=RUN_IMAGES)
    batches = _batches(serialized.shuffle(buffer_images, seed=seed), index, split, p.batch_images)
    return batches.map(lambda images, labels, _: (images, labels)).repeat(p.epochs)


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
