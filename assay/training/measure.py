"""Loss and accuracy as people will get them: without augmentation, dropout, weights and smoothing.

`labels` are those of `batches`, `logits` float32 [N, K]; computed in NumPy, so that one array answers all questions.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from assay.labels import Task
from assay.training.tensors import keras, tf

Answer = Callable[[tf.Tensor], tf.Tensor]


@dataclass(frozen=True, kw_only=True)
class Measured:
    loss: float  # mean cross-entropy of an image, or of a decision of a multi-label set
    accuracy: float  # share of images that are right, of a multi-label set in every class


def answering(model: keras.Model) -> Answer:
    """Return what gives the outputs of the model for a batch of images, as in use; traced once for all sizes."""

    def answer(images: tf.Tensor) -> tf.Tensor:
        return tf.cast(model(images, training=False), tf.float32)

    traced: Answer = tf.function(answer, reduce_retracing=True)
    return traced


def logits(answer: Answer, batches: tf.data.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return (logits, labels) of all images of the batches."""
    parts = [(answer(images).numpy(), labels.numpy()) for images, labels, *_ in batches]
    found, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
    return found, labels


def measured(labels: np.ndarray, logits: np.ndarray, task: Task) -> Measured:
    right = is_right(labels, logits, task)
    return Measured(loss=float(losses(labels, logits, task).mean()), accuracy=float(right.mean()))


def of(answer: Answer, batches: tf.data.Dataset, task: Task) -> Measured:
    """Return what is measured on all images of the batches."""
    found, labels = logits(answer, batches)
    return measured(labels, found, task)


def losses(labels: np.ndarray, logits: np.ndarray, task: Task) -> np.ndarray:
    """Return the cross-entropy of each image, float64 [N]."""
    exact = logits.astype(np.float64)
    if task == "multi_label":
        return np.asarray(np.logaddexp(0, np.where(labels > 0, -exact, exact)).mean(axis=1))
    return np.asarray(-np.take_along_axis(log_softmax(exact, axis=1), labels[:, None], 1)[:, 0])


def is_right(labels: np.ndarray, logits: np.ndarray, task: Task) -> np.ndarray:
    """Return whether each image is right [N]."""
    if task == "multi_label":
        return np.asarray(((labels > 0) == (logits >= 0)).all(axis=1))
    return np.asarray(logits.argmax(axis=1) == labels)
