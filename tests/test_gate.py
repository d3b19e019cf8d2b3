"""The gate opens for the manifest that passed, and closes with a message and exit code 3."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from assay import files, gate
from assay.errors import AssayError, GateClosed

ROOT = Path(__file__).parents[1]
CLOSED = "image width: 1 of 2 images: width_px must be at least 8: a.png (4) (expectations/images.yaml: image width)"


def results(*expectations: tuple[str, bool, str], manifest: str = "abc") -> dict[str, Any]:
    keys = ("severity", "success", "message")
    return {"manifest": manifest, "expectations": [dict(zip(keys, each, strict=True)) for each in expectations]}


def ask(folder: Path, judged: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run the stage in a checkout whose manifest is the text `rows`."""
    shutil.copy(ROOT / "params.yaml", folder)
    files.write_text(folder / "data/manifest.parquet", "rows")
    files.write_json(folder / "reports/validation/results.json", judged)
    return stage(folder)


def stage(folder: Path) -> subprocess.CompletedProcess[str]:
    silent = {key: value for key, value in os.environ.items() if not key.startswith(("ASSAY_", "DVC_"))}
    command = [sys.executable, "-m", "tasks.gate"]
    return subprocess.run(command, cwd=folder, env=silent | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)


# sha256sum of the four bytes `rows`
ROWS = "bc51e9e65d79e1c90ba544ab2eae1044ccdf8c1af7a559ba375cba4276f7d99e"


def test_open_gate_passes_this_manifest() -> None:
    assert gate.judge(results(("critical", True, "")), "abc") == {"gate": "open", "manifest": "abc"}


def test_failed_warning_and_info_leave_the_gate_open() -> None:
    assert gate.judge(results(("warning", False, "a"), ("info", False, "b")), "abc")["gate"] == "open"


def test_closed_gate_names_every_critical_failure_alone() -> None:
    found = results(
        ("critical", False, "one"), ("warning", False, "two"), ("critical", True, ""), ("critical", False, "3")
    )
    with pytest.raises(GateClosed) as closed:
        gate.judge(found, "abc")
    assert str(closed.value) == "closed by 2 critical expectations\none\n3"


def test_report_of_another_manifest_is_not_judged() -> None:
    with pytest.raises(AssayError, match="is of another manifest") as error:
        gate.judge(results(("critical", True, "")), "abd")
    assert error.value.exit_code == 1


def test_missing_pass_stops_what_follows(tmp_path: Path) -> None:
    with pytest.raises(AssayError, match=r"passed\.json is missing: the gate is closed or was not asked"):
        gate.check_open(tmp_path / "passed.json", tmp_path / "manifest.parquet")


def test_pass_holds_for_its_manifest_alone(tmp_path: Path) -> None:
    passed, manifest = tmp_path / "passed.json", tmp_path / "manifest.parquet"
    manifest.write_text("rows")
    files.write_json(passed, {"gate": "open", "manifest": ROWS})
    gate.check_open(passed, manifest)
    manifest.write_text("other rows")
    with pytest.raises(AssayError, match="is for another"):
        gate.check_open(passed, manifest)


def test_stage_writes_the_pass(tmp_path: Path) -> None:
    asked = ask(tmp_path, results(("critical", True, ""), manifest=ROWS))
    assert (asked.returncode, asked.stderr) == (0, "")
    assert files.read_json(tmp_path / "data/passed.json") == {"gate": "open", "manifest": ROWS}


def test_closed_stage_exits_3_with_a_message_and_takes_the_old_pass_away(tmp_path: Path) -> None:
    files.write_json(tmp_path / "data/passed.json", {"gate": "open", "manifest": ROWS})
    asked = ask(tmp_path, results(("critical", False, CLOSED), manifest=ROWS))
    assert asked.returncode == 3
    assert asked.stderr == f"gate: closed by 1 critical expectation\n{CLOSED}\n"
    assert not (tmp_path / "data/passed.json").exists()


def test_stage_without_a_report_says_what_to_run(tmp_path: Path) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    asked = stage(tmp_path)
    assert asked.returncode == 1
    assert asked.stderr == (
        "gate: reports/validation/results.json is missing: nothing was validated; run `dvc repro validate`\n"
    )
