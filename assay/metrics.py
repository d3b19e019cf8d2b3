"""Measures of a classifier. Pure: arrays in, numbers out.

`labels` and `predicted` are int [N] in [0, K); `probabilities` float [N, K], rows that sum to 1. Every share is in
[0, 1]. A class without a test image has recall and F1 0 and n 0, and no part in the means over classes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import sklearn.metrics

ROC_POINTS = 50  # of a class, at most


@dataclass(frozen=True, kw_only=True)
class ClassScore:
    n: int  # images of the class
    precision: float  # 0 if it was never predicted
    recall: float
    recall_low: float
    recall_high: float
    f1: float


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The images whose confidence, the probability of the predicted class, lies in one range."""

    confidence: float  # mean
    accuracy: float
    n_images: int


def wilson(right: int, n: int, confidence: float) -> tuple[float, float]:
    """Return the score interval of a share, (0, 1) for n = 0: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209-212."""
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = right / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def confusion(labels: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the counts [K, K]; rows are the actual classes."""
    return np.asarray(sklearn.metrics.confusion_matrix(labels, predicted, labels=range(n_classes)))


def by_class(counts: np.ndarray, confidence: float) -> list[ClassScore]:
    """Return the score of each class, from its confusion counts [K, K]."""
    scores = []
    for label, row in enumerate(counts):
        right, n, named = int(row[label]), int(row.sum()), int(counts[:, label].sum())
        low, high = wilson(right, n, confidence)
        scores.append(
            ClassScore(
                n=n,
                precision=right / max(named, 1),
                recall=right / max(n, 1),
                recall_low=low,
                recall_high=high,
                f1=2 * right / max(n + named, 1),
            )
        )
    return scores


def overall(labels: np.ndarray, probabilities: np.ndarray, *, confidence: float, n_bins: int) -> dict[str, float]:
    """Return the measures of the whole split; without `auc` when all images are of one class.

    `baseline_accuracy` is what the commonest class as the answer to every image scores.
    """
    n_classes = probabilities.shape[1]
    counts = confusion(labels, probabilities.argmax(axis=1), n_classes)
    seen = [score for score in by_class(counts, confidence) if score.n]
    low, high = wilson(int(counts.trace()), len(labels), confidence)
    areas = [
        auc(labels == label, probabilities[:, label])
        for label in range(n_classes)
        if 0 < sum(labels == label) < len(labels)
    ]
    return {
        "accuracy": counts.trace() / len(labels),
        "accuracy_low": low,
        "accuracy_high": high,
        "baseline_accuracy": counts.sum(axis=1).max() / len(labels),
        "macro_f1": float(np.mean([score.f1 for score in seen])),
        "balanced_accuracy": float(np.mean([score.recall for score in seen])),
        "min_class_recall": min(score.recall for score in seen),
        "log_loss": float(sklearn.metrics.log_loss(labels, probabilities, labels=range(n_classes))),
        "calibration_error": calibration_error(calibration(labels, probabilities, n_bins)),
        **({"auc": float(np.mean(areas))} if areas else {}),
    }


def calibration(labels: np.ndarray, probabilities: np.ndarray, n_bins: int) -> list[Bin]:
    """Return the bins of equal width that hold images, by rising confidence."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    numbers = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    return [
        Bin(
            confidence=float(confidence[numbers == number].mean()),
            accuracy=float(right[numbers == number].mean()),
            n_images=int((numbers == number).sum()),
        )
        for number in np.unique(numbers)
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """Return the expected calibration error: Guo et al. 2017, https://arxiv.org/abs/1706.04599, equation 3."""
    n_images = sum(found.n_images for found in bins)
    return sum(found.n_images / n_images * abs(found.accuracy - found.confidence) for found in bins)


def auc(positive: np.ndarray, scores: np.ndarray) -> float:
    """Return the area under the ROC curve; `positive` is bool [N] with both values in it."""
    return float(sklearn.metrics.roc_auc_score(positive, scores))


def roc(positive: np.ndarray, scores: np.ndarray) -> list[tuple[float, float]]:
    """Return at most `ROC_POINTS` points (false positive rate, true positive rate), from (0, 0) to (1, 1)."""
    false_rate, true_rate, _ = sklearn.metrics.roc_curve(positive, scores)
    kept = np.unique(np.linspace(0, len(false_rate) - 1, min(ROC_POINTS, len(false_rate))).round().astype(int))
    return [(float(false_rate[i]), float(true_rate[i])) for i in kept]
