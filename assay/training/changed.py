"""What changing images does: to the images themselves, and to the answers of the network.

Augmentation that leaves nothing of what tells the classes apart looks in all curves like a network that is too small;
what tells them apart is whether an augmented image is still most like images of its own class, pixel by pixel.
"""

import numpy as np

from assay.labels import Task
from assay.training import augment, measure
from assay.training.augment import Strengths
from assay.training.tensors import tf

LIGHTLY = Strengths(rotate_deg=8, shift_share=0.06, zoom_share=0.06)  # what leaves the label of nearly every image
SIDE_PX = 16  # images are compared at this size
DRAWN = 4  # augmented images of each


def compared(
    train: tuple[np.ndarray, np.ndarray], val: tuple[np.ndarray, np.ndarray], *, strengths: Strengths, seed: int
) -> dict[str, float]:
    """Return what augmentation leaves of val images; both are (uint8 [N, H, W, C], labels int64 [N]).

    `plain` and `augmented`: the share that is most like a train image of its own class, in pixels, as it is and
    augmented; `chance`: that of an image at random. `correlation`: of an augmented image with itself, beside the mean
    image.
    """
    images, labels = val
    known, plain = _small(train[0]), _small(images)
    middle = known.mean(axis=0)
    shares, likeness = [], []
    for draw in range(DRAWN):
        changed = _small(
            augment.apply(tf.constant(images), tf.constant([seed, -2 - draw], tf.int64), strengths).numpy()
        )
        shares.append(_right(known, train[1], changed, labels))
        likeness.append(_correlation(plain - middle, changed - middle))
    return {
        "plain": _right(known, train[1], plain, labels),
        "augmented": float(np.mean(shares)),
        "chance": _chance(train[1], labels),
        "correlation": float(np.mean(likeness)),
    }


def _small(images: np.ndarray) -> np.ndarray:
    """Return the images [N, D], at most `SIDE_PX` high and wide, of zero mean and unit contrast each."""
    side = [min(SIDE_PX, size) for size in images.shape[1:3]]
    small = tf.image.resize(images, side, method="area").numpy() if side != list(images.shape[1:3]) else images
    flat = small.reshape(len(small), -1).astype(np.float32)
    return np.asarray((flat - flat.mean(1, keepdims=True)) / np.maximum(flat.std(1, keepdims=True), 1e-3))


def _right(known: np.ndarray, labels: np.ndarray, asked: np.ndarray, truth: np.ndarray) -> float:
    distances = (known**2).sum(axis=1) - 2 * asked @ known.T
    return float((labels[distances.argmin(axis=1)] == truth).mean())


def _chance(one: np.ndarray, other: np.ndarray) -> float:
    """Return how often two images are of one class; each side may have classes that the other lacks."""
    n_classes = 1 + max(one.max(), other.max())
    shares = [np.bincount(labels, minlength=n_classes) / len(labels) for labels in (one, other)]
    return float(shares[0] @ shares[1])


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return the mean over the images of the correlation of two versions; of one that is like the mean image 0."""
    sizes = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(axis=1) / np.maximum(sizes, 1e-6)).mean())


def lightly(
    answer: measure.Answer, images: np.ndarray, labels: np.ndarray, task: Task, *, seed: int
) -> dict[str, float]:
    """Return what a light change of the images does to the answers: the share that `flips`, and accuracies."""
    changed = augment.apply(tf.constant(images), tf.constant([seed, -1], tf.int64), LIGHTLY)
    before, after = (
        np.concatenate([answer(part).numpy() for part in tf.data.Dataset.from_tensor_slices(each).batch(64)])
        for each in (images, changed)
    )
    said = [each >= 0 if task == "multi_label" else each.argmax(axis=1)[:, None] for each in (before, after)]
    return {
        "flips": float((said[0] != said[1]).any(axis=1).mean()),
        "accuracy": float(measure.is_right(labels, before, task).mean()),
        "accuracy_changed": float(measure.is_right(labels, after, task).mean()),
    }
