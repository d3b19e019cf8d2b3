"""Batch normalisation that rounds alike on every x86 processor: https://arxiv.org/abs/1502.03167

Keras' own layer calls `rsqrt`, which TensorFlow computes from the processor's approximation (`rsqrtps`), and Intel and
AMD approximate differently. This one trains with TensorFlow's fused operation, which under oneDNN takes exact square
roots and is faster too, and predicts with an exact square root and an exact division.
"""

from typing import Any

from assay.training.tensors import keras, tf


@keras.saving.register_keras_serializable(package="assay", name="BatchNormalization")
class BatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Keras' layer with other arithmetic: the same weights, arguments and meaning, over the last axis only.

    The moving variance is that of Keras, the mean square, and not the unbiased one that the fused operation returns.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if self.axis not in (-1, len(input_shape) - 1) or self.renorm or self.synchronized:
            raise ValueError(f"{self.name}: only the last axis, neither renorm nor synchronized")
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: Any = None) -> tf.Tensor:
        """Return float [N, ..., C] in the type of `inputs`; a frozen layer uses its moving statistics."""
        x = tf.cast(inputs, tf.float32)
        gamma = tf.ones_like(self.moving_mean) if self.gamma is None else self.gamma
        beta = tf.zeros_like(self.moving_mean) if self.beta is None else self.beta
        normalised = self._by_batch(x, gamma, beta) if training and self.trainable else self._by_past(x, gamma, beta)
        return tf.cast(normalised, inputs.dtype)

    def _by_batch(self, x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(x)
        pixels = x if len(x.shape) == 4 else tf.reshape(x, [-1, 1, 1, shape[-1]])
        normalised, mean, unbiased = tf.compat.v1.nn.fused_batch_norm(
            pixels, tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta), epsilon=self.epsilon, is_training=True
        )
        n = tf.cast(tf.size(x) // shape[-1], tf.float32)
        self._move(self.moving_mean, mean)
        self._move(self.moving_variance, unbiased * ((n - 1) / n))
        return normalised if len(x.shape) == 4 else tf.reshape(normalised, shape)

    def _move(self, moving: keras.Variable, value: tf.Tensor) -> None:
        moving.assign(moving * self.momentum + value * (1.0 - self.momentum))

    def _by_past(self, x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
        deviation = tf.sqrt(self.moving_variance + self.epsilon)
        # Not `gamma / deviation`: TensorFlow's optimizer of graphs makes gamma * rsqrt of it.
        scale = tf.math.divide_no_nan(tf.convert_to_tensor(gamma), deviation)
        return x * scale + (beta - self.moving_mean * scale)
