"""How a stage starts and ends, seen from outside: each test runs one as a process."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from checkouts import ROOT
from receiver import receiving

from assay import params, processes
from assay.operations import alert, stage_run

STAGE = """
import errno, os, time
from pathlib import Path
from assay.operations import stage_run
from assay.errors import AssayError, GateClosed

def main(p):
    print("main began", flush=True)
    {body}

stage_run.run("toy", main)
"""
DEPS = ["in.txt", "folder", "${paths.validation}/results.json"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a stage `toy`, its inputs and this project's parameters."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    toy = {"cmd": "python toy.py", "deps": DEPS, "params": ["seed", "train"]}
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": {"toy": toy}}))
    for name in ("in.txt", "folder/one.txt", "reports/validation/results.json", "other.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("before")
    return tmp_path


def run(body: str, **environment: str) -> subprocess.CompletedProcess[str]:
    Path("toy.py").write_text(STAGE.format(body=body))
    return subprocess.run([sys.executable, "toy.py"], env=variables(**environment), capture_output=True, text=True)


def variables(**more: str) -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("ASSAY_", "DVC_"))} | {
        "PYTHONPATH": str(ROOT),
        **more,
    }


def test_good_end_is_silent_and_exits_0() -> None:
    done = run("pass")
    assert (done.returncode, done.stdout, done.stderr) == (0, "main began\n", "")


@pytest.mark.parametrize(("error", "code"), [("AssayError", 1), ("GateClosed", 3)])
def test_what_a_person_must_put_right_has_its_exit_code_and_no_traceback(error: str, code: int) -> None:
    done = run(f"raise {error}('width: 3 px, at least 8 (params.yaml)')")
    assert (done.returncode, done.stderr) == (code, "toy: width: 3 px, at least 8 (params.yaml)\n")


def test_bug_is_named_first_and_has_its_traceback() -> None:
    done = run("raise ValueError('two\\nlines')")
    first, second, *_ = done.stderr.splitlines()
    assert (done.returncode, first, second) == (
        1,
        "toy: ValueError: two lines",
        "Traceback (most recent call last):",
    )
    assert "in main" in done.stderr


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("Path('in.txt').write_text('after!')", "in.txt"),
        ("Path('in.txt').unlink()", "in.txt"),
        ("Path('folder/two.txt').touch()", "folder/two.txt"),
        ("Path('reports/validation/results.json').write_text('after!')", "reports/validation/results.json"),
        (
            "f = Path('params.yaml'); f.write_text(f.read_text().replace('seed: 7', 'seed: 8'))",
            "params.yaml:seed",
        ),
    ],
)
def test_input_that_changes_meanwhile_keeps_the_run_from_being_recorded(change: str, named: str) -> None:
    done = run(change)
    assert done.returncode == 75
    assert done.stderr == f"toy: {named} changed while toy ran; nothing is recorded, run it again\n"


@pytest.mark.parametrize(
    "change",
    [
        "Path('other.txt').write_text('after!')",
        "f = Path('params.yaml'); f.write_text(f.read_text().replace('confidence: 0.95', 'confidence: 0.9'))",
        "Path('folder/__pycache__').mkdir(); Path('folder/__pycache__/a.pyc').touch()",
    ],
)
def test_change_of_what_is_no_input_does_no_harm(change: str) -> None:
    assert run(change).returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
def test_full_disk_is_said_without_a_traceback() -> None:
    done = run("Path('/dev/full').write_text('x')")
    assert (done.returncode, done.stderr) == (1, "toy: an output: No space left on device; nothing was recorded\n")


def test_read_only_disk_names_the_file_without_a_traceback() -> None:
    done = run("raise OSError(errno.EROFS, 'no', 'data/x.tar')")
    assert (done.returncode, done.stderr) == (1, "toy: data/x.tar: Read-only file system; nothing was recorded\n")


def test_other_os_error_is_a_bug() -> None:
    assert "Traceback" in run("Path('nowhere/x').read_text()").stderr


def test_typo_in_the_parameters_of_another_stage_stops_before_main() -> None:
    content = params.FILE.read_text()
    params.FILE.write_text(content.replace("confidence:", "confidense:"))
    done = run("pass")
    assert (done.returncode, done.stdout) == (1, "")
    assert "evaluate.confidense: unknown key; did you mean 'confidence'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_outcome_is_left_for_the_flow_that_waits_for_it(here: Path) -> None:
    run("raise GateClosed('closed\\nfirst rule')", **{stage_run.OUTCOME: str(here / "outcome.json")})
    said = json.loads((here / "outcome.json").read_text())
    assert said == {"exit_code": 3, "message": "toy: closed\nfirst rule"}


def test_bad_end_alerts_once_and_leaves_it_to_the_flow_that_waits_for_the_outcome(here: Path) -> None:
    with receiving() as (url, received):
        run("raise GateClosed('closed')", **{alert.URLS: url, stage_run.OUTCOME: str(here / "outcome.json")})
        assert received == []
        run("raise GateClosed('closed')", **{alert.URLS: url})
        run("pass", **{alert.URLS: url})
    (told,) = received
    assert (told["title"], told["message"].splitlines()[0]) == ("Assay: toy rejected the data", "toy: closed")


@pytest.mark.parametrize("command", [[], ["sh", "-c", '"$@"; true', "-"]], ids=["itself", "through a shell that waits"])
def test_stage_dies_with_the_dvc_that_started_it(command: list[str]) -> None:
    Path("toy.py").write_text(STAGE.format(body="time.sleep(60)"))
    parent = f"import subprocess; subprocess.run({[*command, sys.executable, 'toy.py']!r})"
    with subprocess.Popen(
        [sys.executable, "-c", parent], env=variables(DVC_STAGE="toy"), stdout=subprocess.PIPE, text=True
    ) as dvc:
        assert dvc.stdout and dvc.stdout.readline() == "main began\n"
        *_, toy = psutil.Process(dvc.pid).children(recursive=True)
        dvc.kill()
    assert gone(toy)


@pytest.mark.skipif(not processes.LIBC, reason="only Linux tells who comes from whom")
@pytest.mark.parametrize(
    ("holder", "begins"), [(os.getpid(), True), (2**22 + 1, False)], ids=["a DVC above it", "one that is gone"]
)
def test_stage_whose_dvc_died_while_it_imported_does_not_begin(holder: int, begins: bool) -> None:
    """What `dvc repro` leaves of its lock when it is killed, or what the next one writes there."""
    stage_run.HELD.parent.mkdir(parents=True)
    by = {"pid": holder, "cmd": "dvc repro"}
    stage_run.HELD.write_text(json.dumps({"read": {"/x/in.txt": [by]}, "write": {"/x/out.txt": by}}))
    done = run("pass", DVC_STAGE="toy")
    assert (done.returncode, done.stdout) == ((0, "main began\n") if begins else (1, ""))
    assert begins or done.stderr == "toy: the DVC that started this is gone\n"


def test_stage_outlives_the_terminal_in_which_dvc_runs_on() -> None:
    Path("toy.py").write_text(STAGE.format(body="time.sleep(60)"))
    dvc = f"import subprocess; subprocess.run([{sys.executable!r}, 'toy.py'])"
    terminal = f"import subprocess, time; subprocess.Popen([{sys.executable!r}, '-c', {dvc!r}]); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", terminal], env=variables(DVC_STAGE="toy"), stdout=subprocess.PIPE, text=True
    ) as shell:
        assert shell.stdout and shell.stdout.readline() == "main began\n"
        left, toy = psutil.Process(shell.pid).children(recursive=True)
        shell.kill()
    try:
        time.sleep(1.5)
        assert toy.status() != psutil.STATUS_ZOMBIE
    finally:
        left.kill()
    assert gone(toy)


def gone(process: psutil.Process) -> bool:
    """Return whether it ended within 5 s; a dead process that nobody waited for counts."""
    for _ in range(50):
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.1)
    return False


def test_stage_of_the_flow_does_not_start_behind_a_shell_that_would_outlive_dvc() -> None:
    done = run("pass", DVC_STAGE="toy", **{processes.PARENT: "1"})
    assert (done.returncode, done.stdout) == (1, "")
    assert "a shell stands between DVC and this process" in done.stderr


def test_path_templates_of_dvc_yaml_are_resolved_inside_a_longer_text() -> None:
    p = params.load()
    assert stage_run.resolve("${paths.validation}/results.json", p) == "reports/validation/results.json"
    assert stage_run.resolve("${paths.metrics.eval}", p) == "metrics/eval.json"
    assert stage_run.resolve("assay/validation/gate.py", p) == "assay/validation/gate.py"
