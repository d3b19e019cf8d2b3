"""What turns a gradient into a step: Adam, AdamW, or SGD with momentum.

None of them needs more than square roots and divisions, which are exact on every processor; nor does our clipping.
"""

from collections.abc import Sequence
from typing import Any, Literal

from assay.errors import AssayError
from assay.training.tensors import keras, tf

Name = Literal["adam", "adamw", "sgd"]
NOT_DECAYED = ("bias", "gamma", "beta")  # decay is for kernels: a shift or a scale has no reason to be near 0


def build(name: Name, rate: Any, *, weight_decay: float, momentum: float, clip_norm: float | None) -> Any:
    """Return the Keras optimizer; `rate` is a number or a schedule. Raises `AssayError` for a decay that it lacks.

    AdamW: https://arxiv.org/abs/1711.05101; clipping by the norm of all gradients: https://arxiv.org/abs/1211.5063
    """
    if name == "adam" and weight_decay:
        raise AssayError(
            f"weight_decay: {weight_decay}, and adam has none; take adamw, or l2 "
            "(params.yaml: train.optimizer, train.weight_decay)"
        )
    match name:
        case "adam":
            found = keras.optimizers.Adam(rate)
        case "adamw":
            found = keras.optimizers.AdamW(rate, weight_decay=weight_decay)
        case "sgd":
            found = keras.optimizers.SGD(
                rate, weight_decay=weight_decay or None, momentum=momentum, nesterov=momentum > 0
            )
    if weight_decay:
        found.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    if clip_norm is not None:
        # Keras' own divides 1 by a root, which TensorFlow turns into `rcpps`, and Intel and AMD round that differently.
        found._clip_gradients = lambda gradients: clipped(gradients, clip_norm)
    return found


def clipped(gradients: Sequence[tf.Tensor], norm: float) -> list[tf.Tensor]:
    """Return the gradients, made smaller together where their common norm is above `norm`."""
    squares = [tf.reduce_sum(tf.square(gradient)) for gradient in gradients if gradient is not None]
    share = tf.math.divide_no_nan(norm, tf.maximum(tf.sqrt(tf.add_n(squares)), norm))
    return [None if gradient is None else gradient * share for gradient in gradients]
