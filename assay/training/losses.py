"""What a wrong answer costs.

`logits` are float32 [N, K], `labels` int64: the class [N], or of a multi-label set 0 or 1 for each class [N, K]. A loss
is float32 for each image [N], or for each decision [N, K].
"""

from collections.abc import Callable, Sequence

import numpy as np

from assay.labels import Task
from assay.training import imbalance
from assay.training.tensors import tf

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor, *, task: Task, smoothing: float = 0) -> tf.Tensor:
    """Return the cross-entropy; `smoothing` of each target is spread over all: https://arxiv.org/abs/1512.00567"""
    if task == "multi_label":
        targets = tf.cast(labels, tf.float32) * (1 - smoothing) + smoothing / 2
        return tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
    if not smoothing:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    n_classes = logits.shape[-1]
    targets = tf.one_hot(labels, n_classes) * (1 - smoothing) + smoothing / n_classes
    return tf.nn.softmax_cross_entropy_with_logits(targets, logits)


def build(
    task: Task,
    *,
    method: imbalance.Imbalance,
    weights: np.ndarray | None,
    offsets: np.ndarray | None = None,
    smoothing: float,
) -> Loss:
    """Return the loss that training makes small; `weights` and `offsets` are those of `imbalance`.

    Focal: what is right already counts less, by the power `imbalance.FOCUS`: https://arxiv.org/abs/1708.02002
    """

    def loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        logits = logits if offsets is None else logits + tf.constant(offsets, tf.float32)
        found = cross_entropy(labels, logits, task=task, smoothing=smoothing)
        if method == "focal":
            right = tf.exp(-cross_entropy(labels, logits, task=task))
            found *= (1 - right) ** imbalance.FOCUS
        return found if weights is None else found * _weights(labels, weights)

    return loss


def _weights(labels: tf.Tensor, weights: np.ndarray) -> tf.Tensor:
    known = tf.constant(weights, tf.float32)
    return tf.gather(known, labels) if weights.ndim == 1 else tf.where(labels > 0, known[1], known[0])


def right(labels: tf.Tensor, logits: tf.Tensor, *, task: Task) -> tf.Tensor:
    """Return 1 for each image that is right, of a multi-label set in every class, else 0, float32 [N]."""
    if task == "multi_label":
        return tf.cast(tf.reduce_all((labels > 0) == (logits >= 0), axis=-1), tf.float32)
    return tf.cast(tf.argmax(logits, axis=-1) == labels, tf.float32)


def margins(labels: tf.Tensor, logits: tf.Tensor, *, task: Task) -> tf.Tensor:
    """Return how far each image is from another answer [N]: the logit of its label minus the largest other.

    Of a multi-label set the smallest distance of a logit from 0, negative where it is on the wrong side. Averaged over
    the epochs it finds wrong labels: https://arxiv.org/abs/2001.10528
    """
    if task == "multi_label":
        return tf.reduce_min(tf.where(labels > 0, logits, -logits), axis=-1)
    of_label = tf.one_hot(labels, logits.shape[-1], on_value=True, off_value=False)
    own = tf.gather(logits, labels, batch_dims=1)
    return own - tf.reduce_max(tf.where(of_label, logits.dtype.min, logits), axis=-1)


def of_sizes(kernels: Sequence[tf.Variable], *, l1: float, l2: float) -> tf.Tensor:
    """Return what the size of the kernels adds to the loss."""
    found = tf.constant(0.0)
    if l1:
        found += l1 * tf.add_n([tf.reduce_sum(tf.abs(kernel)) for kernel in kernels])
    if l2:
        found += l2 * tf.add_n([tf.reduce_sum(tf.square(kernel)) for kernel in kernels])
    return found
