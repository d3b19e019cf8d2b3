"""What the same bits everywhere cost in a training step: `python -m benchmarks.portable`; three minutes of CPU.

The plain network of 64 px in batches of 32, our and Keras' batch normalisation, with and without `train.portable`. A
process can be set up only once, so each way is a process of its own; they take turns, and the fastest of the rounds
counts, in CPU time, for others use the cores too.
"""

import dataclasses
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from assay import params
from assay.dataset.records import contents

SIDE_PX, BATCH_IMAGES, STEPS, ROUNDS = 64, 32, 40, 3
WAYS = [(portable, normalisation) for portable in ("portable", "own speed") for normalisation in ("Assay's", "Keras'")]


def main() -> None:
    found: dict[tuple[str, str], list[float]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for way in WAYS:
            command = [sys.executable, "-m", "benchmarks.portable", *way]
            found[way].append(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    base = min(found["own speed", "Keras'"])
    print("| instructions | normalisation | CPU ms a step | / own speed with Keras' |\n|---|---|---|---|")
    for (instructions, normalisation), costs in found.items():
        print(f"| {instructions} | {normalisation} | {min(costs):.0f} | {min(costs) / base:.2f} |")


def step_ms(portable: bool, normalisation: str) -> float:
    """Return the CPU time of a step; without augmentation and reading."""
    from assay.training import blocks, network, tensors
    from assay.training.tensors import keras

    tensors.set_up(threads=2, portable=portable)
    if normalisation == "Keras'":
        vars(blocks)["BatchNormalization"] = keras.layers.BatchNormalization
    p = params.load(Path(__file__).parents[1] / "params.yaml")
    train = contents.Split(n_images=BATCH_IMAGES, class_counts=(16, 16), shards=())
    index = contents.Index(classes=("a", "b"), splits={"train": train}, height_px=SIDE_PX, width_px=SIDE_PX, channels=3)
    p_train = dataclasses.replace(p.train, network="cnn", filters=(16, 32, 64))
    model = network.build(index, p_train, None, own=p.paths.networks)
    model.compile(keras.optimizers.AdamW(0.001), loss="sparse_categorical_crossentropy")
    images = np.random.default_rng(0).integers(0, 256, (BATCH_IMAGES, SIDE_PX, SIDE_PX, 3), np.uint8)
    labels = np.arange(BATCH_IMAGES) % 2
    for _ in range(5):
        model.train_on_batch(images, labels)
    began = time.process_time()
    for _ in range(STEPS):
        model.train_on_batch(images, labels)
    return (time.process_time() - began) / STEPS * 1e3


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(step_ms(sys.argv[1] == "portable", sys.argv[2]))
    else:
        main()
