"""A small network, its images, and the learner of it."""

import numpy as np

from assay.labels import Task
from assay.training import losses, steps
from assay.training.tensors import draw_from, keras

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (6, 4, 4, 1), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])
ROWS = np.array([5, 0, 3, 2, 4, 7])


def small(task: Task = "single_label", dropout: float = 0.0) -> keras.Model:
    """Return a network as `fit` wants one: uint8 to probabilities, with `embedding` and `logits`."""
    draw_from(1)
    image = keras.Input((4, 4, 1), dtype="uint8", name="image")
    x = keras.layers.Rescaling(1 / 255, name="scale")(image)
    x = keras.layers.Conv2D(4, 3, name="convolve", activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D(name="embedding")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    logits = keras.layers.Dense(3, name="logits")(x)
    activation = "softmax" if task == "single_label" else "sigmoid"
    return keras.Model(image, keras.layers.Activation(activation, name="probabilities")(logits), name="classifier")


def answers(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return what the model says, layer by layer: to build a graph of it first, as `predict` does, takes seconds."""
    return np.asarray(model(images, training=False))


def learner_of(network: keras.Model, task: Task = "single_label", **changes: object) -> steps.Learner:
    loss = losses.build(task, method="none", weights=None, smoothing=0.0)
    found = steps.learner(network, **{"loss": loss, "task": task, "n_images": 9, "l1": 0.0, "l2": 0.0} | changes)
    found.compile(keras.optimizers.SGD(0.5))
    return found
