"""Waivers that end soon: a gate that closes tomorrow is better known today."""

import datetime
from pathlib import Path
from typing import Any

from assay import files
from assay.errors import AssayError

WARN = datetime.timedelta(days=7)


def soon(results: Path, today: datetime.date) -> list[tuple[str, str, str]]:
    """Return (what is excused, last day, where it stands) of the waivers that end within a week, soonest first.

    `results` is what `validate` left; none if it left nothing.
    """
    try:
        waivers: list[dict[str, Any]] = files.read_json(results).get("waivers", [])
    except (OSError, AssayError):
        return []
    found = [(str(each["expectation"]), str(each["until"]), str(each["where"])) for each in waivers]
    return sorted(
        (each for each in found if datetime.date.fromisoformat(each[1]) <= today + WARN), key=lambda each: each[1]
    )
