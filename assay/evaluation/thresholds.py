"""From which probability on a multi-label class is named: chosen on validation, never on test; kept with the model."""

import numpy as np

from assay.labels import THRESHOLD

FEWEST = 10  # validation images with the class, and without it, that a threshold is chosen by


def choose(actual: np.ndarray, probabilities: np.ndarray) -> tuple[float, ...]:
    """Return the threshold of each class with the highest F1 on validation, [K]; arguments bool and float [N, K].

    `labels.THRESHOLD` where too few images have the class, or lack it, to tell. Between two probabilities the middle is
    taken; of several with the same F1 the one that is nearest to `labels.THRESHOLD`.
    """
    known = np.isfinite(probabilities).all(axis=1)
    columns = zip(actual[known].T, probabilities[known].T, strict=True)
    return tuple(_best(positive, scores) for positive, scores in columns)


def _best(positive: np.ndarray, scores: np.ndarray) -> float:
    n = int(positive.sum())
    if min(n, len(positive) - n) < FEWEST:
        return THRESHOLD
    tried = np.unique(scores)
    middles = np.r_[THRESHOLD, (tried[1:] + tried[:-1]) / 2]
    order = np.sort(scores)
    of_class = np.sort(scores[positive])
    n_named = len(order) - np.searchsorted(order, middles, side="left")
    n_found = n - np.searchsorted(of_class, middles, side="left")
    f1 = 2 * n_found / (n + n_named)
    best = middles[f1 >= f1.max() - 1e-12]
    return float(best[np.abs(best - THRESHOLD).argmin()])
