"""What a network looks like from within: its activations, its gradients and its kernels.

Cheap enough to be looked at once, at the end of a run or when one is stopped.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from assay.labels import Task
from assay.training import losses, steps
from assay.training.tensors import keras, tf

LOOKED_AT = 8  # images at once: all activations of a large network are kept meanwhile
BINS = 24  # of the histogram of the network's input
CONSTANT = 1e-6  # deviation of a channel, to its largest value


def activations(network: keras.Model, images: Iterable[np.ndarray]) -> dict[str, dict[str, float]]:
    """Return of each layer with an activation the shares of channels that are dead (never above 0) and constant.

    `images`: batches uint8 [N, H, W, C].
    """
    layers = [layer for layer in network.layers if _activates(layer)]
    if not layers:
        return {}
    outputs = steps.outputs_of(network)
    inner = keras.Model(network.input, [outputs[layer.name] for layer in layers])
    found = [[_summed(np.asarray(each)) for each in _several(inner, part)] for part in _parts(images)]
    return {
        layer.name: _shares(*(np.stack(each) for each in zip(*of_layer, strict=True)))
        for layer, of_layer in zip(layers, zip(*found, strict=True), strict=True)
    }


def _activates(layer: keras.Layer) -> bool:
    kinds = (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.PReLU, keras.layers.ELU)
    function = getattr(layer, "activation", None)
    return isinstance(layer, kinds) or (
        function not in (None, keras.activations.linear, keras.activations.softmax) and layer.name != "probabilities"
    )


def _parts(images: Iterable[np.ndarray]) -> Iterable[np.ndarray]:
    return (batch[start : start + LOOKED_AT] for batch in images for start in range(0, len(batch), LOOKED_AT))


def _several(model: keras.Model, images: np.ndarray) -> list[tf.Tensor]:
    found = model(images, training=False)
    return found if isinstance(found, list) else [found]


def _summed(activation: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return what is needed of each channel [C]: largest and smallest value, sum, sum of squares, count."""
    flat = activation.reshape(-1, activation.shape[-1]).astype(np.float64)
    return flat.max(0), flat.min(0), flat.sum(0), (flat**2).sum(0), np.full(flat.shape[1], len(flat))


def _shares(
    largest: np.ndarray, smallest: np.ndarray, sums: np.ndarray, squares: np.ndarray, counts: np.ndarray
) -> dict[str, float]:
    top, bottom, n = largest.max(0), smallest.min(0), counts.sum(0)
    variance = np.maximum(squares.sum(0) / n - (sums.sum(0) / n) ** 2, 0)
    scale = np.maximum(np.maximum(abs(top), abs(bottom)), 1e-30)
    return {
        "dead": float(np.mean((top <= 0) & (bottom == top))),
        "constant": float(np.mean(np.sqrt(variance) / scale < CONSTANT)),
        "largest": float(top.max()),
    }


def gradients(learner: keras.Model, batches: Iterable[tuple[tf.Tensor, tf.Tensor]], task: Task) -> dict[str, float]:
    """Return of each kernel that learns the norm of its gradient to its own, over all batches together."""
    kernels = steps.kernels_of(learner)
    sums, n_images = [np.zeros(kernel.shape) for kernel in kernels], 0
    for images, labels in batches:
        with tf.GradientTape() as tape:
            logits = tf.cast(learner(images, training=False), tf.float32)
            loss = tf.reduce_sum(losses.cross_entropy(labels, logits, task=task))
        for total, gradient in zip(sums, tape.gradient(loss, kernels), strict=True):
            total += np.asarray(gradient)
        n_images += len(labels)
    return {
        kernel.path: float(np.linalg.norm(total / n_images) / max(float(np.linalg.norm(kernel)), 1e-30))
        for kernel, total in zip(kernels, sums, strict=True)
    }


def sizes(learner: keras.Model) -> dict[str, float]:
    """Return the root mean square of each kernel that learns."""
    return {kernel.path: float(np.sqrt(np.mean(np.square(np.asarray(kernel))))) for kernel in steps.kernels_of(learner)}


def network_input(learner: keras.Model, images: np.ndarray) -> dict[str, Any]:
    """Return mean and deviation of what the first layer with a kernel is given, and its histogram.

    `low` and `high`: the ends; `shares`: of all numbers, in `BINS` bins of the same width.
    """
    names = list(steps.outputs_of(learner))
    first = next(layer for layer in learner.layers if any(len(weight.shape) > 1 for weight in layer.weights))
    before = steps.outputs_of(learner)[names[names.index(first.name) - 1]]
    found = np.asarray(keras.Model(learner.input, before)(images, training=False)).astype(np.float64)
    low, high = float(found.min()), float(found.max())
    of = {"mean": float(found.mean()), "deviation": float(found.std()), "low": low, "high": high}
    counts = np.histogram(found, BINS, range=(low, high))[0] if np.isfinite([low, high]).all() else np.zeros(0)
    return of | {"shares": [float(count / found.size) for count in counts]}


def first_not_finite(learner: keras.Model, images: tf.Tensor, labels: tf.Tensor, task: Task) -> str:
    """Return where numbers that are none first appear in a step: a layer's output, or a kernel's gradient."""
    named = list(steps.outputs_of(learner).items())[1:]  # the first is the input
    inner = keras.Model(learner.input, [output for _, output in named])
    with tf.GradientTape() as tape:
        outputs = inner(images, training=True)
        loss = tf.reduce_mean(losses.cross_entropy(labels, tf.cast(outputs[-1], tf.float32), task=task))
    for (name, _), output in zip(named, outputs, strict=True):
        if not np.isfinite(np.asarray(output, np.float64)).all():
            return f"the output of layer {name}"
    kernels = steps.kernels_of(learner)
    for kernel, gradient in reversed(list(zip(kernels, tape.gradient(loss, kernels), strict=True))):
        if not np.isfinite(np.asarray(gradient)).all():
            return f"the gradient of {kernel.path}"
    return "the loss" if not np.isfinite(float(loss)) else "the weights after the step"
