"""The outputs of a network before its answers: penultimate features and logits.

A network has a layer `embedding` with outputs [N, D] and a layer `logits` with [N, K]. One without them is asked for
the inputs of its last dense layer, and for what that makes of them before its activation.
"""

from collections.abc import Callable

import numpy as np

from assay.errors import AssayError
from assay.training.tensors import keras

Network = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # images to features [N, D] and logits [N, K]


def network(classifier: keras.Model) -> Network:
    """Return what gives features and logits of images uint8 [N, H, W, C]; raises `AssayError` where there are none."""
    known = {layer.name for layer in classifier.layers}
    if not {"embedding", "logits"} <= known:
        return _of_last_dense(classifier)
    asked = keras.Model(classifier.input, [classifier.get_layer(name).output for name in ("embedding", "logits")])

    def ask(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        features, logits = asked.predict_on_batch(images)
        return features, logits

    return ask


def _of_last_dense(classifier: keras.Model) -> Network:
    dense = [layer for layer in classifier.layers if isinstance(layer, keras.layers.Dense)]
    if not dense:
        seen = ", ".join(layer.name for layer in classifier.layers)
        raise AssayError(f"model: neither layers `embedding` and `logits` nor a dense one; it has {seen}")
    asked = keras.Model(classifier.input, dense[-1].input)
    kernel, bias = (np.asarray(value) for value in dense[-1].get_weights())

    def ask(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        features = asked.predict_on_batch(images)
        return features, features @ kernel + bias

    return ask
