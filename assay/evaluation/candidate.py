"""The candidate: the model that was just evaluated, the verdict on it, and what the next one is held against."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from assay import labels, params
from assay.evaluation import against, noise, tested, verdict
from assay.evaluation.against import Against
from assay.evaluation.tested import Champion, Look, Tested
from assay.evaluation.verdict import Check

DECIMALS = 6  # of numbers that programs read


@dataclass(frozen=True, kw_only=True)
class Judged:
    checks: list[Check]
    against: Against | None  # None: there is no champion, or none that can be compared


def judge(
    test: Tested, champion: Champion | None, recorded: Mapping[str, Any], looks: Sequence[Look], p: params.Register
) -> Judged:
    """Return what speaks for and against the model; `recorded`: what `assay noise` recorded, empty if nothing.

    `looks`: at test images so far, that of this model the last.
    """
    checks = verdict.floors(*test.shares(p.confidence), test.task, p)
    if champion is None:
        return Judged(checks=checks, against=None)
    checks += verdict.same_labels(test.classes, champion.get("classes", test.classes), champion["version"], p)
    ledger_id = looks[-1]["ledger"]
    if why := tested.obstacle(champion, test, ledger_id):
        return Judged(checks=[*checks, Check(name="champion", passed=False, text=why)], against=None)
    sides = tested.sides(champion, test)
    before = f"champion {champion['version']}"
    seeds = noise.of(
        recorded, against.metric_of(sides, p), recipe=champion.get("recipe"), ledger=ledger_id, before=before
    )
    found = against.against(sides, seeds, tested.n_looks(looks, champion, ledger_id), p)
    first, *others = verdict.relative(found, sides, champion["version"], p)
    if said := tested.other_classes(champion, test):
        first = replace(first, text=f"{first.text}; {said}")
    return Judged(checks=[*checks, first, *others], against=found)


def build(judged: Judged, test: Tested, champion: Champion | None, look: Look) -> dict[str, Any]:
    """Return the content of registry/candidate.json, but for the files that it comes from."""
    wrong = [at for at, right in enumerate(test.right) if not right]
    return {
        "verdict": verdict.decide(judged.checks),
        "checks": [asdict(check) for check in judged.checks],
        "champion": champion and champion["version"],
        "against": judged.against and _rounded(asdict(judged.against)),
        "task": test.task,
        "classes": test.classes,
        "split": {"test": hashlib.sha256("".join(test.sha256).encode()).hexdigest(), "n_test_images": len(test.sha256)},
        "last_batch": look["last_batch"],
        "ledger": look["ledger"],
        "errors": [test.sha256[at] for at in wrong],
        "named": [labels.decode(test.predicted[at], test.classes) for at in wrong],  # instead, in the same order
    }


def _rounded(content: Mapping[str, Any]) -> dict[str, Any]:
    rounded: dict[str, Any] = {}
    for key, value in content.items():
        of_many = isinstance(value, dict)
        rounded[key] = _rounded(value) if of_many else round(value, DECIMALS) if isinstance(value, float) else value
    return rounded
