"""The batches of training: the order of an epoch and its augmentation are functions of seed and epoch alone.

So a run that was killed begins again at any epoch with the batches that it would have had, also where the split does
not fit in memory and is shuffled on its way from the disk. Images and labels are those of `batches`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay.dataset.records.contents import Index
from assay.training import augment, batches
from assay.training.batches import Names
from assay.training.tensors import tf

SHUFFLED_BYTES = 2**28  # of pixels that wait in memory, of a split that does not fit as a whole
INTERLEAVED, RUN_IMAGES = 8, 16  # shards that are read by turns, and images from each


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What decides the batches of every epoch."""

    seed: int
    batch_images: int
    strengths: augment.Strengths
    rates: np.ndarray  # float64 [N]: how often an epoch shows each image on average

    @property
    def steps(self) -> int:
        """The number of batches of an epoch."""
        return math.ceil(shown(self.rates) / self.batch_images)


def shown(rates: np.ndarray) -> int:
    """Return how many images an epoch shows."""
    return round(float(rates.sum()))


def copies(seed: int, epoch: int, rates: np.ndarray) -> np.ndarray:
    """Return how often the epoch shows each image, int64 [N]: its rate, rounded down or up, and `shown` in all.

    Images of one rate share what is left of it by chance, so that every class gets exactly its part (systematic
    sampling, Madow 1949).
    """
    if (rates == 1).all():
        return np.ones(len(rates), np.int64)
    random = np.random.default_rng([seed, epoch, 1])
    drawn = random.permutation(len(rates))
    drawn = drawn[np.argsort(rates[drawn], kind="stable")]
    ends = np.cumsum(rates[drawn])
    ends = np.floor(ends * (shown(rates) / ends[-1]) + random.random())
    found = np.zeros(len(rates), np.int64)
    found[drawn] = np.diff(ends, prepend=0)
    return found


def order(seed: int, epoch: int, rates: np.ndarray) -> np.ndarray:
    """Return which images the epoch shows, int64 [M], in its order."""
    rows = np.repeat(np.arange(len(rates)), copies(seed, epoch, rates))
    return np.random.default_rng([seed, epoch]).permutation(rows)


def shuffled(
    folder: Path, index: Index, split: str, *, plan: Plan, names: Names, first: int, epochs: int
) -> tf.data.Dataset:
    """Return the batches of the epochs `first` to `epochs` - 1: (images, labels, rows), augmented.

    `rows` int64 [N]: which image of `names` each is.
    """
    shared = tf.data.Options()  # among workers each batch is divided, whatever the shards are
    shared.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    one = (_cached if batches.fits(index, split) else _streamed)(folder, index, split, plan=plan, names=names)
    found = tf.data.Dataset.range(first, epochs).flat_map(one).with_options(shared)
    found = found.apply(tf.data.experimental.assert_cardinality((epochs - first) * plan.steps))
    if augment.changes_nothing(plan.strengths):
        return found.prefetch(2)

    def change(step: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        images, *others = batch
        seed = tf.stack([tf.constant(plan.seed, tf.int64), step])
        return augment.apply(images, seed, plan.strengths), *others

    # Without `num_parallel_calls`: operations are split among threads already, and deterministic runs refuse it loudly.
    return found.enumerate(start=first * plan.steps).map(change).prefetch(2)


def _cached(
    folder: Path, index: Index, split: str, *, plan: Plan, names: Names
) -> Callable[[tf.Tensor], tf.data.Dataset]:
    """Return what makes the batches of an epoch, of a split that is read into memory."""
    with tf.device("CPU"):
        parts = list(batches.ordered(folder, index, split, batch_images=1024))
        images, labels = (tf.concat(part, 0) for part in zip(*parts, strict=True))

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        rows = _computed(lambda number: order(plan.seed, int(number), plan.rates), number)
        return tf.data.Dataset.from_tensor_slices(rows).batch(plan.batch_images).map(take)

    def take(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        return tf.gather(images, rows), tf.gather(labels, rows), rows

    return epoch


def _streamed(
    folder: Path, index: Index, split: str, *, plan: Plan, names: Names
) -> Callable[[tf.Tensor], tf.data.Dataset]:
    """Return what makes the batches of an epoch: shards in a new order, read by turns, shuffled in a buffer."""
    shards = batches.shards(folder, index, split)
    begins = np.cumsum((0, *names.shard_images[:-1]))
    buffer_images = max(1, SHUFFLED_BYTES // (index.height_px * index.width_px * index.channels))

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        tf.random.set_seed(1)  # of this graph alone: where it is 0, `shuffle` asks a tensor whether it is 0 too
        seeds = _computed(
            lambda number: np.random.default_rng([plan.seed, int(number)]).integers(2**62, size=2), number
        )
        files = tf.data.Dataset.from_tensor_slices((shards, begins))
        files = files.shuffle(len(shards), seed=seeds[0], reshuffle_each_iteration=False)
        # Without `num_parallel_calls` the turns are always the same; the page cache reads ahead.
        records = files.interleave(
            lambda shard, begin: tf.data.TFRecordDataset(shard).enumerate(begin),
            cycle_length=INTERLEAVED,
            block_length=RUN_IMAGES,
        )
        if (plan.rates != 1).any():
            times = _computed(lambda number: copies(plan.seed, int(number), plan.rates), number)
            records = records.flat_map(lambda row, one: tf.data.Dataset.from_tensors((row, one)).repeat(times[row]))
        records = records.shuffle(buffer_images, seed=seeds[1], reshuffle_each_iteration=False)
        return records.batch(plan.batch_images).map(read)

    def read(rows: tf.Tensor, batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        images, labels, _ = batches.parse(batch, index)
        return images, labels, rows

    return epoch


def _computed(of_epoch: Callable[[np.ndarray], np.ndarray], number: tf.Tensor) -> tf.Tensor:
    """Return int64 [M], which NumPy computes for the epoch: its generator gives the same numbers everywhere."""
    found = tf.numpy_function(of_epoch, [number], tf.int64)
    return tf.ensure_shape(found, [None])
