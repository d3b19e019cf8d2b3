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

from assay import dataset, model, params, records
from assay.tensors import tf

SIDE_PX, N_IMAGES, SHARD_IMAGES = 64, 1024, 128
ROUNDS = 3
PLAIN = params.Augment(rotate_deg=0, shift_share=0, zoom_share=0, flip="none", brightness_share=0)
FLOOR = "the same batches, held in memory"


def main() -> None:
    p = params.load(Path(__file__).parents[1] / "params.yaml")
    model.set_up(threads=p.threads, seed=p.seed)
    train = dataclasses.replace(p.train, epochs=1, augment=PLAIN)
    with tempfile.TemporaryDirectory() as folder:
        index = write(Path(folder))
        ways = epochs(Path(folder), index, train, p.train.augment)
        network = model.build(index, train, None)
        show("an epoch of training", ways, lambda batches: network.fit(batches, verbose=0))
        show("the batches alone", ways, lambda batches: [None for _ in batches])


def show(title: str, ways: dict[str, tf.data.Dataset], use: Callable[[tf.data.Dataset], object]) -> None:
    """Print what each way costs beside the first; they take turns, and the first turn warms up."""
    costs = np.array([[cost(use, batches) for batches in ways.values()] for _ in range(ROUNDS + 1)])[1:]
    print(f"\n| {title} | CPU ms an image | / floor, CPU | / floor, wall |\n|---|---|---|---|")
    for number, name in enumerate(ways):
        cpu, wall = np.median(costs[:, number] / costs[:, 0], axis=0)
        ms = statistics.median(costs[:, number, 0]) / N_IMAGES * 1e3
        print(f"| {name} | {ms:.3f} | {cpu:.2f} | {wall:.2f} |", flush=True)


def write(folder: Path) -> records.Index:
    random = np.random.default_rng(0)
    shards = []
    for first in range(0, N_IMAGES, SHARD_IMAGES):
        examples = (
            records.Example(
                image=random.integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8), label=n % 10, sha256=f"{n:064x}"
            )
            for n in range(first, first + SHARD_IMAGES)
        )
        shards.append(records.write(folder, "train", examples))
    split = records.Split(n_images=N_IMAGES, class_counts=(N_IMAGES // 10,) * 10, shards=tuple(shards))
    classes = tuple("0123456789")
    return records.Index(height_px=SIDE_PX, width_px=SIDE_PX, channels=3, classes=classes, splits={"train": split})


def epochs(folder: Path, index: records.Index, p: params.Train, changes: params.Augment) -> dict[str, tf.data.Dataset]:
    """Return one epoch of batches, in five ways."""
    augmented = dataclasses.replace(p, augment=changes)

    def ours(p: params.Train = p) -> tf.data.Dataset:
        return dataset.shuffled(folder, index, "train", seed=1, p=p)

    ways = {FLOOR: held(ours()), "ours": ours(), "ours, augmented": ours(augmented)}
    dataset.CACHED_BYTES = 0
    return ways | {
        "ours, from the disk": ours(),
        "ours, from the disk, augmented": ours(augmented),
        "one by one": naive(folder, index, p),
    }


def held(batches: tf.data.Dataset) -> tf.data.Dataset:
    images, labels = (tf.stack(part) for part in zip(*batches, strict=True))
    return tf.data.Dataset.from_tensor_slices((images, labels)).prefetch(2)


def naive(folder: Path, index: records.Index, p: params.Train) -> tf.data.Dataset:
    """Return what most tutorials do: each record is parsed by itself, and then shuffled."""
    features = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}

    def parse(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        found = tf.io.parse_single_example(serialized, features)
        return tf.reshape(tf.io.decode_raw(found["image"], tf.uint8), (SIDE_PX, SIDE_PX, 3)), found["label"]

    shards = [str(folder / name) for name in index.splits["train"].shards]
    every = tf.data.TFRecordDataset(shards).map(parse, num_parallel_calls=tf.data.AUTOTUNE)
    return every.shuffle(N_IMAGES, seed=1).batch(p.batch_images).prefetch(2)


def cost(use: Callable[[tf.data.Dataset], object], batches: tf.data.Dataset) -> tuple[float, float]:
    """Return the CPU and the wall seconds of one use."""
    cpu, wall = time.process_time(), time.perf_counter()
    use(batches)
    return time.process_time() - cpu, time.perf_counter() - wall


if __name__ == "__main__":
    main()
