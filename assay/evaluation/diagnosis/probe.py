"""What looks the same from one run is told by short trainings with one change each, beside what another seed does.

Each arm is trained for a third of its epochs with two seeds, the recipe as it is among them. A run that ended before
its kernels have moved is not shortened further, and there alone more epochs and higher rates are tried: in a third of
the epochs they would gain wherever a third is too few.

What gained in a third of the epochs is trained in whole, beside the recipe, before it is believed: less augmentation or
dropout gains in any short training, for it costs only what it would have prevented later.

An arm is better where its mean on val is above that of the recipe by more than the spread of seeds explains: Student's
t over all arms pooled, one in twenty for all arms together (Bonferroni), and two images of val at the least.
Pure: which arms, and what their results say.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import t as student

from assay import params
from assay.evaluation.diagnosis import finding, readings, recipes
from assay.evaluation.diagnosis.diagnose import Diagnosis
from assay.evaluation.diagnosis.evidence import Evidence
from assay.evaluation.diagnosis.finding import Finding, symptom
from assay.training import catalogue, presets

SEEDS = 2
SHARE = 1 / 3  # of the epochs
CONFIDENCE = 0.95  # that no arm of an idle change is called better
WITH_A_REMEDY = ("too_few_images",)  # which a backbone may help, and is there whether it does or not
FEWEST_IMAGES = 2  # of val, that a gain is


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One change to try; of the recipe as it is there is none, and no cause."""

    cause: str
    change: Mapping[str, Any]
    share: float = SHARE  # of its epochs


@dataclass(frozen=True, kw_only=True)
class Outcome:
    arm: Arm
    accuracies: tuple[float, ...]  # on val, by seed
    gain: float  # above the recipe, of the means
    noise: float  # a gain below it another seed would give too

    @property
    def is_better(self) -> bool:
        return len(self.accuracies) == SEEDS and self.gain > self.noise


AS_IT_IS = Arm(cause="", change={})


def arms(evidence: Evidence, found: Diagnosis) -> list[Arm]:
    """Return the recipe as it is, and what to try beside it: for the causes that look the same, and those found.

    The former come first: what is tried under the name of one of them says nothing of the others.
    """
    is_early = bool(evidence.record and readings.is_early(evidence.record))
    known, share = _changes(evidence.train, is_early=is_early), 1.0 if is_early else SHARE
    if evidence.record and readings.per_class(evidence.record) < presets.FEW:
        known["too_few_images"] = recipes.backbone(evidence.train)
    alike = [name for each in found.findings for name in each.alike]
    tried = [Arm(cause=name, change=known[name]) for name in alike if known.get(name)]
    tried += [Arm(cause=each.cause, change=each.change) for each in found.findings if each.change]
    tried += [Arm(cause=each.cause, change=known[each.cause]) for each in found.findings if known.get(each.cause)]
    if not tried:
        tried = [Arm(cause=name, change=change) for name, change in known.items() if change]
    distinct: dict[str, Arm] = {}
    for arm in filter(_can_be_trained, tried):
        distinct.setdefault(str(sorted(arm.change.items())), arm)
    return [replace(arm, share=share) for arm in (AS_IT_IS, *distinct.values())]


def _can_be_trained(arm: Arm) -> bool:
    """Say whether what it is trained from is here: without a package or a network the probe would end there."""
    name = arm.change.get("train.network")
    return name is None or catalogue.is_here(name)


def _changes(p: params.Train, *, is_early: bool) -> dict[str, recipes.Change]:
    """Return one change for each cause that can be tried, away from the recipe."""
    found = {
        "rate_too_high": recipes.learning_rate(p, 1 / 5),
        "rate_too_low": recipes.learning_rate(p, 5) if is_early else {},
        "too_few_epochs": {"train.epochs": 3 * p.epochs} if is_early else {},
        "augmentation_too_weak": recipes.stronger(p),
        "augmentation_too_strong": recipes.weaker(p),
        "model_too_large": recipes.filters(p, 1 / 2),
        "model_too_small": recipes.wider(p),
        "dropout_too_strong": {"train.dropout": 0.2} if p.dropout > 0.2 else {},
        "penalty_too_strong": {"train.l2": 0} if p.l2 else {},
    }
    return {name: change for name, change in found.items() if change}


