"""Intervals that know groups: two photos of one thing are not two pieces of evidence.

`groups` are int [N] in [0, G): which images belong together. With every image in a group of its own the intervals are
the usual ones. Pure: arrays in, numbers out; the same arrays give the same numbers, for the resamples are seeded.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from scipy.sparse import csr_array
from scipy.stats import t as student

RESAMPLES = 1000  # of the bootstrap
FEW_RESAMPLES = 200  # of what does not follow from sums and is measured anew each time
FEWEST_GROUPS = 20  # fewer do not say how much groups differ
SEED = 0

Ends = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A measure with its interval; None: it has none."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share of images, in [0, 1], with its interval."""

    value: float  # 0 where there is no image
    low: float
    high: float
    n: int  # images
    n_groups: int
    n_effective: float  # how many independent images would say as much

    @property
    def is_guess(self) -> bool:
        """Say whether there are too few groups to know how much they differ."""
        return self.n_groups < FEWEST_GROUPS


def wilson(value: float, n: float, confidence: float) -> Ends:
    """Return the score interval of a share of `n` images, (0, 1) for n = 0; `n` need not be whole.

    E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209-212.
    """
    if n <= 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = (value + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(value * (1 - value) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def design_effect(values: np.ndarray, groups: np.ndarray) -> float | None:
    """Return how many times larger the groups make the variance of the mean of `values` [N] than N images alone do.

    At least 1: L. Kish, Survey Sampling (1965), with the variance between the totals of groups. None where the values
    do not vary and so cannot say it. One group says as much as one image.
    """
    n, deviations = len(values), values - values.mean() if len(values) else values
    spread = float((deviations**2).mean()) if n else 0.0
    if spread <= 1e-15:
        return None
    totals = np.bincount(groups, deviations)
    n_groups = len(np.unique(groups))
    if n_groups == 1:
        return float(n)
    variance = n_groups / (n_groups - 1) * float((totals**2).sum()) / n**2
    return max(1.0, variance / (spread / (n - 1)))


def largest_effect(groups: np.ndarray) -> float:
    """Return the design effect of groups that each are of one mind: what is assumed where nothing can be seen."""
    sizes = np.bincount(groups)
    return max(1.0, float((sizes**2).sum() / max(1, sizes.sum())))


def share(right: np.ndarray, groups: np.ndarray, confidence: float, *, of_all: float | None = None) -> Share:
    """Return the share of images that are right, bool [N], with Wilson's interval for the effective number of images.

    `of_all`: the design effect of the whole split, taken where all images, or none, are right. Without it that of
    groups of one mind is taken.
    """
    n = len(right)
    value = float(right.mean()) if n else 0.0
    effect = design_effect(right.astype(float), groups)
    if effect is None:
        effect = min(of_all or math.inf, largest_effect(groups)) if n else 1.0
    n_groups, n_effective = len(np.unique(groups)), n / max(1.0, effect)
    low, high = wilson(value, n_effective * certainty(n, n_groups, confidence), confidence)
    return Share(value=value, low=low, high=high, n=n, n_groups=n_groups, n_effective=n_effective)


def recalls(
    actual: np.ndarray, predicted: np.ndarray, groups: np.ndarray, confidence: float
) -> tuple[Share, list[Share]]:
    """Return the accuracy, and the recall of each class; `actual` and `predicted` bool [N, K]."""
    right = (actual == predicted).all(axis=1)
    effect = design_effect(right.astype(float), groups)
    of_class = [
        share(predicted[of, number], groups[of], confidence, of_all=effect) for number, of in enumerate(actual.T)
    ]
    return share(right, groups, confidence, of_all=effect), of_class


def certainty(n: int, n_groups: int, confidence: float) -> float:
    """Return by what the effective number of images shrinks because few groups tell it, in (0, 1].

    The ratio of Student's quantiles, squared: Korn and Graubard, Survey Methodology 24 (1998) 193-201.
    """
    if n_groups < 2:
        return 1.0
    of_images, of_groups = student.ppf((1 + confidence) / 2, [n - 1, n_groups - 1])
    return float((of_images / of_groups) ** 2)


@lru_cache(maxsize=2)
def weights(n_groups: int, n_resamples: int = RESAMPLES) -> np.ndarray:
    """Return how often each resample draws each group, int [B, G]: multinomial, seeded. Not to be written to."""
    rng = np.random.default_rng(SEED)
    return np.asarray(rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=n_resamples))


def sums(values: np.ndarray | csr_array, groups: np.ndarray) -> csr_array:
    """Return the sum over the images of each group [G, M] of the values of each image [N, M]."""
    n_groups = int(groups.max()) + 1
    belongs = csr_array((np.ones(len(groups)), (groups, np.arange(len(groups)))), shape=(n_groups, len(groups)))
    return csr_array(belongs @ csr_array(values))


def resampled(of_groups: csr_array) -> np.ndarray:
    """Return the sums [B, M] over resampled groups of what each group sums to [G, M]: one matrix product."""
    return np.asarray((of_groups.T @ weights(of_groups.shape[0]).T).T)


def ends(measured: np.ndarray, confidence: float) -> Ends:
    """Return the middle `confidence` of what resamples measured [B]; one that could measure nothing is NaN.

    B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap (1993), chapter 13. NaN if none measured anything.
    """
    known = measured[np.isfinite(measured)]
    if not len(known):
        return math.nan, math.nan
    low, high = np.percentile(known, [50 * (1 - confidence), 50 * (1 + confidence)])
    return float(low), float(high)


def bootstrap(measure: Callable[[np.ndarray], float], groups: np.ndarray, confidence: float) -> Ends:
    """Return the interval of what `measure` makes of a weight for each image, float [N]; NaN: it could not."""
    drawn = weights(int(groups.max()) + 1, FEW_RESAMPLES)
    return ends(np.array([measure(row[groups].astype(float)) for row in drawn]), confidence)
