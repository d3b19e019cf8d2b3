"""One step of training, and what it says on the way: what Keras' `fit` calls for each batch.

The model that learns gives logits: softmax or sigmoid are no part of what trains, but behind it in the network.
"""

from typing import Any

import numpy as np

from assay.labels import Task
from assay.training import losses
from assay.training.tensors import keras, tf

LEAST = 1e-12  # of a ratio, so that its logarithm is a number


class Learner(keras.Model):  # type: ignore[misc]
    """Uint8 images [N, H, W, C] to logits [N, K], with a step of its own; batches are (images, labels, rows).

    Each epoch it measures `loss` (what is made small), and of the images as they were shown `cross_entropy` and
    `accuracy`; and `update`, the mean logarithm of how much a step changes a kernel, as a share of its norm.
    """

    def prepare(self, *, loss: losses.Loss, task: Task, n_images: int, l1: float, l2: float) -> None:
        """Set what a step needs; to be called once, in the scope of the strategy."""
        self.loss_of, self.task, self.l1, self.l2 = loss, task, l1, l2
        self.means = [keras.metrics.Mean(name=name) for name in ("loss", "cross_entropy", "accuracy", "update")]
        # Of several replicas each would have its own images only.
        self.margins = Margins(n_images) if self.distribute_strategy.num_replicas_in_sync == 1 else None

    def _maybe_symbolic_build(self, *_: Any, **__: Any) -> None:
        """Build nothing: all is built, and Keras 3.15 fails here on a batch that is divided among workers."""

    def forget(self) -> None:
        """Begin an epoch anew: what was measured so far is dropped."""
        self.reset_metrics()
        if self.margins:
            self.margins.taken()

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return list(self.means)

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        images, labels, rows = data
        kernels = kernels_of(self)
        before = [tf.identity(kernel) for kernel in kernels]
        with tf.GradientTape() as tape:
            logits = tf.cast(self(images, training=True), tf.float32)
            loss = tf.reduce_mean(self.loss_of(labels, logits)) + losses.of_sizes(kernels, l1=self.l1, l2=self.l2)
            loss += tf.add_n(self.losses) if self.losses else 0.0
            scaled = self.optimizer.scale_loss(loss / self.distribute_strategy.num_replicas_in_sync)
        gradients = tape.gradient(scaled, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        if self.margins:
            self.margins.see(rows, losses.margins(labels, logits, task=self.task))
        plain = tf.reduce_mean(losses.cross_entropy(labels, logits, task=self.task))
        right = tf.reduce_mean(losses.right(labels, logits, task=self.task))
        for mean, value in zip(self.means, (loss, plain, right, _changed(before, kernels)), strict=True):
            mean.update_state(value, sample_weight=tf.shape(images)[0])
        # Of several workers Keras 3.15 takes the mean over the first axis, which a number does not have.
        several = self.distribute_strategy.cluster_resolver is not None
        return {mean.name: mean.result()[None] if several else mean.result() for mean in self.means}


class Margins:
    """The margin of each image in this epoch; of one that is shown several times their mean."""

    def __init__(self, n_images: int) -> None:
        self.sums, self.times = (tf.Variable(tf.zeros(n_images), trainable=False) for _ in range(2))

    def see(self, rows: tf.Tensor, margins: tf.Tensor) -> None:
        self.sums.scatter_nd_add(rows[:, None], margins)
        self.times.scatter_nd_add(rows[:, None], tf.ones_like(margins))

    def taken(self) -> np.ndarray:
        """Return float32 [N], NaN where an image was not shown, and begin anew."""
        sums, times = self.sums.numpy(), self.times.numpy()
        for variable in (self.sums, self.times):
            variable.assign(tf.zeros_like(variable))
        return np.where(times > 0, sums / np.maximum(times, 1), np.float32(np.nan)).astype(np.float32)


def kernels_of(model: keras.Model) -> list[tf.Variable]:
    """Return the kernels that learn: weights, not biases or what normalisation shifts and scales by."""
    return [weight for weight in model.trainable_weights if len(weight.shape) > 1]


def _changed(before: list[tf.Tensor], kernels: list[tf.Variable]) -> tf.Tensor:
    ratios = [_norm(kernel - old) / tf.maximum(_norm(old), LEAST) for old, kernel in zip(before, kernels, strict=True)]
    return tf.reduce_mean(tf.math.log(tf.maximum(tf.stack(ratios), LEAST)))


def _norm(tensor: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.reduce_sum(tf.square(tensor)))


def learner(network: keras.Model, **how: Any) -> Learner:
    """Return the learner of a network's weights; `how`: see `Learner.prepare`."""
    found = Learner(network.input, outputs_of(network)["logits"], name="learner")
    found.prepare(**how)
    return found


def outputs_of(model: keras.Model) -> dict[str, keras.KerasTensor]:
    """Return what each layer puts out within this model, in their order.

    Not `layer.output`: that is of the first model that the layer was part of.
    """
    depths = sorted(model._nodes_by_depth.items(), reverse=True)
    return {node.operation.name: node.outputs[0] for _, nodes in depths for node in nodes}
