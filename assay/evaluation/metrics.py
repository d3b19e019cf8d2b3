"""Measures of a classifier, each with its interval. Pure: arrays in, numbers out; their names are scikit-learn's.

`actual` and `predicted` are bool [N, K]: the classes that an image is in, and those that the model names. Of a
single-label set that is one class, of a multi-label set any number; an image is right if all K decisions are.
`probabilities` are float [N, K]; rows of a single-label set sum to 1. `groups` are int [N], see intervals.py. Every
share is in [0, 1]. A class without a test image has recall and F1 0 and n 0, and no part in the means over classes.

What follows from sums over images is measured in B resamples at once, see `marks` and `of_sums`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, hstack

from assay.evaluation import areas, intervals
from assay.evaluation.areas import Areas
from assay.evaluation.intervals import Estimate, Share
from assay.labels import THRESHOLD, Task

OF_COUNTS = ("precision_", "recall_", "f1_", "balanced_", "hamming_", "cohen_", "matthews_")  # of right and wrong alone
FROM_MINUS_1 = ("cohen_kappa", "matthews_corrcoef")
TOP = 5  # classes: how often the right one is among so many of the likeliest, where there are more than twice as many


@dataclass(frozen=True, kw_only=True)
class ClassScore:
    """One class against all others."""

    n: int  # images of the class
    n_named: int  # images of which the model says that they are in it
    n_found: int  # images of which it says so rightly
    precision: Share  # 0 if it was never named
    recall: Share
    f1: Estimate
    roc_auc: Estimate | None  # None: all test images are of the class, or none
    average_precision: Estimate | None  # None: as for roc_auc
    threshold: float | None  # of a multi-label class


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a model says of a split, and what is true; `answers` makes them."""

    actual: np.ndarray  # bool [N, K]
    predicted: np.ndarray  # bool [N, K]
    probabilities: np.ndarray  # float64 [N, K]
    groups: np.ndarray  # int [N]
    task: Task
    thresholds: tuple[float, ...] | None  # of a multi-label set
    n_unanswered: int  # images with a probability that is no number: named nothing, and of no confidence

    @property
    def right(self) -> np.ndarray:
        """Return which images are right in every class, bool [N]."""
        return np.asarray((self.actual == self.predicted).all(axis=1))


@dataclass(frozen=True, kw_only=True)
class Measured:
    overall: dict[str, Estimate]
    accuracy: Share  # multi-label: exact match
    classes: tuple[ClassScore, ...]


def answers(
    actual: np.ndarray,
    probabilities: np.ndarray,
    groups: np.ndarray,
    *,
    task: Task,
    thresholds: tuple[float, ...] | None = None,
) -> Answers:
    """Return the answers of at least one image. A row that is no number names no class, and is sure of nothing."""
    is_known = np.isfinite(probabilities).all(axis=1)
    cleaned = probabilities.astype(np.float64)
    cleaned[~is_known] = 0.5 if task == "multi_label" else 1 / probabilities.shape[1]
    return Answers(
        actual=actual,
        predicted=named(cleaned, task, thresholds) & is_known[:, None],
        probabilities=cleaned,
        groups=groups,
        task=task,
        thresholds=thresholds,
        n_unanswered=int((~is_known).sum()),
    )


def one_hot(numbers: np.ndarray, n_classes: int) -> np.ndarray:
    """Return bool [N, K] with one class for each image, of their numbers [N]."""
    return np.asarray(np.arange(n_classes) == numbers[:, None])


def named(probabilities: np.ndarray, task: Task, thresholds: tuple[float, ...] | None = None) -> np.ndarray:
    """Return which classes the model names, bool [N, K]: the likeliest, or all that reach their threshold."""
    if task == "multi_label":
        return np.asarray(probabilities >= np.array(THRESHOLD if thresholds is None else thresholds))
    return one_hot(probabilities.argmax(axis=1), probabilities.shape[1])


