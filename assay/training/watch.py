"""Looking for what is wrong in a network that fails: for `guards`, which says it in words."""

from collections.abc import Mapping

import numpy as np

from assay.labels import Task
from assay.training import guards, inspection
from assay.training.tensors import keras, tf

BATCHES = 8  # that are looked at


def symptoms(
    learner: keras.Model, sample: tf.data.Dataset, *, task: Task, began: Mapping[str, float], n_predicted: int
) -> guards.Symptoms:
    """Return what may be wrong; `sample` gives (images, labels), `began` the size of each kernel at the start."""
    images = [images.numpy() for images, _ in sample.take(BATCHES)]
    inside = inspection.activations(learner, images)
    slopes = list(inspection.gradients(learner, sample.take(BATCHES), task).values())
    grown = [size / max(began[name], 1e-30) for name, size in inspection.sizes(learner).items() if name in began]
    return guards.Symptoms(
        grown=float(np.max(grown)) if grown else 1.0,
        dead={name: each["dead"] for name, each in inside.items()},
        vanishing=slopes[0] / max(slopes[-1], 1e-30),
        n_predicted=n_predicted,
    )


def above_chance(
    answers: np.ndarray, truth: np.ndarray, *, margins: np.ndarray | None, labels: np.ndarray, task: Task
) -> float:
    """Return the larger of how far val and train are above chance, in standard errors.

    `answers` are the logits of val, `margins` those of train: their sign tells what was right.
    """
    if task == "multi_label":
        return guards.above_chance(truth, (answers >= 0) == (truth > 0))
    found = guards.above_chance(truth, answers.argmax(axis=1) == truth)
    if margins is None or not (shown := np.isfinite(margins)).any():
        return found
    return max(found, guards.above_chance(labels[shown], margins[shown] > 0))
