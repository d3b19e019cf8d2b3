"""One cause of a poor result: what was seen, how sure it is, what it costs, and one change to try."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

# A "limit" is no cause of a poor result, but what keeps it from being believed: the causes come first.
Kind = Literal["contract", "symptom", "limit"]
# "certain": exact, or far from anything that a sound run shows; "likely": beyond every sound run that was seen;
# "possible": a sound run of a hard set shows it too, so nothing but a retraining tells.
Certainty = Literal["certain", "likely", "possible"]
ORDER: dict[Certainty, int] = {"certain": 0, "likely": 1, "possible": 2}


SHOWN = 24  # images of a finding


@dataclass(frozen=True, kw_only=True)
class Finding:
    cause: str  # of `causes.TITLES`
    kind: Kind
    certainty: Certainty
    seen: str  # a sentence with the figures, the limit, and what it means
    cost: float | None = None  # of accuracy, in [0, 1], where it can be known without a training
    change: Mapping[str, Any] = field(default_factory=dict)  # of params.yaml, by dotted key
    look: str = ""  # what a person has to look at, and the command or file for it
    images: tuple[str, ...] = ()  # their SHA-256, the most telling first
    alike: tuple[str, ...] = ()  # causes that look the same; `assay diagnose --probe` decides

    @property
    def is_confident(self) -> bool:
        return self.certainty != "possible"


def changes(change: Mapping[str, Any]) -> list[str]:
    """Return a change as lines of params.yaml, `train.augment.preset: light`."""
    return [f"{name}: {value if isinstance(value, str) else json.dumps(value)}" for name, value in change.items()]


def contract(cause: str, seen: str, **more: Any) -> Finding:
    return Finding(cause=cause, seen=seen, **{"kind": "contract", "certainty": "certain"} | more)


def symptom(cause: str, seen: str, change: Mapping[str, Any] | None = None, **more: Any) -> Finding:
    return Finding(cause=cause, seen=seen, change=change or {}, **{"kind": "symptom", "certainty": "likely"} | more)


def rank(findings: list[Finding]) -> list[Finding]:
    """Return the surest first, then limits that are sure, then what is only possible.

    Among equals contracts come first, then the order in which they were looked for holds.
    """

    def place(each: Finding) -> tuple[bool, bool, int, bool]:
        return not each.is_confident, each.kind == "limit", ORDER[each.certainty], each.kind == "symptom"

    return sorted(findings, key=place)
