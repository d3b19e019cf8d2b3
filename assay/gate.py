"""The gate: what validation found, judged; and the pass that later stages ask for."""

from pathlib import Path
from typing import Any

from assay import files
from assay.errors import AssayError, GateClosed


def judge(results: dict[str, Any], manifest_sha256: str) -> dict[str, str]:
    """Return the pass for this manifest, or raise `GateClosed` that names every failed critical expectation.

    `results` is what `validate` left in results.json.
    """
    if results["manifest"] != manifest_sha256:
        raise AssayError("the validation report is of another manifest; run `dvc repro validate` first")
    closed = [r["message"] for r in results["expectations"] if r["severity"] == "critical" and not r["success"]]
    if closed:
        raise GateClosed(f"closed by {len(closed)} critical expectation{'s' * (len(closed) > 1)}\n" + "\n".join(closed))
    return {"gate": "open", "manifest": manifest_sha256}


def check_passed(passed: Path) -> None:
    """Raise `AssayError` if the gate is closed now, whichever manifest it let pass before."""
    if not passed.exists():
        raise AssayError(f"{passed} is missing: the gate is closed or was not asked; run `dvc repro gate`")


def check_open(passed: Path, manifest: Path) -> None:
    """Raise `AssayError` unless the gate let exactly this manifest pass."""
    check_passed(passed)
    if files.read_json(passed)["manifest"] != files.sha256(manifest):
        raise AssayError(f"{passed} is for another {manifest}; run `dvc repro gate`")
