"""What comes after a whole run: comparisons, clones, and runs that were killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from checkouts import run, set_params
from whole_runs import hashes

from assay.errors import AssayError
from assay.versions import dvc_repo


@pytest.mark.slow
def test_metrics_and_params_of_two_commits_can_be_compared(done: Path) -> None:
    set_params(done, train={"epochs": 3})
    run(done, "dvc", "repro")
    run(done, "git", "commit", "-qam", "train longer")
    metrics = run(done, "dvc", "metrics", "diff", "HEAD~1", "HEAD")
    assert "metrics/train.json" in metrics
    assert "train.epochs" in metrics
    parameters = run(done, "dvc", "params", "diff", "HEAD~1", "HEAD").split("\n")
    assert [line.split() for line in parameters if "params.yaml" in line] == [["params.yaml", "train.epochs", "2", "3"]]
    page = done / "plots.html"
    run(done, "dvc", "plots", "diff", "HEAD~1", "HEAD", "-o", str(page.parent / "shown"))
    shown = (page.parent / "shown/index.html").read_text()
    assert all(name in shown for name in ("confusion", "history", "roc", "calibration"))


def cloned(first_run: Path, clone: Path) -> Path:
    """Return a clone of the first run's commit."""
    run(clone.parent, "git", "clone", "-q", str(first_run / "checkout"), str(clone))
    return clone


def start_repro(clone: Path) -> subprocess.Popen[bytes]:
    """Start `dvc repro` of processes that import everything themselves; the first run was warm (warm.py)."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(clone)}
    command = ["dvc", "repro"]
    return subprocess.Popen(command, cwd=clone, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def mend(clone: Path) -> None:
    """Do what docs/operations.md says for a file that DVC was writing when it was killed."""
    try:
        dvc_repo.check_locks(clone)
    except AssayError:
        (clone / ".dvc/tmp/rwlock").unlink()
    try:
        dvc_repo.check_stages(clone)
    except AssayError:
        run(clone, "git", "checkout", "HEAD", "--", "dvc.lock")


@pytest.mark.parametrize(
    "seconds",
    [pytest.param(at, marks=pytest.mark.slow if at == 7 else pytest.mark.live) for at in (1.5, 4, 7, 11, 16)],
)
def test_second_clone_gives_the_same_bytes_though_its_first_run_was_killed(
    first_run: Path, tmp_path: Path, seconds: float
) -> None:
    clone = cloned(first_run, tmp_path / "clone")
    killed = start_repro(clone)
    time.sleep(seconds)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    mend(clone)
    assert start_repro(clone).wait() == 0
    assert hashes(clone) == hashes(first_run / "checkout")
    assert run(clone, "git", "status", "--porcelain") == ""


@pytest.mark.slow
def test_run_killed_while_dvc_writes_dvc_lock_says_what_to_do_and_loses_no_stage(
    first_run: Path, tmp_path: Path
) -> None:
    clone = cloned(first_run, tmp_path / "clone")
    killed = start_repro(clone)
    lock = clone / "dvc.lock"
    while not (clone / "reports/validation/results.json").exists() or lock.stat().st_size:  # it is empty for some 50 ms
        assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert "'./dvc.lock' validation failed" in run(clone, "dvc", "repro", code=255)
    assert "`git checkout HEAD -- dvc.lock` brings" in run(clone, "assay", "release", code=1)
    mend(clone)
    again = run(clone, "dvc", "repro")
    assert "> python -m tasks.validate" not in again
    assert hashes(clone) == hashes(first_run / "checkout")
