"""What training makes small, measured on images that it does not learn from: by it an epoch is kept and the rate falls.

The plain loss would keep the wrong epoch where rare classes weigh more, one that takes all images for common ones, and
where few images are learnt by heart, one from before anything was learnt: later ones are righter, and too sure of it.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from assay.labels import Task
from assay.training import imbalance, losses

SOFTEST, NEAR = math.log(100), 1e-3  # logarithm of the highest temperature that is tried, and how near to the best


@dataclass(frozen=True, kw_only=True)
class Objective:
    task: Task
    method: imbalance.Imbalance
    train: np.ndarray  # int64 labels of the train split
    n_classes: int

    def of(self, labels: np.ndarray, logits: np.ndarray) -> float:
        """Return the mean over the images as `train.imbalance` weighs them; no label is smoothed.

        Logits that are too sure are divided by the temperature that suits them best, as `evaluate` does afterwards, so
        that an epoch is judged by what it will answer: https://arxiv.org/abs/2501.19195. None is made surer, for where
        all is right that has no end.
        """
        offsets, weights = imbalance.offsets(self.train, self.n_classes, self.method), self.weights(labels)
        loss = losses.build(self.task, method=self.method, weights=None, offsets=offsets, smoothing=0)

        def softened(log_temperature: float) -> float:
            each = loss(labels, np.float32(logits / math.exp(log_temperature)))
            return float(np.average(each.numpy().astype(np.float64), weights=weights))

        found = minimize_scalar(softened, bounds=(0, SOFTEST), method="bounded", options={"xatol": NEAR})
        return min(softened(0), float(found.fun))

    def weights(self, labels: np.ndarray) -> np.ndarray:
        """Return what each image [N] counts, or each decision of a multi-label set [N, K]."""
        rates = imbalance.rates(labels, self.n_classes, self.method, train=self.train)
        known = imbalance.weights(self.train, self.n_classes, self.method)
        if labels.ndim == 1:
            return rates if known is None else rates * known[labels]
        return rates[:, None] * (np.ones(labels.shape) if known is None else np.where(labels > 0, known[1], known[0]))

    def n_alike(self, labels: np.ndarray) -> float:
        """Return how many images of equal weight would tell as much (Kish 1965)."""
        weights = self.weights(labels).reshape(len(labels), -1).sum(axis=1)
        return float(weights.sum() ** 2 / (weights**2).sum())
