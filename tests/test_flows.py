"""The flow in throwaway DVC repositories: three tiny stages, a real Prefect server, real processes."""

import fcntl
import json
import logging
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
from urllib.request import urlopen

import psutil
import pytest
import yaml
from click.testing import CliRunner
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import FlowRun, TaskRun
from prefect.client.schemas.sorting import FlowRunSort, TaskRunSort
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.testing.utilities import prefect_test_harness
from test_alert import receiving

from assay import alert, stage
from assay.errors import AssayError
from flows import dag, pipeline, show

ROOT = Path(__file__).parent.parent

# Copies its input; before that it does what a file, of which DVC knows nothing, tells it.
STEP = """
import os, sys, time
from pathlib import Path
from assay import stage
from assay.errors import AssayError, GateClosed

name, source, out = sys.argv[1:]

def main(p):
    print("working on", name)
    if (does := Path(f"{name}.does")).exists():
        exec(does.read_text())
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Path(out).write_text(Path(source).read_text())
    Path(f"{name}.json").write_text('{"share": {"cat": 0.5}}')

stage.run(name, main)
"""


def step(name: str, source: str, out: str, outs: str | None = None) -> dict[str, Any]:
    return {
        "cmd": f"python step.py {name} {source} {out}",
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
ORDER = ["validate", "gate", "train"]
RESULTS = {
    "passed": False,
    "n_images": 1797,
    "quarantine": {"n_images": 0, "limit": 0.01, "share": 0, "paths": []},
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
def server() -> Iterator[None]:
    """One Prefect server for all of these tests."""
    # Each run would wait up to a second for the thread that sends heartbeats.
    with (
        prefect_test_harness(server_startup_timeout=120),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        EventsWorker.drain_all()  # that of another server goes on sending to it
        yield


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
def repo(initialised: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC repository with the three stages, as the current folder."""
    folder = tmp_path / "repo"
    shutil.copytree(initialised, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in (alert.URLS, stage.OUTCOME, stage.PARENT):
        monkeypatch.delenv(name, raising=False)
    declare()
    return folder


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


def artifact(key: str) -> str:
    """Return what the server shows under the key."""
    with urlopen(f"{PREFECT_API_URL.value()}/artifacts/{key}/latest") as answer:
        data: str = json.load(answer)["data"]
    return data


def metrics() -> list[tuple[str, str, Any]]:
    return [(row["stage"], row["metric"], row["value"]) for row in json.loads(artifact("metrics"))]


def test_stages_come_in_the_order_of_this_projects_dvc_yaml(repo: Path) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, repo)
    listed = subprocess.run(
        [sys.executable, "-m", "dvc", "stage", "list", "--name-only"], capture_output=True, text=True, check=True
    )
    stages = dag.stages()
    assert [each.name for each in stages] == listed.stdout.split()
    declared = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert {each.name: each.options for each in stages} == {
        name: each["meta"]["prefect"] for name, each in declared.items()
    }


def test_stages_come_in_the_order_in_which_dvc_repro_runs_them(repo: Path) -> None:
    stages = dag.stages()
    assert [each.name for each in stages] == ORDER
    assert [each.upstream for each in stages] == [(), ("validate",), ("gate",)]
    assert stages[0].metrics == (repo / "validate.json",)
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    said = subprocess.check_output([sys.executable, "-m", "dvc", "repro"], env=os.environ | {"PATH": paths}, text=True)
    assert [line.split("'")[1] for line in said.splitlines() if line.startswith("Running stage")] == ORDER


def test_tracked_data_are_no_stage(repo: Path) -> None:
    outs = [{"md5": "d41d8cd98f00b204e9800998ecf8427e", "size": 0, "hash": "md5", "path": "data.json"}]
    Path("data.json.dvc").write_text(yaml.safe_dump({"outs": outs}))
    stages = dag.stages()
    assert [each.name for each in stages] == ORDER
    assert stages[0].upstream == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"retry": 1},
            "dvc.yaml: gate: meta.prefect.retry: unknown key; "
            "known here: retries, retry_delay_seconds, tags, timeout_seconds",
        ),
        ({"retries": "two"}, "dvc.yaml: gate: meta.prefect.retries: 'two' is not a number"),
        ({"tags": "gpu"}, "dvc.yaml: gate: meta.prefect.tags: 'gpu' is not a list"),
    ],
)
def test_option_that_prefect_would_not_understand_is_named(repo: Path, options: dict[str, Any], message: str) -> None:
    declare(gate=options)
    with pytest.raises(AssayError) as raised:
        dag.stages()
    assert str(raised.value) == message


def test_dvc_yaml_that_dvc_cannot_read_is_an_error_of_one_line_and_an_alert(
    repo: Path, server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("dvc.yaml").write_text("stages: {gate: {deps: [a]}}")
    with receiving() as (url, received):
        monkeypatch.setenv(alert.URLS, url)
        ended = run_flow(tasks=0)
    assert (ended.code, ended.run.state_name) == (1, "Failed")
    assert ended.run.state and (ended.run.state.message or "").startswith("dvc.yaml: ")
    assert [each["title"] for each in received] == ["Assay: the pipeline cannot start"]


def test_stages_run_then_are_skipped_then_restored(repo: Path, server: None) -> None:
    declare(train={"tags": ["gpu"]})
    ended = run_flow(tasks=3)
    assert (ended.code, ended.run.state_name) == (0, "Completed")
    assert ended.states == [(name, "Completed") for name in ORDER]
    first, second, third = ended.tasks
    assert [[str(each.id) for each in task.task_inputs.get("wait_for", [])] for task in ended.tasks] == [
        [],
        [str(first.id)],
        [str(second.id)],
    ]
    assert ("gpu" in second.tags, "gpu" in third.tags) == (False, True)
    assert Path("model").read_text() == Path("data.json").read_text()

    assert run_flow(tasks=3).states == [(name, "Skipped") for name in ORDER]
    assert metrics() == [(name, "share.cat", 0.5) for name in ORDER]

    for name in ("passed", "model"):
        Path(name).unlink()
    assert run_flow(tasks=3).states == [("validate", "Skipped"), ("gate", "Restored"), ("train", "Restored")]


def test_line_of_a_stage_is_logged_while_the_stage_still_runs(repo: Path, server: None) -> None:
    declare({"validate": STAGES["validate"]})
    does("validate", "print('ready')", "end = time.time() + 60")
    with Path("validate.does").open("a") as file:
        file.write("\nwhile not Path('heard').exists(): assert time.time() < end; time.sleep(0.1)")

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == "ready":
                Path("heard").touch()

    listener = Listener()
    logging.getLogger("prefect.task_runs").addHandler(listener)
    try:
        assert run_flow(tasks=1).states == [("validate", "Completed")]
    finally:
        logging.getLogger("prefect.task_runs").removeHandler(listener)


def test_closed_gate_is_a_rejection_that_is_not_tried_again(
    repo: Path, server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_flow(tasks=3)  # leaves metrics of `train`, which the second run must not show
    declare(gate={"retries": 2})
    Path("data.json").write_text(json.dumps(RESULTS | {"n_images": 1798}))
    does("gate", "raise GateClosed('closed by 1 critical expectation\\nsize: 2 images are too small')")
    does("validate", "Path(out).parent.mkdir(parents=True)", "Path(out).with_name('index.html').touch()")
    with receiving() as (url, received):
        monkeypatch.setenv(alert.URLS, url)
        ended = run_flow(tasks=2)
    assert (ended.code, ended.run.state_name, ended.run.state_type) == (3, "Rejected", "FAILED")
    assert ended.run.state and ended.run.state.message == "gate: closed by 1 critical expectation"
    assert ended.states == [("validate", "Completed"), ("gate", "Rejected")]
    assert ended.tasks[1].run_count == 1
    assert "1798" not in Path("model").read_text()
    (told,) = received
    assert told["title"] == "Assay: gate rejected the data"
    assert told["message"].startswith(
        "gate: closed by 1 critical expectation\nsize: 2 images are too small\n"
        "Images:\n1. cat/0012.png\n2. dog/0007.png\n\nWhat to do: mend or remove the images"
    )
    assert metrics() == [("validate", "share.cat", 0.5), ("gate", "", "failed"), ("train", "", "not run")]
    page = Path("reports/validation/index.html").absolute()
    assert artifact("gate").splitlines() == [
        "# The gate is closed",
        "",
        "1,798 images, 1 failed expectation",
        "",
        *show.TABLE.splitlines(),
        "| critical | size: 2 images are too small | 2 | 0 | cat/0012.png, dog/0007.png |",
        "",
        f"Report: [{page}]({page.as_uri()})",
    ]
    assert told["message"].endswith(f"Report: {page}")


def test_failed_stage_is_tried_again_and_then_told_once_with_its_reason(
    repo: Path, server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(validate={"retries": 1, "retry_delay_seconds": 0.1})
    does("validate", "raise ValueError('the disk is on fire')")
    with receiving() as (url, received):
        monkeypatch.setenv(alert.URLS, url)
        ended = run_flow(tasks=1)
    assert (ended.code, ended.run.state_name) == (1, "Failed")
    assert ended.run.state and ended.run.state.message == "validate: ValueError: the disk is on fire"
    assert ended.states == [("validate", "Failed")]
    assert ended.tasks[0].run_count == 2
    (told,) = received
    assert told["title"] == "Assay: validate failed"
    assert told["message"].startswith("validate: ValueError: the disk is on fire\nTraceback")
    assert artifact("gate") == "The data were not validated."


def test_stage_that_succeeds_at_the_second_try_alerts_nobody(
    repo: Path, server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare({"validate": STAGES["validate"]}, validate={"retries": 1})
    does("validate", "if not Path('tried').exists(): Path('tried').touch(); raise AssayError('the network is down')")
    with receiving() as (url, received):
        monkeypatch.setenv(alert.URLS, url)
        ended = run_flow(tasks=1)
    assert (ended.code, ended.tasks[0].run_count, received) == (0, 2, [])


def test_killed_stage_and_misused_dvc_are_told_by_the_flow(
    repo: Path, server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare({"validate": STAGES["validate"]})
    does("validate", "os.kill(os.getpid(), 9)")
    with receiving() as (url, received):
        monkeypatch.setenv(alert.URLS, url)
        assert run_flow(tasks=1).states == [("validate", "Failed")]
        assert "exited with -9" in received[0]["message"]

        declare({"validate": STAGES["validate"]}, validate={"retries": 2})
        Path("data.json").unlink()
        ended = run_flow(tasks=1)
        assert (ended.code, ended.states, ended.tasks[0].run_count) == (1, [("validate", "Refused")], 1)
        assert "data.json" in received[1]["message"]
    assert [each["title"] for each in received] == ["Assay: validate failed"] * 2


def test_time_out_kills_the_stage(repo: Path, server: None, monkeypatch: pytest.MonkeyPatch) -> None:
    declare({"validate": STAGES["validate"]}, validate={"timeout_seconds": 8})
    does("validate", "Path('began').touch(); time.sleep(600)")
    with receiving() as (url, received):
        monkeypatch.setenv(alert.URLS, url)
        ended = run_flow(tasks=1)
    assert (ended.code, ended.states) == (1, [("validate", "TimedOut")])
    assert Path("began").exists()
    until(lambda: processes_in(repo) == [])
    (told,) = received
    assert told["message"].startswith("validate: Task run exceeded timeout of 8.0 second(s)\n\nWhat to do:")


def processes_in(folder: Path) -> list[int]:
    """Return the living processes, other than this one, that work in the folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(folder):
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


@pytest.fixture
def start_flow(repo: Path, server: None) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
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


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_killed_flow_leaves_no_process_of_its_stage_and_no_lock(
    number: signal.Signals, start_flow: Callable[[], subprocess.Popen[bytes]], repo: Path
) -> None:
    process = start_flow()
    assert len(processes_in(repo)) == 3  # the flow, its child and the stage, and no shell between
    process.send_signal(number)
    assert process.wait() != 0
    until(lambda: processes_in(repo) == [])
    with Path(".dvc/tmp/retrain.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_second_flow_in_a_checkout_is_skipped_and_says_why(
    start_flow: Callable[[], subprocess.Popen[bytes]], repo: Path
) -> None:
    first = start_flow()
    second = run_flow(tasks=0)
    assert (second.code, second.run.state_name, second.run.state_type) == (0, "Skipped", "COMPLETED")
    assert second.run.state and "another run has this checkout" in (second.run.state.message or "")
    assert first.poll() is None


def test_server_that_does_not_answer_is_an_error_of_one_line(repo: Path) -> None:
    dead = os.environ | {"PREFECT_API_URL": "http://127.0.0.1:1/api", "PREFECT_HOME": str(repo / ".prefect")}
    done = subprocess.run([sys.executable, "-m", "flows.pipeline"], env=dead, capture_output=True, text=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "http://127.0.0.1:1/api does not answer (PREFECT_API_URL)" in done.stderr
