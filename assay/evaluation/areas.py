"""The order of the images by probability, judged without a threshold: ROC and precision-recall curves, and their areas.

`positive` is bool [N], whether each image is in the class; `scores` are float [N]. NaN: an area of images that all are
in the class, or none.
"""

import heapq
import math
from dataclasses import dataclass

import numpy as np
import sklearn.metrics

from assay.evaluation import intervals
from assay.evaluation.intervals import Estimate

POINTS = 50  # of a curve, at most
SAME = 1e-9  # a distance that is none
MOST_DECISIONS = 2_000_000  # images times classes: beyond it the areas have no interval, which would take a minute


@dataclass(frozen=True, kw_only=True)
class Areas:
    """Of one kind of curve: of each class [K], and in each resample [B, K]; B is 0 where there are too many images."""

    values: np.ndarray
    drawn: np.ndarray

    def of_class(self, number: int, confidence: float) -> Estimate | None:
        """Return the area of a class, None where it has none."""
        return _estimate(float(self.values[number]), self.drawn[:, number], confidence)

    def mean(self, confidence: float) -> Estimate | None:
        """Return the mean over the classes that have an area, None where none has."""
        has = np.isfinite(self.values)
        if not has.any():
            return None
        drawn = self.drawn[:, has]
        counts = np.isfinite(drawn).sum(axis=1)
        means = np.divide(np.nansum(drawn, axis=1), counts, out=np.full(len(drawn), np.nan), where=counts > 0)
        return _estimate(float(self.values[has].mean()), means, confidence)


def _estimate(value: float, drawn: np.ndarray, confidence: float) -> Estimate | None:
    if not np.isfinite(value):
        return None
    if not np.isfinite(drawn).any():
        return Estimate(value=value)
    low, high = intervals.ends(drawn, confidence)
    return Estimate(value=value, low=low, high=high)


def measure(actual: np.ndarray, probabilities: np.ndarray, groups: np.ndarray) -> dict[str, Areas]:
    """Return the areas under the ROC curves and the average precisions; arguments [N, K], [N, K] and [N]."""
    n_classes = actual.shape[1]
    n_resamples = intervals.FEW_RESAMPLES if actual.size <= MOST_DECISIONS else 0
    drawn = intervals.weights(int(groups.max()) + 1, n_resamples)[:, groups].astype(np.float64)
    weights = np.concatenate([np.ones((1, len(groups))), drawn])
    of_each = [weighted(actual[:, number], probabilities[:, number], weights) for number in range(n_classes)]
    roc, precision = (np.stack(part, axis=1) for part in zip(*of_each, strict=True))
    return {
        "roc_auc": Areas(values=roc[0], drawn=roc[1:]),
        "average_precision": Areas(values=precision[0], drawn=precision[1:]),
    }


def weighted(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the area under the ROC curve and the average precision for each row of weights [B, N]: [B] and [B].

    What scikit-learn says with `sample_weight`, for all rows at once.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])  # of the runs of equal scores
    held = np.add.reduceat(weights[:, order] * positive[order], starts, axis=1)
    every = np.add.reduceat(weights[:, order], starts, axis=1)
    true, named = held.cumsum(axis=1), every.cumsum(axis=1)
    n, n_others = true[:, -1], named[:, -1] - true[:, -1]
    others = every - held
    pairs = (others * (true - held / 2)).sum(axis=1)
    precision = np.divide(true, named, out=np.zeros_like(true), where=named > 0)
    both, nan = (n > 0) & (n_others > 0), np.full(len(weights), np.nan)
    roc = np.divide(pairs, n * n_others, out=nan.copy(), where=both)
    return roc, np.divide((held * precision).sum(axis=1), n, out=nan, where=both)


def roc(positive: np.ndarray, scores: np.ndarray) -> list[tuple[float, float]]:
    """Return at most `POINTS` points (false positive rate, true positive rate), from (0, 0) to (1, 1)."""
    false_rate, true_rate, _ = sklearn.metrics.roc_curve(positive, scores)
    return _thinned(false_rate, true_rate)


def precision_recall(positive: np.ndarray, scores: np.ndarray) -> list[tuple[float, float]]:
    """Return at most `POINTS` points (recall, precision), by rising recall; the first has recall 0 and precision 1."""
    precision, recall, _ = sklearn.metrics.precision_recall_curve(positive, scores, drop_intermediate=True)
    return _thinned(recall[::-1], precision[::-1])


def _thinned(x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
    """Return at most `POINTS` of the points, the ends among them: each in turn the farthest from what is drawn so far.

    U. Ramer, Computer Graphics and Image Processing 1 (1972) 244-256. Points taken evenly by their number are no
    likeness of the curve: most images lie behind the last hit of a rare class, and the curve before that is few points.
    """
    points = np.stack([x, y], axis=1)
    kept, parts = {0, len(points) - 1}, [_farthest(points, 0, len(points) - 1)]
    while len(kept) < POINTS and parts and parts[0][0] < -SAME:
        _, at, start, stop = heapq.heappop(parts)
        kept.add(at)
        for part in ((start, at), (at, stop)):
            heapq.heappush(parts, _farthest(points, *part))
    return [(float(x[at]), float(y[at])) for at in sorted(kept)]


def _farthest(points: np.ndarray, start: int, stop: int) -> tuple[float, int, int, int]:
    """Return which point between the two is farthest from the line through them, after its distance, negative."""
    (right, up), away = points[stop] - points[start], points[start : stop + 1] - points[start]
    distances = np.abs(right * away[:, 1] - up * away[:, 0]) / max(math.hypot(right, up), SAME)
    at = int(distances.argmax())
    return -float(distances[at]), start + at, start, stop
