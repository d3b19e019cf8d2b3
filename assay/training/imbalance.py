"""What to do where one class has many more images than another: weights of the loss, what is added to the logits while
they are learnt, or how often an image is shown.

`labels` are int64: the class [N], or of a multi-label set 0 or 1 for each class [N, K], where each class is balanced
on its own. Weights have a mean of 1 over the images, so that the rate of learning stays what it is.
"""

from typing import Literal, get_args

import numpy as np

Imbalance = Literal["none", "balanced", "effective_number", "logit_adjustment", "oversample", "undersample", "focal"]
METHODS = get_args(Imbalance)
ALIKE = 0.999  # beta of the effective number: past a thousand images of a class, more add little
FOCUS = 2.0  # gamma of the focal loss: https://arxiv.org/abs/1708.02002, where 2 did best


def weights(labels: np.ndarray, n_classes: int, method: Imbalance) -> np.ndarray | None:
    """Return what an image of each class weighs [K], or a decision against and for each class [2, K]; None: 1 each."""
    if method not in ("balanced", "effective_number"):
        return None
    counts = _counts(labels, n_classes)
    found = _rarity(counts, method)
    return np.asarray(found * len(labels) / np.sum(found * counts, axis=0 if labels.ndim == 2 else None))


def offsets(labels: np.ndarray, n_classes: int, method: Imbalance) -> np.ndarray | None:
    """Return what is added to the logits while they are learnt [K]: how common each class is; None: nothing.

    What is learnt beyond that is what the images tell, so that the logits without it answer as if all classes were
    equally common: https://arxiv.org/abs/2007.07314, equation 10
    """
    if method != "logit_adjustment":
        return None
    counts = np.maximum(_counts(labels, n_classes), 1)
    return np.asarray(np.log(counts / len(labels)) if labels.ndim == 1 else np.log(counts[1] / counts[0]))


def _counts(labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the images of each class [K], or those without and with each class [2, K]."""
    if labels.ndim == 1:
        return np.bincount(labels, minlength=n_classes)
    held = labels.sum(axis=0)
    return np.array([len(labels) - held, held])


def _rarity(counts: np.ndarray, method: Imbalance) -> np.ndarray:
    """Return weights up to a factor. A class that no image has or lacks gets that of a single image.

    Effective number: n images count as (1 - b^n) / (1 - b), for the more there are, the more alike they are:
    https://arxiv.org/abs/1901.05555
    """
    counts = np.maximum(counts, 1)
    if method == "balanced":
        return np.asarray(1 / counts)
    return np.asarray((1 - ALIKE) / (1 - ALIKE**counts))


def rates(labels: np.ndarray, n_classes: int, method: Imbalance, *, train: np.ndarray | None = None) -> np.ndarray:
    """Return how often an epoch shows each image on average, float64 [N]; `train`: labels of those, if others.

    `oversample`: every class as often as the commonest, `undersample`: as the rarest. An image of a multi-label set
    is shown as often as its rarest class asks for; being in no class counts as one. With those of many classes the
    common ones are shown oftener too, so the root of the ratio is taken: https://arxiv.org/abs/1908.03195, 4.1
    """
    if method not in ("oversample", "undersample"):
        return np.ones(len(labels))
    train = labels if train is None else train
    if labels.ndim == 1:
        counts = np.bincount(train, minlength=n_classes)
        aim = counts.max() if method == "oversample" else counts[counts > 0].min()
        return np.asarray((aim / np.maximum(counts, 1))[labels])
    marks, counts = _marks(labels), _marks(train).sum(axis=0)
    aim = counts.max() if method == "oversample" else counts[counts > 0].min()
    wanted = np.sqrt(aim / np.maximum(counts, 1))
    return np.asarray(np.where(marks > 0, wanted, 0).max(axis=1))


def _marks(labels: np.ndarray) -> np.ndarray:
    return np.column_stack([labels, labels.sum(axis=1) == 0])
