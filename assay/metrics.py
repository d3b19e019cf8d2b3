"""Measures of a classifier. Pure: arrays in, numbers out.

`actual` and `predicted` are bool [N, K]: the classes that an image is in, and those that the model names. Of a
single-label set that is one class, of a multi-label set any number; an image is right if all K decisions are.
`probabilities` are float [N, K]; rows of a single-label set sum to 1. Every share is in [0, 1]. A class without a test
image has recall and F1 0 and n 0, and no part in the means over classes.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import sklearn.metrics
from scipy.sparse import csr_array

from assay.labels import THRESHOLD, Task

ROC_POINTS = 50  # of a class, at most
RESAMPLES = 1000  # of the bootstrap
AT_ONCE = 50
SEED = 0


@dataclass(frozen=True, kw_only=True)
class ClassScore:
    n: int  # images of the class
    n_named: int  # images of which the model says that they are in it
    n_found: int  # images of which it says so rightly
    precision: float  # 0 if it was never named
    precision_low: float
    precision_high: float
    recall: float
    recall_low: float
    recall_high: float
    f1: float
    auc: float | None  # of the ROC curve; None: all test images are of the class, or none
    average_precision: float | None  # None: as for auc


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The answers whose confidence lies in one range, see `calibration`."""

    confidence: float  # mean
    accuracy: float
    n: int


def wilson(right: int, n: int, confidence: float) -> tuple[float, float]:
    """Return the score interval of a share, (0, 1) for n = 0: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209-212."""
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = right / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def one_hot(numbers: np.ndarray, n_classes: int) -> np.ndarray:
    """Return bool [N, K] with one class for each image, of their numbers [N]."""
    return np.asarray(np.arange(n_classes) == numbers[:, None])


def named(probabilities: np.ndarray, task: Task) -> np.ndarray:
    """Return which classes the model names, bool [N, K]: the likeliest, or all that reach `THRESHOLD`."""
    if task == "multi_label":
        return np.asarray(probabilities >= THRESHOLD)
    return one_hot(probabilities.argmax(axis=1), probabilities.shape[1])


