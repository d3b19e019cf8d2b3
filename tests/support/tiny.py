"""A small network by the contract of `training`, with random weights, and its export."""

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from assay import Classifier
from assay.evaluation import ood
from assay.inference import export, exported
from assay.labels import Task
from assay.training import tensors
from assay.training.tensors import keras

tensors.set_up(threads=2)  # here, because it must come before the first operation of any test

CLASSES = ("ant", "bee", "cow")
SIDE_PX = 16


def network(
    *, task: Task = "single_label", channels: int = 3, seed: int = 1, n_classes: int = 3, pooled: bool = True
) -> keras.Model:
    tensors.draw_from(seed)
    image = keras.Input((SIDE_PX, SIDE_PX, channels), dtype="uint8", name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.MaxPooling2D(2)(x)
    x = keras.layers.Conv2D(12, 3, padding="same", activation="relu")(x)
    pool = keras.layers.GlobalAveragePooling2D if pooled else keras.layers.GlobalMaxPooling2D
    x = keras.layers.Dropout(0.5, name="dropout")(pool(name="embedding")(x))
    # Large, so that the answers are far from even.
    spread = keras.initializers.RandomNormal(stddev=5.0, seed=seed)
    x = keras.layers.Dense(n_classes, kernel_initializer=spread, name="logits")(x)
    activation = "sigmoid" if task == "multi_label" else "softmax"
    return keras.Model(image, keras.layers.Activation(activation, name="probabilities")(x), name="classifier")


def about(*, task: Task = "single_label", channels: int = 3, **changes: Any) -> dict[str, Any]:
    usual = {
        "task": task,
        "classes": CLASSES,
        "thresholds": (0.5, 0.4, 0.6) if task == "multi_label" else None,
        "temperature": 1.0,
        "preprocessing": exported.Preprocessing(
            height_px=SIDE_PX, width_px=SIDE_PX, colour="rgb" if channels == 3 else "grey", resize="stretch"
        ),
        "ood": None,
        "model": "0" * 64,
    }
    return usual | changes


def write(folder: Path, model: keras.Model, extra: dict[str, bytes] | None = None, **changes: Any) -> exported.About:
    said = about(channels=model.input.shape[-1], **changes)
    proto = export.graph(model, task=said["task"], temperature=said["temperature"])
    return export.write(folder, proto, said, extra or {})


def pixels(n: int = 40, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Return coarse pictures, each of a few levels of its own, so that the answers differ."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (n, 4, 4, channels)) * rng.random((n, 1, 1, channels))
    return coarse.repeat(SIDE_PX // 4, 1).repeat(SIDE_PX // 4, 2).astype(np.uint8)


def write_whole(folder: Path, seed: int = 1, extra: dict[str, bytes] | None = None, **changes: Any) -> exported.About:
    """Write an export with its canary, as `register` does."""
    said = about(**changes)
    model, how = network(task=said["task"], seed=seed), {"task": said["task"], "temperature": said["temperature"]}
    sung = export.canary_of(model, said["preprocessing"], **how)
    return export.write(folder, export.graph(model, **how), said, (extra or {}) | sung)


def write_with_reference(folder: Path, model: keras.Model, images: np.ndarray) -> None:
    """Write an export that tells what is unlike these images, which are of all classes by turns."""
    write(folder, model)
    features = Classifier.load(folder).answers(images).embedding
    sha256 = np.array([f"{number:064x}".encode() for number in range(len(images))])
    known = ood.fit(features, np.arange(len(images)) % len(CLASSES), sha256, ood.properties(images))
    out = io.BytesIO()
    np.savez(out, **vars(known))
    limits = ood.limits(known, features[: len(features) // 2])
    write(folder, model, {exported.REFERENCE: out.getvalue()}, ood=vars(limits))


def copy(folder: Path, to: Path) -> None:
    shutil.copytree(folder, to, dirs_exist_ok=True)
