"""Is the model as sure as it should be? One temperature for all logits, fitted on validation, and what it changes.

`logits` are float [N, K] before softmax (or sigmoid, multi-label), `actual` bool [N, K]. A temperature above 1 makes
the model less sure, below 1 surer; no answer changes but for multi-label thresholds. Guo et al. 2017,
https://arxiv.org/abs/1706.04599
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, log_softmax, softmax

from assay.labels import Task

FEWEST_IMAGES = 100  # of validation, that a temperature is fitted on
BOUNDS = (-2.0, 3.0)  # of its logarithm
DIGITS = 6  # of the temperature: kinds of processor differ in the last ones of an exponential
DRAWS, SEED = 200, 0  # of a perfectly calibrated model, for the floor


@dataclass(frozen=True, kw_only=True)
class Temperature:
    value: float  # 1: none was fitted
    reason: str


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The answers whose confidence lies in one range."""

    confidence: float  # mean
    accuracy: float
    n: int


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How far confidence and truth are apart, at one temperature."""

    log_loss: float  # per image, multi-label per decision
    brier: float  # squared distance of the probabilities from the truth, per image
    error: float  # expected calibration error
    floor: float  # the error of a perfectly calibrated model on as many images
    excess: float  # mean confidence less accuracy: above 0 too sure
    bins: tuple[Bin, ...]


def probabilities(logits: np.ndarray, task: Task, temperature: float = 1.0) -> np.ndarray:
    """Return the probabilities, float64 [N, K]; rows of a single-label set sum to 1."""
    scaled = logits.astype(np.float64) / temperature
    return np.asarray(expit(scaled) if task == "multi_label" else softmax(scaled, axis=1))


def negative_log_likelihood(logits: np.ndarray, actual: np.ndarray, task: Task, temperature: float = 1.0) -> float:
    """Return the mean over images, of a multi-label set over all decisions."""
    scaled = logits.astype(np.float64) / temperature
    if task == "multi_label":
        return float(-np.where(actual, log_expit(scaled), log_expit(-scaled)).mean())
    return float(-log_softmax(scaled, axis=1)[actual].mean())


def fit(logits: np.ndarray, actual: np.ndarray, task: Task) -> Temperature:
    """Return the temperature with the least loss on validation; 1 with the reason where none can be told."""
    n = len(logits)
    if n < FEWEST_IMAGES:
        return Temperature(
            value=1.0, reason=f"not fitted: {n:,} validation images, at least {FEWEST_IMAGES} are needed"
        )
    if not np.isfinite(logits).all():
        return _unfitted("a logit of validation is no finite number")
    named = logits >= 0 if task == "multi_label" else _likeliest(logits)
    n_wrong = int((named != actual).any(axis=1).sum())
    if not n_wrong:
        return Temperature(
            value=1.0, reason=f"not fitted: no error on {n:,} validation images says how sure is too sure"
        )
    found = minimize_scalar(
        lambda log: negative_log_likelihood(logits, actual, task, math.exp(log)), bounds=BOUNDS, method="bounded"
    )
    at_bound = min(abs(found.x - bound) for bound in BOUNDS) < 0.01
    said = f"fitted on {n:,} validation images with {n_wrong:,} wrong"
    value = float(f"{math.exp(found.x):.{DIGITS}g}")
    return Temperature(value=value, reason=said + (", at the end of its range" if at_bound else ""))


def _unfitted(why: str) -> Temperature:
    return Temperature(value=1.0, reason=f"not fitted: {why}")


def _likeliest(scores: np.ndarray) -> np.ndarray:
    return np.asarray(np.arange(scores.shape[1]) == scores.argmax(axis=1)[:, None])


def measure(probabilities: np.ndarray, actual: np.ndarray, task: Task, n_bins: int) -> Calibration:
    """Return how well the probabilities [N, K] say how often they are right; N must be at least 1."""
    confidence, is_so = sure(probabilities, actual, task)
    found = bins(confidence, is_so, n_bins)
    return Calibration(
        log_loss=_log_loss(probabilities, actual, task),
        brier=float(((probabilities - actual) ** 2).sum(axis=1).mean()),
        error=error(found),
        floor=floor(confidence, n_bins),
        excess=float(confidence.mean() - is_so.mean()),
        bins=tuple(found),
    )


def _log_loss(probabilities: np.ndarray, actual: np.ndarray, task: Task) -> float:
    least = np.finfo(np.float64).eps  # as scikit-learn cuts it
    clipped = probabilities.clip(least, 1 - least)
    if task == "multi_label":
        return float(-np.log(np.where(actual, clipped, 1 - clipped)).mean())
    return float(-np.log(clipped[actual]).mean())


def sure(probabilities: np.ndarray, actual: np.ndarray, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Return the confidence of each answer and whether it is so: float and bool [N], of a multi-label set [N * K].

    Confidence is the probability of the class that is named; of a multi-label set it is every probability, and "so" is
    whether the image is in that class.
    """
    if task == "multi_label":
        return probabilities.ravel(), actual.ravel()
    return probabilities.max(axis=1), actual[np.arange(len(actual)), probabilities.argmax(axis=1)]


def bins(confidence: np.ndarray, is_so: np.ndarray, n_bins: int) -> list[Bin]:
    """Return the bins of equal width that hold answers, by rising confidence."""
    numbers = _bin(confidence, n_bins)
    return [
        Bin(
            confidence=float(confidence[numbers == number].mean()),
            accuracy=float(is_so[numbers == number].mean()),
            n=int((numbers == number).sum()),
        )
        for number in np.unique(numbers)
    ]


def _bin(confidence: np.ndarray, n_bins: int) -> np.ndarray:
    return np.asarray(np.minimum((confidence * n_bins).astype(int), n_bins - 1))


def error(bins: Sequence[Bin]) -> float:
    """Return the expected calibration error: Guo et al. 2017, equation 3."""
    n = sum(found.n for found in bins)
    return sum(found.n / n * abs(found.accuracy - found.confidence) for found in bins)


def floor(confidence: np.ndarray, n_bins: int) -> float:
    """Return the mean error of a model that is right exactly as often as these confidences [N] say.

    It is not 0, for few images scatter: an error near it is as good as none.
    """
    rng, numbers = np.random.default_rng(SEED), _bin(confidence, n_bins)
    expected = np.bincount(numbers, confidence, n_bins)
    found = []
    for _ in range(DRAWS):
        right = np.bincount(numbers, rng.random(len(confidence)) < confidence, n_bins)
        found.append(np.abs(right - expected).sum() / len(confidence))
    return float(np.mean(found))