def confusion(actual: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the counts [K, K] of a single-label set; rows are the actual classes. What has no answer is left out."""
    has = predicted.any(axis=1)
    numbers = actual[has].argmax(axis=1), predicted[has].argmax(axis=1)
    counts = np.zeros((actual.shape[1], actual.shape[1]), np.int64)
    np.add.at(counts, numbers, 1)  # scikit-learn's raises where there is no answer at all
    return counts


def marks(actual: np.ndarray, predicted: np.ndarray) -> csr_array:
    """Return of each image whether each class was found, is there and was named, and of a 1 for the image [N, 3 K + 2].

    The last but one says whether the image is right.
    """
    right = (actual == predicted).all(axis=1)
    last = np.stack([right, np.ones(len(right))], axis=1)
    parts = (actual & predicted, actual, predicted, last)
    return csr_array(hstack([csr_array(part.astype(np.float64)) for part in parts]))


def of_sums(sums: np.ndarray, n_classes: int, task: Task) -> dict[str, np.ndarray]:
    """Return the measures [B] that follow from sums of `marks` [B, 3 K + 2]; NaN where nothing can be divided."""
    found, n, n_named = (sums[:, part * n_classes : (part + 1) * n_classes] for part in range(3))
    right, n_images = sums[:, -2], sums[:, -1]
    is_there = n > 0
    precision, recall, f1 = _divided(found, n_named), _divided(found, n), _divided(2 * found, n + n_named)
    measures = {"accuracy": _divided(right, n_images)}
    for name, of_class in {"precision": precision, "recall": recall, "f1": f1}.items():
        shares = np.where(is_there, of_class, 0)
        measures[f"{name}_macro"] = _divided(shares.sum(axis=1), is_there.sum(axis=1), np.nan)
        measures[f"{name}_weighted"] = _divided((shares * n).sum(axis=1), n.sum(axis=1), np.nan)
    every, of_them, said = found.sum(axis=1), n.sum(axis=1), n_named.sum(axis=1)
    measures["precision_micro"] = _divided(every, said)
    measures["recall_micro"] = _divided(every, of_them)
    measures["f1_micro"] = _divided(2 * every, of_them + said)
    if task == "multi_label":
        return measures | {"hamming_loss": _divided(of_them + said - 2 * every, n_images * n_classes, np.nan)}
    chance = (n * n_named).sum(axis=1)
    spread = (said * of_them - (n_named**2).sum(axis=1)) * (of_them**2 - (n**2).sum(axis=1))
    return measures | {
        "balanced_accuracy": measures["recall_macro"],
        "cohen_kappa": _divided(every * n_images - chance, n_images**2 - chance, np.nan),
        "matthews_corrcoef": _divided(every * n_images - chance, np.sqrt(np.maximum(spread, 0))),
    }


def _divided(parts: np.ndarray, wholes: np.ndarray, otherwise: float = 0.0) -> np.ndarray:
    out = np.full(np.broadcast_shapes(np.shape(parts), np.shape(wholes)), otherwise)
    return np.asarray(np.divide(parts, wholes, out=out, where=np.asarray(wholes) != 0))


def losses(found: Answers) -> dict[str, np.ndarray]:
    """Return what is known of each image [N]: log loss, Brier's score, and if the right class is among the first."""
    actual, probabilities = found.actual, found.probabilities
    least = np.finfo(np.float64).eps
    clipped = probabilities.clip(least, 1 - least)
    several = found.task == "multi_label"
    of_image = -np.log(np.where(actual, clipped, 1 - clipped)).mean(axis=1) if several else -np.log(clipped[actual])
    told = {"log_loss": of_image, "brier": ((probabilities - actual) ** 2).sum(axis=1)}
    if several or actual.shape[1] <= 2 * TOP:
        return told
    first = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
    return told | {f"top_{TOP}_accuracy": np.take_along_axis(actual, first, axis=1).any(axis=1).astype(float)}


def difference(old: np.ndarray, new: np.ndarray, found: Answers, name: str) -> tuple[float, np.ndarray]:
    """Return by how much the new model's measure is above the old one's, and the same in resamples [B].

    Paired: both are measured in the same resampled groups; `intervals.ends` makes an interval of them. `old`, `new`:
    what each names, bool [N, K]; `found`: whose images and groups they are; `name`: of `of_sums`.
    """
    sums = [intervals.sums(marks(found.actual, predicted), found.groups) for predicted in (old, new)]
    n_classes = found.actual.shape[1]
    before, after = (of_sums(np.asarray(each.sum(axis=0))[None], n_classes, found.task)[name][0] for each in sums)
    drawn = [of_sums(intervals.resampled(each), n_classes, found.task)[name] for each in sums]
    return float(after - before), drawn[1] - drawn[0]


def measure(found: Answers, confidence: float) -> Measured:
    """Return every measure of the split, of which at least one image must be in a class.

    `roc_auc` and `average_precision` are means over classes, absent when no class has images with and without it.
    `baseline_accuracy` is what the commonest answer to every image scores. `log_loss` is the mean over images, of a
    multi-label set over all decisions; `hamming_loss` the share of wrong decisions.
    """
    n_classes, of_image = found.actual.shape[1], losses(found)
    told = csr_array(
        hstack([marks(found.actual, found.predicted), csr_array(np.stack(list(of_image.values()), axis=1))])
    )
    of_groups = intervals.sums(told, found.groups)
    total, drawn = np.asarray(of_groups.sum(axis=0))[None], intervals.resampled(of_groups)
    before, after = (
        of_sums(sums[:, : -len(of_image)], n_classes, found.task) | _means(sums, list(of_image))
        for sums in (total, drawn)
    )
    effect = intervals.design_effect(found.right.astype(float), found.groups)
    accuracy = intervals.share(found.right, found.groups, confidence, of_all=effect)
    curves = areas.measure(found.actual, found.probabilities, found.groups)
    classes = _scores(found, drawn, curves, effect, confidence)
    commonest = np.unique(found.actual, axis=0, return_counts=True)[1].max() / len(found.actual)
    return Measured(
        overall={
            name: _no_nearer(_estimate(float(value[0]), after[name], confidence), name, accuracy, found)
            for name, value in before.items()
            if np.isfinite(value[0])
        }
        | {"accuracy": Estimate(value=accuracy.value, low=accuracy.low, high=accuracy.high)}
        | {name: mean for name, curve in curves.items() if (mean := curve.mean(confidence))}
        | {"baseline_accuracy": Estimate(value=float(commonest))}
        | {"min_class_recall": Estimate(value=min(score.recall.value for score in classes if score.n))},
        accuracy=accuracy,
        classes=classes,
    )


def _no_nearer(estimate: Estimate, name: str, accuracy: Share, found: Answers) -> Estimate:
    """Return the measure with ends no nearer than those of the accuracy: a bootstrap draws no error that was not seen.

    Of images that are all right its interval is a point, however few they are. An image of a multi-label set is wrong
    from one wrong decision of K on, so there a K-th is taken.
    """
    if not name.startswith(OF_COUNTS) or estimate.low is None or estimate.high is None:
        return estimate
    below, above = accuracy.value - accuracy.low, accuracy.high - accuracy.value
    if name == "hamming_loss":
        below, above = above, below
    far = weight(found.actual, name) / (found.actual.shape[1] if found.task == "multi_label" else 1)
    least = -1.0 if name in FROM_MINUS_1 else 0.0
    return Estimate(
        value=estimate.value,
        low=max(least, min(estimate.low, estimate.value - far * below)),
        high=min(1.0, max(estimate.high, estimate.value + far * above)),
    )


def weight(actual: np.ndarray, name: str) -> float:
    """Return how far an image more or less moves the measure beside the accuracy, by the root mean square; at least 1.

    In a mean over classes an image of a rare class weighs more; L. Kish, Survey Sampling (1965), of weights 1 / n of
    the class. `actual`: bool [N, K].
    """
    if not name.endswith("_macro") and name != "balanced_accuracy":
        return 1.0
    n_of_class = actual.sum(axis=0)
    weights = actual @ (1 / np.maximum(n_of_class, 1)) / max(1, int((n_of_class > 0).sum()))
    return max(1.0, math.sqrt(len(weights) * float((weights**2).sum())))


def _means(sums: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
    n_images = sums[:, -len(names) - 1]
    return {name: sums[:, at - len(names)] / n_images for at, name in enumerate(names)}


def _estimate(value: float, drawn: np.ndarray, confidence: float) -> Estimate:
    if not np.isfinite(drawn).any():
        return Estimate(value=value)
    low, high = intervals.ends(drawn, confidence)
    return Estimate(value=value, low=low, high=high)


def _scores(
    found: Answers, drawn: np.ndarray, curves: Mapping[str, Areas], effect: float | None, confidence: float
) -> tuple[ClassScore, ...]:
    """Return the score of each class; `drawn`: the sums of `marks` in resamples, `effect`: of the whole split."""
    n_classes = found.actual.shape[1]
    n_found, n, n_named = (drawn[:, part * n_classes : (part + 1) * n_classes] for part in range(3))
    f1 = _divided(2 * n_found, n + n_named, np.nan)

    def share(of: np.ndarray, hit: np.ndarray) -> Share:
        return intervals.share(hit[of], found.groups[of], confidence, of_all=effect)

    scores = []
    for number in range(n_classes):
        actual, predicted = found.actual[:, number], found.predicted[:, number]
        counts = int(actual.sum()), int(predicted.sum()), int((actual & predicted).sum())
        scores.append(
            ClassScore(
                n=counts[0],
                n_named=counts[1],
                n_found=counts[2],
                precision=share(predicted, actual),
                recall=share(actual, predicted),
                f1=_estimate(2 * counts[2] / max(counts[0] + counts[1], 1), f1[:, number], confidence),
                roc_auc=curves["roc_auc"].of_class(number, confidence),
                average_precision=curves["average_precision"].of_class(number, confidence),
                threshold=found.thresholds[number] if found.thresholds else None,
            )
        )
    return tuple(scores)
