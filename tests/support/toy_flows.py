"""A checkout of toy stages that do what a test tells them, and flows that run them."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import warm
import yaml
from checkouts import ROOT
from click.testing import CliRunner
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, TaskRun
from prefect.client.schemas.sorting import FlowRunSort, TaskRunSort
from prefect.settings import PREFECT_API_URL

from assay import processes
from assay.operations import alert, stage_run
from flows import pipeline

# Copies its input; before that it does what a file, of which DVC knows nothing, tells it.
STEP = """
import os, sys, time
from pathlib import Path
from assay.operations import stage_run
from assay.errors import AssayError, GateClosed

name, source, out = sys.argv[1:]

def main(p):
    print("working on", name)
    if (does := Path(f"{name}.does")).exists():
        exec(does.read_text())
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Path(out).write_text(Path(source).read_text())
    Path(f"{name}.json").write_text('{"share": {"cat": 0.5}}')

stage_run.run(name, main)
"""


def step(name: str, source: str, out: str, outs: str | None = None) -> dict[str, Any]:
    return {
        "cmd": f"python -m step {name} {source} {out}",
        "deps": ["step.py", source],
        "outs": [outs or out],
        "metrics": [{f"{name}.json": {"cache": False}}],
    }


# Declared back to front; the order is DVC's to find.
STAGES = {
    "train": step("train", "passed", "model"),
    "gate": step("gate", "reports/validation/results.json", "passed"),
    "validate": step("validate", "data.json", "reports/validation/results.json", "reports/validation"),
}
RESULTS = {
    "passed": False,
    "n_images": 1797,
    "quarantine": {"n_images": 0, "limit": 0.01, "share": 0, "n_allowed": 0, "paths": []},
    "expectations": [
        {
            "severity": "critical",
            "success": True,
            "message": "fine",
            "observed": 1,
            "limit": 1,
            "table": "images",
            "failures": [],
        },
        {
            "severity": "critical",
            "success": False,
            "message": "size: 2 | images are too small",
            "observed": 2,
            "limit": 0,
            "table": "images",
            "failures": ["cat/0012.png", "dog/0007.png"],
        },
    ],
}


@pytest.fixture(scope="session")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("initialised")
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "-q"], cwd=folder, check=True)
    (folder / ".dvc/config").write_text("[core]\n    analytics = false\n    no_scm = true\n")
    shutil.copy(ROOT / "params.yaml", folder)
    (folder / "step.py").write_text(STEP)
    (folder / "data.json").write_text(json.dumps(RESULTS))
    return folder


@pytest.fixture
def cold(initialised: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC repository with the three stages, as the current folder."""
    folder = tmp_path / "repo"
    shutil.copytree(initialised, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in (alert.URLS, stage_run.OUTCOME, processes.PARENT):
        monkeypatch.delenv(name, raising=False)
    declare()
    return folder


@pytest.fixture
def repo(cold: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, where a flow's processes are warm (warm.py): not for tests that kill them."""
    if sys.platform == "linux":
        monkeypatch.setattr(sys, "executable", str(warm.python()))
        monkeypatch.setenv(warm.PLACE, str(warm.python().with_name("socket")))
    return cold


def declare(stages: dict[str, Any] = STAGES, **options: dict[str, Any]) -> None:
    """Write dvc.yaml, with these options of Prefect for the stages that they name."""
    with_meta = {
        name: each | ({"meta": {"prefect": options[name]}} if name in options else {}) for name, each in stages.items()
    }
    Path("dvc.yaml").write_text(yaml.safe_dump({"stages": with_meta}, sort_keys=False))


@dataclass
class Ended:
    code: int
    run: FlowRun
    tasks: list[TaskRun]  # in the order in which they began

    @property
    def states(self) -> list[tuple[str, str | None]]:
        return [(task.name, task.state_name) for task in self.tasks]


def run_flow(tasks: int) -> Ended:
    """Run the flow as `python -m flows.pipeline` does, and return what the server knows of it and its tasks."""
    code = CliRunner().invoke(pipeline.main).exit_code
    with get_client(sync_client=True) as client:
        (run,) = client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)

        def all_ended() -> list[TaskRun] | None:  # their events reach the server after the flow's end
            this = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
            found = client.read_task_runs(flow_run_filter=this, sort=TaskRunSort.NAME_ASC, limit=100)
            ended = [task for task in found if task.state and task.state.is_final()]
            return ended if len(ended) == tasks else None

        return Ended(code, run, sorted(until(all_ended), key=lambda each: str(each.start_time)))


def until(ask: Callable[[], Any]) -> Any:
    """Return the first answer that is neither None nor False."""
    for _ in range(300):
        if (answer := ask()) not in (None, False):
            return answer
        time.sleep(0.2)
    raise AssertionError("it did not happen within a minute")


def does(name: str, *lines: str) -> None:
    Path(f"{name}.does").write_text("\n".join(lines))


@pytest.fixture
def start_flow(cold: Path, server: str) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Start the flow in a process of its own, whose stage `validate` sleeps; return when it does.

    The environment is the poorest: no virtual environment on the path, and a shell that waits for its command.
    """
    declare({"validate": STAGES["validate"]})
    does("validate", "Path('began').touch(); time.sleep(600)")
    poor = os.environ | {"PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "PREFECT_API_URL": PREFECT_API_URL.value() or ""}
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        # A background job of a shell has SIGINT ignored, and a child of it too.
        signals = signal.signal(signal.SIGINT, signal.default_int_handler)
        started.append(subprocess.Popen([sys.executable, "-m", "flows.pipeline"], env=poor))
        signal.signal(signal.SIGINT, signals)
        until(lambda: Path("began").exists() or started[0].poll() is not None)
        assert Path("began").exists()
        return started[0]

    yield start
    for process in started:
        process.kill()
        process.wait()