def content(of: Mapping[str, Any], arm: Arm, seed: int) -> dict[str, Any]:
    """Return the content of params.yaml that a short training of the arm has; `of`: that of the recipe."""
    found = copy.deepcopy(dict(of))
    found["seed"] += seed
    for key, value in arm.change.items():
        *sections, name = key.split(".")
        place = found
        for section in sections:
            place = place[section]
        place[name] = value
    found["train"]["epochs"] = max(1, math.ceil(found["train"]["epochs"] * arm.share))
    return found


def whole(tried: Sequence[Outcome]) -> list[Arm]:
    """Return the arms that gained in a third of the epochs as they are trained in whole, behind the recipe; or none."""
    better = [replace(each.arm, share=1.0) for each in tried if each.arm.share < 1 and each.is_better]
    return [replace(AS_IT_IS, share=1.0), *better] if better else []


def outcomes(
    measured: Sequence[tuple[Arm, Sequence[float]]], n_val: int, others: Sequence[Sequence[float]] = ()
) -> list[Outcome]:
    """Return what each arm gains on `n_val` images, the best first; the recipe as it is comes first of `measured`.

    An arm that was tried with one seed only is held against the noise that one seed has. `others`: accuracies of arms
    that were trained for fewer epochs, for the spread of seeds.
    """
    base = measured[0][1]
    several = [accuracies for accuracies in (*(found for _, found in measured), *others) if len(accuracies) > 1]
    freedom = sum(len(each) - 1 for each in several)
    variance = sum((len(each) - 1) * float(np.var(each, ddof=1)) for each in several) / max(1, freedom)
    each = (1 - CONFIDENCE) / max(1, len(measured) - 1)
    quantile = float(student.ppf(1 - each, freedom)) if freedom else math.inf
    found = [
        Outcome(
            arm=arm,
            accuracies=tuple(accuracies),
            gain=float(np.mean(accuracies) - np.mean(base)),
            noise=max(
                FEWEST_IMAGES / n_val,
                quantile * math.sqrt(variance * (1 / len(accuracies) + 1 / len(base))) if freedom else math.inf,
            ),
        )
        for arm, accuracies in measured[1:]
    ]
    return sorted(found, key=lambda each: -each.gain)


def decided(found: Diagnosis, tried: Sequence[Outcome]) -> Diagnosis:
    """Return the diagnosis with what the trainings decided: what gained is likely, what did not is no cause any more.

    Contracts, and causes that were not tried with all seeds, or gained in a third of the epochs and were not tried in
    whole, stay as they were. So does one of which a remedy was tried and gave nothing: the images are no more for that.
    """
    done = [each for each in tried if len(each.accuracies) == SEEDS and not (each.is_better and each.arm.share < 1)]
    better = [_finding(each) for each in done if each.is_better]
    refuted = [each for each in done if not each.is_better]
    gone = {each.arm.cause for each in done if each.is_better or each.arm.cause not in WITH_A_REMEDY}
    kept = [each for each in found.findings if each.kind == "contract" or each.cause not in gone]
    return replace(
        found,
        findings=tuple(finding.rank([*kept, *better])),
        refuted=tuple(
            f"{', '.join(said(each.arm))} ({100 * each.gain:+.1f} points on val, another seed gives up to "
            f"{100 * each.noise:.1f})"
            for each in refuted
        ),
    )


def _finding(of: Outcome) -> Finding:
    return symptom(
        of.arm.cause,
        (
            f"tried {length(of.arm)} with {len(of.accuracies)} seeds, {'; '.join(said(of.arm))} gave "
            f"{100 * of.gain:+.1f} points on val; another seed alone gives up to {100 * of.noise:.1f}"
        ),
        of.arm.change,
        cost=of.gain,
    )


def length(arm: Arm) -> str:
    """Return how long it is trained, in words."""
    return "for all epochs" if arm.share == 1 else "for a third of the epochs"


def said(arm: Arm) -> list[str]:
    """Return the change as lines of params.yaml, or that there is none."""
    return finding.changes(arm.change) or ["as it is"]
