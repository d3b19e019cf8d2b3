"""What a run knows after an epoch, besides its weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from assay.training import guards, keeping, schedule
from assay.training.fingerprint import Moment


@dataclass
class State:
    epoch: int = 0  # how many are finished
    phase: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)  # of each epoch
    kept: keeping.Kept = field(default_factory=keeping.Kept)
    plateau: schedule.Plateau = field(default_factory=schedule.Plateau)
    signs: list[guards.Signs] = field(default_factory=list)
    began: dict[str, float] = field(default_factory=dict)  # the size of each kernel
    fingerprint: dict[str, Moment] = field(default_factory=dict)
    elapsed_s: float = 0  # of all processes
    ended: str | None = None  # why, if not after the last epoch

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "State":
        """Return the state that `dataclasses.asdict` made `found` of."""
        parts = {
            "kept": keeping.Kept(**found["kept"]),
            "plateau": schedule.Plateau(**found["plateau"]),
            "signs": [guards.Signs(**signs) for signs in found["signs"]],
        }
        return cls(**{**found, **parts})
