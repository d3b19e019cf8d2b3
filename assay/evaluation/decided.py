"""What candidate.json says, in words. It is read by commands that must not wait for SciPy, as `rollback`."""

from collections.abc import Mapping
from typing import Any


def lines(made: Mapping[str, Any]) -> list[str]:
    """Return what a person wants to know at once."""
    beside = f"champion {made['champion']}" if made["champion"] else "no champion yet"
    told = [f"{made['verdict']} ({beside})"]
    told += [f"  {'+' if check['passed'] else '-'} {check['text']}" for check in made["checks"]]
    return told + [f"this {word}: {text}" for word, text in two_verdicts(made).items()]


def two_verdicts(made: Mapping[str, Any]) -> dict[str, str]:
    """Return what is said of this model and of this change; empty where there is no champion to compare with."""
    found = made.get("against")
    return {"model": found["model_verdict"], "change": found["change_verdict"]} if found else {}
