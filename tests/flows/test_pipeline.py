"""The flow in throwaway DVC repositories: three tiny stages, a real Prefect server, real processes."""

import fcntl
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
import pytest
import yaml
from prefect.settings import PREFECT_API_URL
from receiver import receiving
from toy_flows import RESULTS, ROOT, STAGES, cold, declare, does, initialised, repo, run_flow, start_flow, until

from assay.errors import AssayError
from assay.operations import alert
from flows.running import dag, show

pytestmark = pytest.mark.slow  # whole runs, each of many processes

__all__ = ["cold", "initialised", "repo", "start_flow"]  # fixtures
ORDER = ["validate", "gate", "train"]


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
    repo: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("dvc.yaml").write_text("stages: {gate: {deps: [a]}}")
    with receiving() as (url, received):
        monkeypatch.setenv(alert.URLS, url)
        ended = run_flow(tasks=0)
    assert (ended.code, ended.run.state_name) == (1, "Failed")
    assert ended.run.state and (ended.run.state.message or "").startswith("dvc.yaml: ")
    assert [each["title"] for each in received] == ["Assay: the pipeline cannot start"]


def test_stages_run_then_are_skipped_then_restored(repo: Path, server: str) -> None:
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


def test_line_of_a_stage_is_logged_while_the_stage_still_runs(repo: Path, server: str) -> None:
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
    repo: Path, server: str, monkeypatch: pytest.MonkeyPatch
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
        "| critical | size: 2 \\| images are too small | 2 | 0 | cat/0012.png, dog/0007.png |",
        "",
        f"Report: [{page}]({page.as_uri()})",
    ]
    assert told["message"].endswith(f"Report: {page}")


def test_failed_stage_is_tried_again_and_then_told_once_with_its_reason(
    repo: Path, server: str, monkeypatch: pytest.MonkeyPatch
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
    repo: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare({"validate": STAGES["validate"]}, validate={"retries": 1})
    does("validate", "if not Path('tried').exists(): Path('tried').touch(); raise AssayError('the network is down')")
    with receiving() as (url, received):
        monkeypatch.setenv(alert.URLS, url)
        ended = run_flow(tasks=1)
    assert (ended.code, ended.tasks[0].run_count, received) == (0, 2, [])


def test_killed_stage_and_misused_dvc_are_told_by_the_flow(
    repo: Path, server: str, monkeypatch: pytest.MonkeyPatch
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


def test_time_out_kills_the_stage(cold: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    declare({"validate": STAGES["validate"]}, validate={"timeout_seconds": 8})
    does("validate", "Path('began').touch(); time.sleep(600)")
    with receiving() as (url, received):
        monkeypatch.setenv(alert.URLS, url)
        ended = run_flow(tasks=1)
    assert (ended.code, ended.states) == (1, [("validate", "TimedOut")])
    assert Path("began").exists()
    until(lambda: processes_in(cold) == [])
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


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_flow_leaves_no_process_of_its_stage_and_no_lock(
    number: signal.Signals, start_flow: Callable[[], subprocess.Popen[bytes]], cold: Path
) -> None:
    process = start_flow()
    assert len(processes_in(cold)) == 3  # the flow, its child and the stage, and no shell between
    process.send_signal(number)
    assert process.wait() != 0
    until(lambda: processes_in(cold) == [])
    with Path(".dvc/tmp/retrain.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_second_flow_in_a_checkout_is_skipped_and_says_why(
    start_flow: Callable[[], subprocess.Popen[bytes]], cold: Path
) -> None:
    first = start_flow()
    second = run_flow(tasks=0)
    assert (second.code, second.run.state_name, second.run.state_type) == (0, "Skipped", "COMPLETED")
    assert second.run.state and "another run has this checkout" in (second.run.state.message or "")
    assert first.poll() is None


def test_server_that_does_not_answer_is_an_error_of_one_line(cold: Path) -> None:
    dead = os.environ | {"PREFECT_API_URL": "http://127.0.0.1:1/api", "PREFECT_HOME": str(cold / ".prefect")}
    done = subprocess.run([sys.executable, "-m", "flows.pipeline"], env=dead, capture_output=True, text=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "http://127.0.0.1:1/api does not answer (PREFECT_API_URL)" in done.stderr
