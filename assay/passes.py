"""The passes that later stages ask for: the gate is open, the records are verified."""

import datetime
from pathlib import Path

from assay import files
from assay.errors import AssayError, GateClosed


def check_passed(passed: Path) -> None:
    """Raise `AssayError` if the gate is closed now, whichever manifest it let pass before."""
    if not passed.exists():
        raise AssayError(f"{passed} is missing: the gate is closed or was not asked; run `dvc repro gate`")
    until = files.read_json(passed).get("until")
    if until and today() > datetime.date.fromisoformat(until):
        raise GateClosed(
            f"the gate let the data pass until {until}, when a waiver ended; see expectations/waivers.yaml"
        )


def check_open(passed: Path, manifest: Path) -> frozenset[str]:
    """Return the paths of the images that are set aside.

    Raises `AssayError` unless the gate let exactly this manifest pass.
    """
    check_passed(passed)
    content = files.read_json(passed)
    if content["manifest"] != files.sha256(manifest):
        raise AssayError(f"{passed} is for another {manifest}; run `dvc repro gate`")
    return frozenset(content["set_aside"])


def check_verified(verified: Path, index: Path) -> None:
    """Raise `AssayError` unless `verify` found the shards of exactly this index to be what they should be."""
    if not verified.exists() or files.read_json(verified)["index"] != files.sha256(index):
        raise AssayError(f"{verified} is missing or for other records; run `dvc repro verify`")


def today() -> datetime.date:
    """Return the day in UTC, by the clock of this machine."""
    return datetime.datetime.now(datetime.UTC).date()
