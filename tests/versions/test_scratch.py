"""Stages aside: what they read is the checkout's, what they write is not."""

import subprocess
from pathlib import Path

import pytest
import yaml
from checkouts import ROOT

from assay.errors import AssayError
from assay.versions import scratch

CONTENT = yaml.safe_load((ROOT / "params.yaml").read_text())


def test_all_but_what_the_stages_leave_lies_in_the_checkout() -> None:
    paths = CONTENT["paths"]
    found = scratch.placed(paths, Path("/there"))
    assert found["model"] == paths["model"]
    assert found["metrics"] == paths["metrics"]
    assert found["records"] == f"/there/{paths['records']}"
    assert found["memo"]["images"] == f"/there/{paths['memo']['images']}"
    assert found["memo"]["training"] == paths["memo"]["training"]  # a checkpoint, and why a training was stopped


@pytest.mark.slow
def test_stage_that_fails_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    missing = pytest.raises(AssayError, match=r"probe: train: .*passed\.json is missing")
    with missing, scratch.run(CONTENT, ("train",), about="probe"):
        pass
    assert not list((tmp_path / "scratch").iterdir())


def test_training_that_stopped_itself_is_a_result_and_any_other_failure_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failed(command: list[str], cwd: Path, **_: object) -> subprocess.CompletedProcess[str]:
        if stops:
            (cwd / ".assay/training").mkdir(parents=True)
            (cwd / ".assay/training/stopped.json").write_text("{}")
        return subprocess.CompletedProcess(command, 1, "", "train: why\nand where")

    monkeypatch.setattr(subprocess, "run", failed)
    monkeypatch.chdir(tmp_path)
    for stops in (True, False):
        why = pytest.raises(AssayError, match=r"^probe: train: why$")
        with why as raised, scratch.run(CONTENT, ("train",), about="probe"):
            pass
        assert isinstance(raised.value, scratch.Stopped) == stops
