import math

import numpy as np
import pytest

from assay.errors import AssayError
from assay.training import optimizers, tensors
from assay.training.tensors import keras, tf

tensors.set_up(threads=2)  # here, because it must come before the first operation of any test
GRADIENT, RATE = 3.0, 0.1
PLAIN = {"weight_decay": 0.0, "momentum": 0.0, "clip_norm": None}


def after(name: optimizers.Name, *, steps: int = 1, gradient: float = GRADIENT, **changes: object) -> tuple[float, ...]:
    """Return a kernel and a bias of 1 after some steps along the same gradient."""
    kernel, bias = keras.Variable(1.0, name="kernel"), keras.Variable(1.0, name="bias")
    optimizer = optimizers.build(name, RATE, **PLAIN | changes)
    optimizer.build([kernel, bias])
    for _ in range(steps):
        optimizer.apply([tf.constant(gradient), tf.constant(gradient)])
    return float(kernel), float(bias)


def test_sgd_goes_down_the_gradient_and_momentum_carries_on() -> None:
    assert after("sgd") == pytest.approx((1 - RATE * GRADIENT,) * 2)
    # Nesterov, by hand: m = 0.9 m - 0.3; w = w + 0.9 m - 0.3
    momenta, w = [-0.3, 0.9 * -0.3 - 0.3], 1.0
    for m in momenta:
        w += 0.9 * m - RATE * GRADIENT
    assert after("sgd", momentum=0.9, steps=2)[0] == pytest.approx(w)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_the_first_step_of_adam_is_the_rate_whatever_the_gradient(name: optimizers.Name) -> None:
    for gradient in (0.01, 100.0):
        assert after(name, gradient=gradient) == pytest.approx((1 - RATE,) * 2, abs=1e-4)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_decay_shrinks_kernels_and_leaves_biases(name: optimizers.Name) -> None:
    kernel, bias = after(name, gradient=0.0, weight_decay=0.5)
    assert (kernel, bias) == pytest.approx((1 - RATE * 0.5, 1.0))


def test_decay_for_adam_is_refused_with_what_to_take_instead() -> None:
    with pytest.raises(AssayError, match=r"weight_decay: 0\.1, and adam has none; take adamw.*train\.optimizer"):
        optimizers.build("adam", RATE, **PLAIN | {"weight_decay": 0.1})


def test_gradients_are_clipped_by_the_norm_of_them_all() -> None:
    moved = 1 - np.array(after("sgd", clip_norm=1.0))
    assert math.hypot(*moved) == pytest.approx(RATE * 1.0)
    assert after("sgd", clip_norm=100.0) == after("sgd")
