"""Why a classifier is poor: every rule asked, the surest cause first, and what was looked at where none was found."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from assay import words
from assay.evaluation.diagnosis import causes, contracts, finding, symptoms
from assay.evaluation.diagnosis.evidence import Evidence
from assay.evaluation.diagnosis.finding import Finding

# What is seen of a network says nothing where one of these holds: it learnt from other images, or of other labels.
EXPLAINS = {
    "label_map": ("label_noise", "overfitting"),
    "conflicting_labels": ("label_noise", "overfitting", "model_too_small"),
    "foreign_test": ("overfitting", "label_noise"),
    "imbalance": ("overfitting", "label_noise"),
    "shortcut": ("overfitting",),
    "leakage": (),
    "label_noise": ("overfitting",),
    "too_few_images": ("overfitting", "label_noise"),
}
LAST = ("stopped", "label_noise")  # what any network that learns badly looks like


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    findings: tuple[Finding, ...]  # the likeliest cause first
    looked_at: tuple[str, ...]  # causes that were asked for
    refuted: tuple[str, ...] = ()  # changes that short trainings showed to be no better, in words


def diagnose(evidence: Evidence, others: Mapping[str, Finding | None] | None = None) -> Diagnosis:
    """Return the causes that the evidence shows; `others`: what was asked for elsewhere, ranked with them."""
    others = others or {}
    found = [*filter(None, [*others.values(), *(rule(evidence) for rule in contracts.RULES.values())])]
    asked = [*others, *contracts.RULES]
    if evidence.record:
        record = evidence.record
        found += filter(None, (rule(evidence, record) for rule in symptoms.RULES.values()))
        asked += symptoms.RULES
    return Diagnosis(findings=tuple(finding.rank(_unexplained(found))), looked_at=tuple(asked))


def _unexplained(found: list[Finding]) -> list[Finding]:
    """Return the findings that no other one explains; what is sure explains what is only said where nothing else is."""
    explained = {cause for each in found for cause in EXPLAINS.get(each.cause, ())}
    sure = [each for each in found if each.kind == "symptom" and each.is_confident]
    last = [each for each in found if each.cause in LAST or (each.cause == "model_too_small" and not each.is_confident)]
    if any(each not in last for each in sure):
        explained |= {each.cause for each in last}
    elif any(each.cause == "label_noise" for each in sure):
        explained |= {"stopped", "model_too_small"}
    return [each for each in found if each.cause not in explained]


def lines(diagnosis: Diagnosis) -> list[str]:
    """Return the diagnosis in words: a numbered cause with its evidence, what it costs and what to try."""
    found = [line for number, each in enumerate(diagnosis.findings, 1) for line in _lines(number, each)]
    if not found:
        found = [
            f"nothing found: {words.counted(len(diagnosis.looked_at), 'cause')} looked for",
            f"  {'; '.join(causes.within(name) for name in diagnosis.looked_at)}",
        ]
    return [*found, *(f"tried, and no better: {each}" for each in diagnosis.refuted)]


def _lines(number: int, of: Finding) -> Iterable[str]:
    yield f"{number}. {causes.TITLES[of.cause]} ({of.certainty})"
    yield f"   {of.seen}"
    if of.cost is not None:
        yield f"   costs: {100 * of.cost:.1f} points of accuracy"
    if of.alike:
        yield f"   looks the same: {'; '.join(causes.within(name) for name in of.alike)}"
    if of.change:
        yield f"   try: {', '.join(finding.changes(of.change))} (params.yaml)"
    if of.look:
        yield f"   look at: {of.look}"


def headline(diagnosis: Diagnosis) -> list[str]:
    """Return a line for the likeliest cause, if there is one that is sure, and where the rest is."""
    sure = [each for each in diagnosis.findings if each.is_confident]
    if not sure:
        return []
    return [f"likeliest cause: {causes.TITLES[sure[0].cause]}; `assay diagnose` says why, and what to try"]


def as_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return the diagnosis for programs, and in words for those that know none of its rules."""
    return {
        "findings": [asdict(each) for each in diagnosis.findings],
        "looked_at": list(diagnosis.looked_at),
        "refuted": list(diagnosis.refuted),
        "headline": headline(diagnosis),
        "lines": lines(diagnosis),
    }
