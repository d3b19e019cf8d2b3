"""What reading costs an epoch of training: `python -m benchmarks.reading`; some minutes. reading.md: what came out.

Fits the project's own network to drawn images, 64 px in rgb, with batches that come in five ways, which take turns in
one process: the same batches held in memory (the floor), those of `assay.dataset` without and with the augmentation
of params.yaml, those of a split that does not fit in memory, and records that are parsed one by one. Then the batches
alone, without a network.
"""

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from assay import params
from assay.dataset.records import contents, shard
from assay.training import augment, batches, job, network, shuffled, tensors
from assay.training.augment import Strengths
from assay.training.tensors import keras, tf

SIDE_PX, N_IMAGES, SHARD_IMAGES = 64, 1024, 128
ROUNDS = 3
PLAIN = params.Augment(preset="none")
FLOOR = "the same batches, held in memory"


def main() -> None:
    p = params.load(Path(__file__).parents[1] / "params.yaml")
    tensors.set_up(threads=p.threads, seed=p.seed)
    train = dataclasses.replace(p.train, epochs=1, augment=PLAIN)
    with tempfile.TemporaryDirectory() as folder:
        index = write(Path(folder))
        made = job.build(network.build(index, train, own=p.paths.networks), Path(folder), index, p=train, seed=1)
        ways = epochs(made, augment.strengths(p.train.augment))
        made.learner.compile(keras.optimizers.AdamW(0.002))
        show("an epoch of training", ways, lambda batches: made.learner.fit(batches, shuffle=False, verbose=0))
        show("the batches alone", ways, lambda batches: [None for _ in batches])


def show(title: str, ways: dict[str, tf.data.Dataset], use: Callable[[tf.data.Dataset], object]) -> None:
    """Print what each way costs beside the first; they take turns, and the first turn warms up."""
    costs = np.array([[cost(use, batches) for batches in ways.values()] for _ in range(ROUNDS + 1)])[1:]
    print(f"\n| {title} | CPU ms an image | / floor, CPU | / floor, wall |\n|---|---|---|---|")
    for number, name in enumerate(ways):
        cpu, wall = np.median(costs[:, number] / costs[:, 0], axis=0)
        ms = statistics.median(costs[:, number, 0]) / N_IMAGES * 1e3
        print(f"| {name} | {ms:.3f} | {cpu:.2f} | {wall:.2f} |", flush=True)


def write(folder: Path) -> contents.Index:
    random = np.random.default_rng(0)
    shards = []
    for first in range(0, N_IMAGES, SHARD_IMAGES):
        examples = (
            contents.Example(
                image=random.integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8), label=n % 10, sha256=f"{n:064x}"
            )
            for n in range(first, first + SHARD_IMAGES)
        )
        shards.append(shard.write(folder, "train", examples))
    split = contents.Split(n_images=N_IMAGES, class_counts=(N_IMAGES // 10,) * 10, shards=tuple(shards))
    classes = tuple("0123456789")
    return contents.Index(height_px=SIDE_PX, width_px=SIDE_PX, channels=3, classes=classes, splits={"train": split})


def epochs(made: job.Job, strengths: Strengths) -> dict[str, tf.data.Dataset]:
    """Return one epoch of batches, in six ways."""
    folder, index = made.folder, made.index

    def ours(strengths: Strengths = augment.PRESETS["none"]) -> tf.data.Dataset:
        plan = dataclasses.replace(made.plan, strengths=strengths)
        return shuffled.shuffled(folder, index, "train", plan=plan, names=made.names, first=0, epochs=1)

    ways = {FLOOR: held(ours()), "ours": ours(), "ours, augmented": ours(strengths)}
    batches.CACHED_BYTES = 0
    return ways | {
        "ours, from the disk": ours(),
        "ours, from the disk, augmented": ours(strengths),
        "one by one": naive(folder, index, made.p),
    }


def held(batches: tf.data.Dataset) -> tf.data.Dataset:
    parts = tuple(tf.stack(part) for part in zip(*batches, strict=True))
    return tf.data.Dataset.from_tensor_slices(parts).prefetch(2)


def naive(folder: Path, index: contents.Index, p: params.Train) -> tf.data.Dataset:
    """Return what most tutorials do: each record is parsed by itself, and then shuffled."""
    features = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}

    def parse(row: tf.Tensor, serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        found = tf.io.parse_single_example(serialized, features)
        return tf.reshape(tf.io.decode_raw(found["image"], tf.uint8), (SIDE_PX, SIDE_PX, 3)), found["label"], row

    shards = [str(folder / name) for name in index.splits["train"].shards]
    every = tf.data.TFRecordDataset(shards).enumerate().map(parse, num_parallel_calls=tf.data.AUTOTUNE)
    return every.shuffle(N_IMAGES, seed=1).batch(p.batch_images).prefetch(2)


def cost(use: Callable[[tf.data.Dataset], object], batches: tf.data.Dataset) -> tuple[float, float]:
    """Return the CPU and the wall seconds of one use."""
    cpu, wall = time.process_time(), time.perf_counter()
    use(batches)
    return time.process_time() - cpu, time.perf_counter() - wall


if __name__ == "__main__":
    main()
