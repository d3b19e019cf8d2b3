"""Champion and challenger on the test images that both have seen: what differs, and whether that is more than luck.

Two questions, two answers: *this model*, on these images, whatever the seed; and *this change* of recipe or data, of
which the seed of the training must not be the reason.
"""

from dataclasses import dataclass

import numpy as np

from assay import params
from assay.evaluation import comparison, intervals, metrics
from assay.evaluation.comparison import Change, Paired
from assay.evaluation.intervals import Estimate
from assay.evaluation.noise import Noise
from assay.labels import Task
from assay.words import counted

UNCLEAR = "no difference that can be told,"


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Champion and challenger on the test images that both were tested on, N of them."""

    actual: np.ndarray  # bool [N, K]
    old: np.ndarray | None  # bool [N, K], what the champion named; None: only `old_right` is known
    old_right: np.ndarray  # bool [N]
    new: np.ndarray  # bool [N, K]
    groups: np.ndarray  # int [N]
    classes: tuple[str, ...]
    task: Task

    @property
    def new_right(self) -> np.ndarray:
        return np.asarray((self.actual == self.new).all(axis=1))


@dataclass(frozen=True, kw_only=True)
class Against:
    """How the model compares with the champion, see `against`."""

    metric: str
    old: float
    new: float
    difference: Estimate  # with a two-sided interval
    surely_above: float  # the difference is at least this, at the confidence of params.yaml, one-sided
    paired: Paired  # of right images, whatever the metric
    detectable: float  # the smallest true difference that these images show
    change: Change
    n_looks: int  # models that were held against these images so far, this one included
    model_verdict: str
    change_verdict: str


def against(sides: Sides, noise: Noise, n_looks: int, p: params.Register) -> Against:
    """Return how the two compare on at least one image; `noise`: what `metric_of` says of runs of other seeds.

    Where only the champion's right images are known, and the metric wants more, the accuracy is compared.
    """
    paired = comparison.paired(sides.old_right, sides.new_right, sides.groups, p.confidence)
    metric = metric_of(sides, p)
    found, surely_above = difference(sides, metric, p.confidence)
    new = _value(sides, sides.new, metric)
    of_flips = metrics.weight(sides.actual, metric) * comparison.flips_alone(noise.disagreement, paired.n_effective)
    change = comparison.judge_change([new - found.value], [new], noise.runs, p.confidence, of_flips=of_flips)
    return Against(
        metric=metric,
        old=new - found.value,
        new=new,
        difference=found,
        surely_above=surely_above,
        paired=paired,
        detectable=_detectable(found, paired, metric, p.confidence),
        change=change,
        n_looks=n_looks,
        model_verdict=model_words(found, paired, metric, 1 - p.confidence),
        change_verdict=change_words(change, noise.why),
    )


def metric_of(sides: Sides, p: params.Register) -> str:
    """Return what is compared: the metric of params.yaml, or the accuracy where no more is known of the champion."""
    return "accuracy" if sides.old is None else p.metric


def _value(sides: Sides, predicted: np.ndarray, metric: str) -> float:
    if metric == "accuracy":
        return float((sides.actual == predicted).all(axis=1).mean())
    total = np.asarray(metrics.marks(sides.actual, predicted).sum(axis=0))[None]
    return float(metrics.of_sums(total, len(sides.classes), sides.task)[metric][0])


def difference(sides: Sides, metric: str, confidence: float) -> tuple[Estimate, float]:
    """Return the difference with its two-sided interval, and what it surely is at least, one-sided.

    A bootstrap draws no flip that was not seen: where the two hardly differ, or few groups do, its interval is too
    short, or nothing. So of a metric of classes no end is nearer than the flips of images allow, an image of a rare
    class counted for as much as it weighs.
    """
    one_sided = 2 * confidence - 1
    flips = {
        each: comparison.paired(sides.old_right, sides.new_right, sides.groups, each)
        for each in (confidence, one_sided)
    }
    if metric == "accuracy" or sides.old is None:
        paired = flips[confidence]
        return Estimate(value=paired.difference, low=paired.low, high=paired.high), flips[one_sided].low
    found = metrics.answers(sides.actual, sides.actual.astype(float), sides.groups, task=sides.task)
    value, drawn = metrics.difference(sides.old, sides.new, found, metric)
    weight = metrics.weight(sides.actual, metric)
    ends = {each: _wider(value, intervals.ends(drawn, each), of, weight) for each, of in flips.items()}
    return Estimate(value=value, low=ends[confidence][0], high=ends[confidence][1]), ends[one_sided][0]


def _wider(value: float, drawn: intervals.Ends, flips: Paired, weight: float) -> intervals.Ends:
    """Return the farther of the ends that the bootstrap has and those that flips have, `weight` times as far."""
    low, high = (value + weight * (end - flips.difference) for end in (flips.low, flips.high))
    return max(-1.0, min(low, drawn[0])), min(1.0, max(high, drawn[1]))


def _detectable(difference: Estimate, paired: Paired, metric: str, confidence: float) -> float:
    """Return the smallest difference that shows with a power of 0.8: from the flips, or from the interval's width."""
    if metric == "accuracy" or difference.low is None or difference.high is None:
        flips = max(paired.disagreement, 1 / max(1, paired.n))  # none seen is not none to come
        return comparison.detectable(flips, paired.n_effective, confidence)
    return comparison.shown(comparison.deviation(difference.high - difference.low, confidence), confidence)


def model_words(difference: Estimate, paired: Paired, metric: str, alpha: float) -> str:
    """Return what is said of this model, whatever the seed."""
    new, images = counted(paired.n_new_errors, "new error"), counted(paired.n, "image")
    flips = f"{new}, {paired.n_gone_errors:,} gone, on {images}"
    verdict = "better" if difference.value > 0 else "worse"
    if metric != "accuracy":
        low, high = difference.low, difference.high
        verdict = UNCLEAR if low is None or high is None or low <= 0 <= high else verdict
        return f"{verdict} on these images ({flips}; bootstrap)"
    worse, better = paired.n_worse_groups, paired.n_better_groups
    if paired.p_value >= alpha:
        verdict = UNCLEAR
    elif (better - worse) * difference.value <= 0:  # one large group can outweigh all those that the test counted
        verdict = "no difference that can be told, for images and groups disagree,"
        flips += f", {worse:,} groups worse, {better:,} better"
    p_value = "< 0.001" if paired.p_value < 0.001 else f"= {paired.p_value:.3f}"
    return f"{verdict} on these images ({flips}; McNemar, exact, p {p_value})"


def change_words(change: Change, why: str) -> str:
    """Return what is said of the change of recipe or data, the seed taken into account; `why`: no run tells it."""
    if change.limit is None:
        return f"not known whether it is more than another seed would do: {why}"
    limit = f"another seed makes up to {change.limit:.4f}, by {change.n_runs} runs"
    if change.verdict == "unclear":
        return f"no more than another seed would do ({change.difference:+.4f}; {limit})"
    return f"{change.verdict} than another seed would make it ({change.difference:+.4f}; {limit})"
