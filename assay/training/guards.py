"""Runs that can't be right: what stops one, and what to say of it.

Two things stop a run besides numbers that are none: no epoch shows any sign of learning; or none of the last ones does,
and the kernels have grown far beyond what they were, which loses what was learnt before. A hard set that is learnt
slowly shows one of the signs early: a loss below that of always guessing by how common the classes are, or answers that
are right more often than chance.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LEARNT = 0.99  # of the loss of guessing: below it something was learnt
SURE = 3.5  # standard errors above chance: no luck of thirty epochs
SOONEST_EPOCHS, SOONEST_STEPS, SOONEST_SHARE = 3, 300, 0.2  # of the epochs after the warm-up; all must have passed
RECENT_EPOCHS, RECENT_SHARE = 3, 0.1  # of the epochs: so long nothing may be left of what was learnt
GROWN = 4.0  # times the size that a kernel began with: the recipes tried stay below 2
DEAD_SHARE, VANISHED = 0.9, 1e-3  # channels of a layer; gradient of the first kernel to that of the last


@dataclass(frozen=True, kw_only=True)
class Signs:
    """What one epoch shows of learning."""

    cross_entropy: float  # of the images as trained on, without weights and smoothing
    val_loss: float
    above_chance: float  # how far the recall is above chance, in standard errors; the larger of train and val


@dataclass(frozen=True, kw_only=True)
class Symptoms:
    """What may be wrong with a network that has learnt nothing."""

    grown: float  # the root mean square of the kernel that has grown most, to that it began with
    dead: Mapping[str, float]  # share of channels that are 0 for every image, of each activation
    vanishing: float  # gradient to weight of the first kernel, to that of the last
    n_predicted: int  # classes that any validation image is taken for


def guessing(labels: np.ndarray, n_classes: int, shown: np.ndarray | None = None) -> float:
    """Return the loss of who knows how common the classes are and nothing else; `shown`: how often each image is."""
    if labels.ndim == 2:
        shares = np.average(labels, axis=0, weights=shown)
        return float(np.mean([_entropy(np.array([share, 1 - share])) for share in shares]))
    return _entropy(
        np.bincount(labels, weights=shown, minlength=n_classes) / (len(labels) if shown is None else shown.sum())
    )


def _entropy(shares: np.ndarray) -> float:
    return float(-sum(share * math.log(share) for share in shares if share > 0))


def above_chance(labels: np.ndarray, right: np.ndarray) -> float:
    """Return how far the mean recall of the classes is above that of guessing, in standard errors.

    `right`: bool like `labels`, [N] or of each decision [N, K]. The mean recall of whatever does not look at the images
    is 1 / K, and 1 / 2 of a decision, however rare some classes are.
    """
    found = [
        _excess(*each) for each in (zip(labels.T, right.T, strict=True) if labels.ndim == 2 else [(labels, right)])
    ]
    errors = math.sqrt(sum(error**2 for _, error in found))
    return sum(excess for excess, _ in found) / errors if errors else 0.0


def _excess(labels: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Return the mean recall above chance and its standard error, were it chance; of one class alone nothing."""
    present = np.unique(labels)
    if len(present) < 2:
        return 0.0, 0.0
    counts = np.array([(labels == label).sum() for label in present])
    recalls = np.array([right[labels == label].mean() for label in present])
    chance = 1 / len(present)
    error = math.sqrt(float((chance * (1 - chance) / counts).sum())) / len(present)
    return float(recalls.mean()) - chance, error


def soonest(*, epochs: int, steps: int, warmup_share: float) -> int:
    """Return after which epoch a run of `steps` an epoch may be stopped."""
    warm = warmup_share * epochs
    return max(SOONEST_EPOCHS, math.ceil(warm + SOONEST_SHARE * (epochs - warm)), math.ceil(SOONEST_STEPS / steps))


def recent(signs: Sequence[Signs], *, epochs: int) -> Sequence[Signs]:
    """Return those of the last epochs, of a run of `epochs`."""
    return signs[-max(RECENT_EPOCHS, math.ceil(RECENT_SHARE * epochs)) :]


def learnt_nothing(signs: Sequence[Signs], *, guessing: float) -> bool:
    """Say whether none of these epochs shows any sign of learning."""
    return not any(
        min(sign.cross_entropy, sign.val_loss) < LEARNT * guessing or sign.above_chance > SURE for sign in signs
    )


def has_grown(symptoms: Symptoms) -> bool:
    """Say whether the kernels are as large as only a rate far too high makes them."""
    return not symptoms.grown < GROWN


def reason(symptoms: Symptoms, *, n_classes: int, learning_rate: float) -> str:
    """Return what is wrong with a network that has learnt nothing, and what to try: the likeliest first."""
    if has_grown(symptoms):
        return (
            f"its kernels have grown {symptoms.grown:.3g}-fold: the learning rate {learning_rate:g} is far too high; "
            f"try {learning_rate / 10:g} (params.yaml: train.learning_rate)"
        )
    if symptoms.dead and max(symptoms.dead.values()) >= DEAD_SHARE:
        layer, share = max(symptoms.dead.items(), key=lambda each: each[1])
        return (
            f"{share:.0%} of the channels of layer {layer} are 0 for every image: they are dead; try a lower rate, or "
            "leaky_relu (params.yaml: train.learning_rate, train.activation)"
        )
    if symptoms.vanishing < VANISHED:
        return (
            f"gradients vanish: that of the first kernel is {symptoms.vanishing:.1g} of that of the last; try batch "
            "normalisation, relu, or fewer blocks (params.yaml: train.normalisation, train.activation, train.filters)"
        )
    if symptoms.n_predicted == 1 and n_classes > 1:
        return (
            "every image is taken for the same class; look whether the labels belong to the images, then try another "
            f"rate than {learning_rate:g}, or balanced classes (params.yaml: train.learning_rate, train.imbalance)"
        )
    return (
        "look whether the labels belong to the images, then try less augmentation or another rate than "
        f"{learning_rate:g} (params.yaml: train.augment, train.learning_rate)"
    )
