import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.training import schedule, tensors
from assay.training.schedule import Plateau, Table, rates
from assay.training.tensors import keras, tf

tensors.set_up(threads=2)  # here, because it must come before the first operation of any test
NAMES = ("constant", "exponential", "cosine", "one_cycle", "plateau")


def test_cosine_is_that_of_keras() -> None:
    expected = keras.optimizers.schedules.CosineDecay(0.002, decay_steps=100)
    found = rates("cosine", learning_rate=0.002, warmup_share=0, steps=100)
    np.testing.assert_allclose(found, [float(expected(step)) for step in range(100)], rtol=1e-4, atol=1e-9)


def test_exponential_is_that_of_keras() -> None:
    expected = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=50, decay_rate=schedule.LAST)
    found = rates("exponential", learning_rate=0.1, warmup_share=0, steps=50)
    np.testing.assert_allclose(found, [float(expected(step)) for step in range(50)], rtol=1e-4)


def test_warm_up_rises_in_a_line_and_takes_its_share() -> None:
    found = rates("cosine", learning_rate=1.0, warmup_share=0.1, steps=90)
    np.testing.assert_allclose(found[:10], np.arange(1, 11) / 10, rtol=1e-5)
    assert found.argmax() == 9
    assert (np.diff(found[9:]) < 0).all()


def test_one_cycle_begins_low_rises_and_falls_to_next_to_nothing() -> None:
    found = rates("one_cycle", learning_rate=1.0, warmup_share=0.3, steps=100)
    assert found[0] == pytest.approx(1 / 25, rel=1e-5)
    assert found.argmax() == 30
    assert (np.diff(found[:31]) > 0).all()
    assert (np.diff(found[30:]) < 0).all()
    assert found[-1] < 0.002


@given(
    st.sampled_from(NAMES), st.floats(1e-6, 10), st.sampled_from([0.0, 0.05, 0.3, 0.9]), st.integers(1, 300)
)  # fmt: skip
def test_every_step_has_a_rate_of_few_digits_and_none_is_above_the_highest(
    name: schedule.Name, highest: float, warmup_share: float, steps: int
) -> None:
    found = rates(name, learning_rate=highest, warmup_share=warmup_share, steps=steps)
    assert (found.dtype, len(found)) == (np.float32, steps)
    assert found.max() <= highest * (1 + 1e-5)
    assert (found > 0).all()
    np.testing.assert_array_equal(found, np.array([float(f"{rate:.6g}") for rate in found], np.float32))


def test_the_optimizer_takes_the_rate_of_its_step_and_the_last_one_stays() -> None:
    table = Table(np.array([1, 0.5, 0.25], np.float32))
    optimizer = keras.optimizers.SGD(table)
    weight = keras.Variable(0.0)
    optimizer.build([weight])
    for _ in range(5):
        optimizer.apply([tf.constant(1.0)])
    assert float(weight) == -(1 + 0.5 + 0.25 * 3)
    table.factor.assign(0.1)
    optimizer.apply([tf.constant(1.0)])
    assert float(weight) == pytest.approx(-(2.25 + 0.025))


def test_the_rate_falls_after_the_patience_and_again_after_the_next() -> None:
    losses = [1.0, 0.9, 0.9, 0.95, 0.8999999, 0.7, 0.71, 0.72, 0.73, 0.74, 0.75, 0.76]
    plateau, factors = Plateau(), []
    for loss in losses:
        plateau = schedule.fall(plateau, loss, patience_epochs=3)
        factors.append(round(plateau.factor, 10))
    assert factors == [*[1.0] * 4, *[0.3] * 4, *[0.09] * 3, 0.027]
    assert plateau.best == 0.7


def test_a_loss_that_is_no_number_is_no_better() -> None:
    assert schedule.fall(Plateau(best=1.0), math.nan, patience_epochs=9) == Plateau(best=1.0, waited=1)
