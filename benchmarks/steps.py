"""What a step of training costs, and what augmentation and recording add: `python -m benchmarks.steps`; a minute.

Steps of the network that the preset gives for a side, on batches of drawn images that are held in memory: by Keras
alone, and by the step of `assay.training.steps`, which measures on its way. Then the augmentation of such batches
alone. steps.md: what came out.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from assay import params
from assay.dataset.records import contents
from assay.training import augment, losses, network, presets, steps, tensors
from assay.training.tensors import keras, tf

SIDES_PX, BATCH_IMAGES, N_CLASSES = (64, 224), 32, 10
ROUNDS = 7


def main() -> None:
    p = params.load(Path(__file__).parents[1] / "params.yaml")
    tensors.set_up(threads=p.threads, seed=p.seed)
    print("| side px | what | CPU ms an image | of a step |\n|---|---|---|---|")
    for side_px in SIDES_PX:
        ways = both(side_px, p)
        images = pictures(side_px)
        for name in ("light", "medium", "strong"):
            ways[f"augmentation, {name}"] = augmenting(images, augment.PRESETS[name])
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS + 1):  # they take turns; the first turn warms up
            for name, way in ways.items():
                found[name].append(cpu_s(way) / BATCH_IMAGES * 1e3)
        medians = {name: statistics.median(times[1:]) for name, times in found.items()}
        for name, ms in medians.items():
            print(f"| {side_px} | {name} | {ms:.3f} | {ms / medians['a step of Keras']:.1%} |", flush=True)


def pictures(side_px: int) -> tf.Tensor:
    random = np.random.default_rng(0)
    return tf.constant(random.integers(0, 256, (BATCH_IMAGES, side_px, side_px, 3), np.uint8))


def both(side_px: int, p: params.Params) -> dict[str, Callable[[], object]]:
    """Return a step of Keras and one of ours, on the same batch."""
    images, labels = pictures(side_px), tf.range(BATCH_IMAGES, dtype=tf.int64) % N_CLASSES
    blocks = presets.blocks(side_px)
    train = dataclasses.replace(p.train, filters=tuple(16 * 2**n for n in range(blocks)))
    split = contents.Split(n_images=BATCH_IMAGES, class_counts=(3,) * N_CLASSES, shards=())
    index = contents.Index(
        height_px=side_px, width_px=side_px, channels=3, classes=tuple("0123456789"), splits={"train": split}
    )
    made = network.build(index, train, own=p.paths.networks)
    plain = keras.Model(made.input, steps.outputs_of(made)["logits"])
    plain.compile(keras.optimizers.AdamW(1e-4), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    loss = losses.build("single_label", method="none", weights=None, smoothing=0)
    ours = steps.learner(made, loss=loss, task="single_label", n_images=BATCH_IMAGES, l1=0, l2=0)
    ours.compile(keras.optimizers.AdamW(1e-4))
    return {
        "a step of Keras": stepping(plain, (images, labels)),
        "a step of ours": stepping(ours, (images, labels, tf.range(BATCH_IMAGES, dtype=tf.int64))),
    }


def stepping(model: keras.Model, batch: tuple[tf.Tensor, ...]) -> Callable[[], object]:
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
    model.make_train_function()
    return lambda: model.train_function(batches)


def augmenting(images: tf.Tensor, strengths: augment.Strengths) -> Callable[[], object]:
    seeds = iter(range(10**9))
    change = tf.function(lambda seed: augment.apply(images, seed, strengths), autograph=False)
    return lambda: change(tf.constant([1, next(seeds)], tf.int64))


def cpu_s(way: Callable[[], object]) -> float:
    """Return the CPU seconds of one use, of all threads; several uses where one is short."""
    begun, times = time.process_time(), 0
    while time.process_time() - begun < 0.5:
        way()
        times += 1
    return (time.process_time() - begun) / max(times, 1)


if __name__ == "__main__":
    main()
