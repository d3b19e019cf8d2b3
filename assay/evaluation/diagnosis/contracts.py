"""Causes that need no guess: each holds or does not hold, most of them before a training. Pure: evidence in.

Thresholds that no standard fixes are the smallest that no sound set reached; docs/diagnose.md says on which.
"""

from collections.abc import Callable, Mapping

import numpy as np

from assay.evaluation.diagnosis import data, held_out, readings, recipes
from assay.evaluation.diagnosis.evidence import Evidence
from assay.evaluation.diagnosis.finding import Finding, contract

DEVIATION, OFFSET = (0.02, 3.0), 8.0  # of the network's input; its mean, in deviations
RATIO = 5.0  # largest to smallest class
RECALLS = 0.1  # recall of the commoner half of the classes less that of the rarer


def scaling(evidence: Evidence) -> Finding | None:
    """The network's real input: a deviation far from 1, or a mean far from 0 in deviations."""
    if not evidence.record:
        return None
    p = evidence.train
    mean, deviation = (readings.number(evidence.record["input"][name]) for name in ("mean", "deviation"))
    if deviation > DEVIATION[1]:
        wrong = "the pixels are unscaled, as 0 to 255"
    elif deviation < DEVIATION[0]:
        wrong = "the pixels are scaled twice, or hardly differ"
    elif abs(mean) >= OFFSET * deviation:
        wrong = f"they lie {abs(mean) / deviation:.1f} deviations from 0, the limit is {OFFSET:g}"
    else:
        return None
    return contract(
        "scaling",
        f"the first kernel is given numbers of mean {mean:.3g} and deviation {deviation:.3g}; a deviation from "
        f"{DEVIATION[0]:g} to {DEVIATION[1]:g} is usual: {wrong}",
        change={} if recipes.is_own(p) or p.scale == "standard" else {"train.scale": "standard"},
        look=f"the network {p.network!r}: the model scales its pixels itself, so nothing else may",
    )


def imbalance(evidence: Evidence) -> Finding | None:
    """Classes of very different size, of which the rarer are found far more rarely."""
    run = evidence.run
    if not run or not run.is_single or len(run.classes) < 2:
        return None
    counts = np.array(run.n_train)
    present = np.asarray(run.test.actual.any(axis=0))
    recall = (run.test.predicted & run.test.actual).sum(axis=0) / np.maximum(run.test.actual.sum(axis=0), 1)
    order = [k for k in np.argsort(counts, kind="stable") if present[k]]
    rarer, commoner = order[: len(order) // 2], order[-(-len(order) // 2) :]
    if len(order) < 2 or counts.max() <= RATIO * max(1, counts.min()):
        return None
    lost = float(recall[commoner].mean() - recall[rarer].mean())
    if lost <= RECALLS:
        return None
    most, least, worst = int(counts.argmax()), int(counts.argmin()), min(rarer, key=lambda k: recall[k])
    dead = [run.classes[k] for k in order if not run.test.predicted[:, k].any()]
    return contract(
        "imbalance",
        seen=(
            f"{run.classes[most]!r} has {counts[most]:,} train images, {run.classes[least]!r} {counts[least]:,}; the "
            f"rarer half of the classes is found in {recall[rarer].mean():.1%}, the commoner in "
            f"{recall[commoner].mean():.1%}, lowest {run.classes[worst]!r} in {recall[worst]:.1%}"
            + (f"; never named: {', '.join(dead[:5])}" if dead else "")
            + f". The accuracy, {run.test.accuracy.value:.1%}, hides it"
        ),
        cost=float(run.test.right.mean() - recall[present].mean()),
        change=recipes.balanced(evidence.train),
        look=f"more images of {', '.join(run.classes[k] for k in rarer[:3])} help most",
    )


RULES: Mapping[str, Callable[[Evidence], Finding | None]] = {
    rule.__name__: rule
    for rule in (
        held_out.label_map,
        data.conflicting_labels,
        data.leakage,
        data.shortcut,  # before what a border that test does not have looks like
        held_out.foreign_test,
        imbalance,
        scaling,
        data.gate,
        held_out.small_test,
        held_out.used_test,
    )
}
