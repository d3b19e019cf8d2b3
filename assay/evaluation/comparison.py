"""Two models on the same test images: two questions, two answers.

*Is this model better than that one?* Only the images are random: `paired`, `mcnemar`, `difference`. *Is the change
better?* The seed of the training is random too, and is the larger part: `judge_change`.

`old` and `new` are bool [N]: whether each is right about each image. `groups` are int [N], see intervals.py.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

import numpy as np
from scipy.stats import binomtest
from scipy.stats import t as student

from assay.evaluation import intervals

POWER = 0.8
ENOUGH_RUNS = 3  # of each side, that their own scatter is taken


@dataclass(frozen=True, kw_only=True)
class Paired:
    """The share of right images of the new model less that of the old one, on the same images."""

    difference: float
    low: float
    high: float
    n: int
    n_groups: int
    n_effective: float  # independent images that would say as much about the difference
    n_new_errors: int  # negative flips: right before, wrong now
    n_gone_errors: int
    n_worse_groups: int  # with more new errors than gone ones
    n_better_groups: int
    p_value: float  # McNemar's, exact, two-sided, on the groups that changed

    @property
    def disagreement(self) -> float:
        """Return on what share of the images one is right and the other wrong."""
        return (self.n_new_errors + self.n_gone_errors) / self.n if self.n else 0.0


def paired(old: np.ndarray, new: np.ndarray, groups: np.ndarray, confidence: float) -> Paired:
    """Return how the two compare; the interval is two-sided.

    Agresti and Min, Statistics in Medicine 24 (2005) 729-740: half an image more in each way to differ keeps the
    interval open where nothing differs. Groups count through the effective number of images.
    """
    n, flips = len(old), new.astype(int) - old.astype(int)
    worse, better = int((flips < 0).sum()), int((flips > 0).sum())
    effect = intervals.design_effect(flips.astype(float), groups) or intervals.largest_effect(groups)
    n_groups = len(np.unique(groups))
    fewer = effect / intervals.certainty(n, n_groups, confidence)
    low, high = _agresti_min(worse / fewer, better / fewer, n / fewer, confidence)
    worse_groups, better_groups = _changed(flips, groups)
    return Paired(
        difference=(better - worse) / n if n else 0.0,
        low=low,
        high=high,
        n=n,
        n_groups=n_groups,
        n_effective=n / effect,
        n_new_errors=worse,
        n_gone_errors=better,
        n_worse_groups=worse_groups,
        n_better_groups=better_groups,
        p_value=mcnemar(flips, groups),
    )


def _agresti_min(worse: float, better: float, n: float, confidence: float) -> intervals.Ends:
    if n <= 0:
        return -1.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    worse, better, n = worse + 0.5, better + 0.5, n + 2
    centre = (better - worse) / n
    half = z * math.sqrt(worse + better - (better - worse) ** 2 / n) / n
    return max(-1.0, centre - half), min(1.0, centre + half)


def mcnemar(flips: np.ndarray, groups: np.ndarray) -> float:
    """Return the exact p-value of no difference, two-sided, from the flips -1, 0 or 1 [N].

    A group counts once, for the way that most of its flips go: Q. McNemar, Psychometrika 12 (1947) 153-157.
    """
    worse, better = _changed(flips, groups)
    return float(binomtest(worse, worse + better).pvalue) if worse + better else 1.0


def _changed(flips: np.ndarray, groups: np.ndarray) -> tuple[int, int]:
    """Return how many groups got worse, and how many better."""
    of_groups = np.bincount(groups, flips) if len(flips) else np.empty(0)
    return int((of_groups < 0).sum()), int((of_groups > 0).sum())


def difference(old: np.ndarray, new: np.ndarray, confidence: float) -> intervals.Ends:
    """Return the interval of a metric's difference from what both measured in the same resamples, each [B].

    The paired group bootstrap: `intervals.weights` draws the same groups for both.
    """
    return intervals.ends(new - old, confidence)


def detectable(disagreement: float, n: float, confidence: float, power: float = POWER) -> float:
    """Return the smallest true difference that `n` images show with this power; R. J. Connor, Biometrics 43 (1987).

    `n`: independent images, see `Paired.n_effective`; `disagreement`: the share of them that only one has right.
    """
    if n <= 0:
        return 1.0
    return min(1.0, _quantiles(confidence, power) * math.sqrt(disagreement / n))


def needed(disagreement: float, difference: float, confidence: float, power: float = POWER) -> int:
    """Return how many independent images show a true difference, in (0, 1], with this power."""
    spread = max(disagreement - difference**2, 0.0)
    return math.ceil(_quantiles(confidence, power) ** 2 * spread / difference**2)


def deviation(width: float, confidence: float) -> float:
    """Return the standard deviation of an estimate whose two-sided interval has this width."""
    return width / 2 / NormalDist().inv_cdf((1 + confidence) / 2)


def shown(deviation: float, confidence: float, power: float = POWER) -> float:
    """Return the smallest true difference that an estimate of this deviation shows with this power."""
    return min(1.0, _quantiles(confidence, power) * deviation)


def more(deviation: float, margin: float, n: int, confidence: float, power: float = POWER) -> int:
    """Return how many images beside `n` would show that a model as good as the other is not worse by the margin.

    `deviation`: of the difference on `n` images; `confidence` is one-sided.
    """
    normal = NormalDist()
    wanted = margin / (normal.inv_cdf(confidence) + normal.inv_cdf(power))
    return max(0, math.ceil(n * ((deviation / wanted) ** 2 - 1)))


def _quantiles(confidence: float, power: float) -> float:
    normal = NormalDist()
    return normal.inv_cdf((1 + confidence) / 2) + normal.inv_cdf(power)


@dataclass(frozen=True, kw_only=True)
class Change:
    """Whether the change of recipe or data is better, seeds taken into account."""

    verdict: str  # better, worse, unclear, or unknown: no runs to tell by
    difference: float  # mean of the new runs less mean of the old ones
    limit: float | None  # a difference beyond it is more than another seed does
    n_runs: int  # that told how much seeds scatter


def judge_change(
    old: Sequence[float], new: Sequence[float], noise: Sequence[float], confidence: float, *, of_flips: float
) -> Change:
    """Return whether the difference of a metric is more than another seed would make.

    `old`, `new`: the metric of each run of the two sides, at least one each; `noise`: of runs of one recipe that differ
    in the seed only, on the same test images. The limit is the larger of t * s and z * `of_flips`, times
    sqrt(1 / m_new + 1 / m_old); where both sides have `ENOUGH_RUNS` their own scatter is taken. s is 0 where few runs
    happen to have as many images right, so it is not all that is known: see `flips_alone`.
    """
    m_old, m_new, found = len(old), len(new), fmean(new) - fmean(old)
    if min(m_old, m_new) >= ENOUGH_RUNS:
        freedom = m_old + m_new - 2
        deviation = math.sqrt(((m_old - 1) * stdev(old) ** 2 + (m_new - 1) * stdev(new) ** 2) / freedom)
    elif len(noise) >= 2:
        freedom, deviation = len(noise) - 1, stdev(noise)
    else:
        return Change(verdict="unknown", difference=found, limit=None, n_runs=len(noise))
    upper = (1 + confidence) / 2
    scatter = max(float(student.ppf(upper, freedom)) * deviation, NormalDist().inv_cdf(upper) * of_flips)
    limit = scatter * math.sqrt(1 / m_new + 1 / m_old)
    verdict = "unclear" if abs(found) <= limit else "better" if found > 0 else "worse"
    return Change(verdict=verdict, difference=found, limit=limit, n_runs=freedom + 1)


def flips_alone(disagreement: float, n: float) -> float:
    """Return the standard deviation of one run's share of right images if seeds flip each image by itself.

    Two runs then differ by a sum of +1 and -1 over the images that only one has right: its variance is their number,
    and each run has half of it. As `n` images of which none was seen to flip may have some, one is taken at least.
    """
    return math.sqrt(max(disagreement, 1 / n) / (2 * n)) if n > 0 else 1.0