def confusion(actual: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the counts [K, K] of a single-label set; rows are the actual classes."""
    numbers = actual.argmax(axis=1), predicted.argmax(axis=1)
    return np.asarray(sklearn.metrics.confusion_matrix(*numbers, labels=range(actual.shape[1])))


def by_class(
    actual: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray, confidence: float
) -> list[ClassScore]:
    """Return the score of each class against all others."""
    return [_score(*columns, confidence) for columns in zip(actual.T, predicted.T, probabilities.T, strict=True)]


def _score(actual: np.ndarray, predicted: np.ndarray, scores: np.ndarray, confidence: float) -> ClassScore:
    n, n_named, n_found = int(actual.sum()), int(predicted.sum()), int((actual & predicted).sum())
    precision_low, precision_high = wilson(n_found, n_named, confidence)
    recall_low, recall_high = wilson(n_found, n, confidence)
    has_both = 0 < n < len(actual)
    return ClassScore(
        n=n,
        n_named=n_named,
        n_found=n_found,
        precision=n_found / max(n_named, 1),
        precision_low=precision_low,
        precision_high=precision_high,
        recall=n_found / max(n, 1),
        recall_low=recall_low,
        recall_high=recall_high,
        f1=2 * n_found / max(n + n_named, 1),
        auc=auc(actual, scores) if has_both else None,
        average_precision=float(sklearn.metrics.average_precision_score(actual, scores)) if has_both else None,
    )


def overall(
    actual: np.ndarray, probabilities: np.ndarray, task: Task, *, confidence: float, n_bins: int
) -> dict[str, float]:
    """Return the measures of the whole split, of which at least one image must be in a class.

    `auc` and `average_precision` are means over classes, absent when no class has images with and without it.
    `baseline_accuracy` is what the commonest answer to every image scores. `hamming_loss` is the share of wrong
    decisions. What is no share of independent images has a bootstrap interval.
    """
    predicted = named(probabilities, task)
    scores = by_class(actual, predicted, probabilities, confidence)
    is_right = (actual == predicted).all(axis=1)
    ends = {"accuracy": wilson(int(is_right.sum()), len(is_right), confidence)}
    ends |= intervals(actual, predicted, confidence)
    counts = np.array([[(s.n_found, s.n, s.n_named) for s in scores]]).transpose(2, 0, 1)
    values = {"accuracy": float(is_right.mean())}
    values |= {name: float(value[0]) for name, value in _of_counts(counts, len(actual)).items()}
    areas = {"auc": [s.auc for s in scores], "average_precision": [s.average_precision for s in scores]}
    known = {name: [area for area in of_each if area is not None] for name, of_each in areas.items()}
    shown = ("micro_f1", "hamming_loss") if task == "multi_label" else ("balanced_accuracy",)
    return {
        **_with_ends("accuracy", values, ends),
        "baseline_accuracy": np.unique(actual, axis=0, return_counts=True)[1].max() / len(actual),
        **_with_ends("macro_f1", values, ends),
        **{key: value for name in shown for key, value in _with_ends(name, values, ends).items()},
        "min_class_recall": min(score.recall for score in scores if score.n),
        "log_loss": _log_loss(actual, probabilities, task),
        "calibration_error": calibration_error(calibration(actual, probabilities, task, n_bins)),
        **{name: float(np.mean(of_each)) for name, of_each in known.items() if of_each},
    }


def _with_ends(name: str, values: Mapping[str, float], ends: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    low, high = ends[name]
    return {name: values[name], f"{name}_low": low, f"{name}_high": high}


def _of_counts(counts: np.ndarray, n_images: int) -> dict[str, np.ndarray]:
    """Return the measures [B] of B sets of `n_images` images from n_found, n and n_named of each class [3, B, K]."""
    n_found, n, n_named = counts
    is_there, n_decisions = n > 0, n_images * n.shape[1]

    def over_classes(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
        shares = np.divide(parts, wholes, out=np.zeros(n.shape), where=is_there)
        return np.asarray(shares.sum(axis=1) / is_there.sum(axis=1))

    return {
        "macro_f1": over_classes(2 * n_found, n + n_named),
        "balanced_accuracy": over_classes(n_found, n),
        "micro_f1": 2 * n_found.sum(axis=1) / (n + n_named).sum(axis=1),
        "hamming_loss": (n + n_named - 2 * n_found).sum(axis=1) / n_decisions,
    }


def intervals(actual: np.ndarray, predicted: np.ndarray, confidence: float) -> dict[str, tuple[float, float]]:
    """Return the intervals of what follows from counts: percentiles of the bootstrap over images.

    B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13. A class that a resample lacks has
    no part in its means, as in the estimate; a resample without any class is left out.
    """
    drawn = np.concatenate(list(_resampled(actual, predicted)), axis=1)
    measured = _of_counts(drawn[:, drawn[1].any(axis=1)], len(actual))
    levels = [50 * (1 - confidence), 50 * (1 + confidence)]
    ends = {name: np.percentile(values, levels) for name, values in measured.items()}
    return {name: (float(low), float(high)) for name, (low, high) in ends.items()}


def _resampled(actual: np.ndarray, predicted: np.ndarray) -> Iterator[np.ndarray]:
    """Yield n_found, n and n_named of each class in `AT_ONCE` resamples of the images [3, AT_ONCE, K]."""
    rng, n_images = np.random.default_rng(SEED), len(actual)
    counted = [csr_array(marks.T.astype(np.int64)) for marks in (actual & predicted, actual, predicted)]  # few are set
    for _ in range(RESAMPLES // AT_ONCE):
        drawn = [np.bincount(rng.integers(n_images, size=n_images), minlength=n_images) for _ in range(AT_ONCE)]
        times = np.stack(drawn, axis=1)
        yield np.stack([(marks @ times).T for marks in counted])


def _log_loss(actual: np.ndarray, probabilities: np.ndarray, task: Task) -> float:
    """Return the mean over images, of a multi-label set over all decisions."""
    if task == "multi_label":
        return float(sklearn.metrics.log_loss(actual.ravel(), probabilities.ravel(), labels=[False, True]))
    numbers = actual.argmax(axis=1)
    return float(sklearn.metrics.log_loss(numbers, probabilities, labels=range(actual.shape[1])))


def calibration(actual: np.ndarray, probabilities: np.ndarray, task: Task, n_bins: int) -> list[Bin]:
    """Return the bins of equal width that hold answers, by rising confidence.

    Confidence is the probability of the class that is named, and accuracy how often that is right. Of a multi-label set
    it is every probability, and accuracy how often the image is in that class.
    """
    if task == "multi_label":
        confidence, is_so = probabilities.ravel(), actual.ravel()
    else:
        confidence, is_so = probabilities.max(axis=1), actual[range(len(actual)), probabilities.argmax(axis=1)]
    numbers = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    return [
        Bin(
            confidence=float(confidence[numbers == number].mean()),
            accuracy=float(is_so[numbers == number].mean()),
            n=int((numbers == number).sum()),
        )
        for number in np.unique(numbers)
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """Return the expected calibration error: Guo et al. 2017, https://arxiv.org/abs/1706.04599, equation 3."""
    n = sum(found.n for found in bins)
    return sum(found.n / n * abs(found.accuracy - found.confidence) for found in bins)


def auc(positive: np.ndarray, scores: np.ndarray) -> float:
    """Return the area under the ROC curve; `positive` is bool [N] with both values in it."""
    return float(sklearn.metrics.roc_auc_score(positive, scores))


def roc(positive: np.ndarray, scores: np.ndarray) -> list[tuple[float, float]]:
    """Return at most `ROC_POINTS` points (false positive rate, true positive rate), from (0, 0) to (1, 1)."""
    false_rate, true_rate, _ = sklearn.metrics.roc_curve(positive, scores)
    kept = np.unique(np.linspace(0, len(false_rate) - 1, min(ROC_POINTS, len(false_rate))).round().astype(int))
    return [(float(false_rate[i]), float(true_rate[i])) for i in kept]
