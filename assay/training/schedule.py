"""The learning rate of every step, as a table made before the first: nothing about it depends on the machine.

`plateau` falls by what the validation split says, and so is known after each epoch only: see `fall`.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from assay.training.tensors import keras, tf

Name = Literal["constant", "exponential", "cosine", "one_cycle", "plateau"]
DIGITS = 6  # of a rate: the last bits of a cosine are not the same on every processor
LAST = 0.01  # of the rate is left at the end of `exponential`
LOWEST = 1e-4  # of the highest rate is the end of `one_cycle`
BEGIN = 1 / 25  # of the highest rate is the beginning of `one_cycle`
FACTOR, BETTER = 0.3, 1e-4  # of `plateau`: what is left of the rate, and how much lower a loss must be to count


def rates(name: Name, *, learning_rate: float, warmup_share: float, steps: int) -> np.ndarray:
    """Return the rate of each step, float32 [steps]; `learning_rate` is the highest.

    The first `warmup_share` of the steps rise to it in a line. Cosine: https://arxiv.org/abs/1608.03983; one cycle,
    which always has both parts and rises along a cosine: https://arxiv.org/abs/1708.07120
    """
    warm = round(warmup_share * steps)
    rising = [learning_rate * (step + 1) / (warm + 1) for step in range(warm)]
    rest = max(1, steps - warm)
    after = [step / rest for step in range(steps - warm)]
    match name:
        case "constant" | "plateau":
            found = rising + [learning_rate for _ in after]
        case "exponential":
            found = rising + [learning_rate * LAST**share for share in after]
        case "cosine":
            found = rising + [_cosine(learning_rate, 0, share) for share in after]
        case "one_cycle":
            risen = [_cosine(BEGIN * learning_rate, learning_rate, step / max(1, warm)) for step in range(warm)]
            found = risen + [_cosine(learning_rate, LOWEST * learning_rate, share) for share in after]
    return np.array([float(f"{rate:.{DIGITS}g}") for rate in found], np.float32)


def _cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


class Table(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Looks the rate of a step up; the last one stays. `factor`: what `plateau` has left of it."""

    def __init__(self, rates: np.ndarray) -> None:
        super().__init__()
        self.rates = np.asarray(rates, np.float32)
        self.factor = tf.Variable(1.0, trainable=False, name="factor")

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        found = tf.gather(tf.constant(self.rates), tf.minimum(tf.cast(step, tf.int64), len(self.rates) - 1))
        return found * self.factor

    def get_config(self) -> dict[str, list[float]]:
        return {"rates": self.rates.tolist()}


@dataclass(frozen=True, kw_only=True)
class Plateau:
    """What `plateau` knows after an epoch."""

    factor: float = 1.0  # of the rate that is left
    best: float = math.inf  # the lowest val loss
    waited: int = 0  # epochs since


def fall(plateau: Plateau, val_loss: float, *, patience_epochs: int) -> Plateau:
    """Return the plateau after one more epoch: `FACTOR` of the rate after `patience_epochs` without a better loss."""
    if val_loss < plateau.best * (1 - BETTER):
        return Plateau(factor=plateau.factor, best=val_loss)
    if plateau.waited + 1 < patience_epochs:
        return Plateau(factor=plateau.factor, best=plateau.best, waited=plateau.waited + 1)
    return Plateau(factor=plateau.factor * FACTOR, best=plateau.best)
