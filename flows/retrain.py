"""The pipeline of dvc.yaml as a Prefect flow: `python -m flows.retrain`, in the folder that holds dvc.yaml.

DVC decides what is out of date; Prefect shows it, tries again and ends what takes too long. One stage is one task run.
Stages run one after the other in the main thread: DVC is not safe in threads, and only there a time-out can interrupt.

A run ends as one of these states, and `python -m flows.retrain` with this exit code:

    Completed            0  every stage is up to date
    Completed (Skipped)  0  another run has this checkout
    Failed (Rejected)    3  the gate is closed
    Failed               1  anything else
"""

import fcntl
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

os.environ.setdefault("DO_NOT_TRACK", "1")  # Prefect asks for it while it is imported

from prefect import flow, get_client, get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed, Failed

from assay import alert, files, news, params, stage
from assay.errors import AssayError, GateClosed
from flows import dag, reproduce

LOCK = Path(".dvc/tmp/retrain.lock")
# What DVC advises a person at a terminal.
HINTS = (
    "To track the changes with git",
    "git add ",
    "To enable auto staging",
    "dvc config core.autostage",
    "Use `dvc push`",
)
FAILURES_SHOWN = 10  # images of each failed expectation
TABLE = "| severity | rule | seen | allowed | failing images |\n| --- | --- | --- | --- | --- |"

Ends = dict[str, State[Any]]  # of the stages that were reached, in their order


def _is_news(record: logging.LogRecord) -> bool:
    """Return False for the traceback of a returned state or of a time-out; Prefect's next line says what happened."""
    error = record.exc_info[0] if record.exc_info else Exception
    return error is not None and not issubclass(error, TimeoutError)


logging.getLogger("prefect.task_runs").addFilter(_is_news)


@flow(persist_result=False)
def retrain() -> State[Any]:
    """Return how the run ended, as in the module's docstring; a bad end was told to people."""
    try:
        p, stages = params.load(), dag.stages()
    except AssayError as error:
        alert.send(news.no_start(str(error)))
        return Failed(message=str(error))
    with _lock() as taken:
        if not taken:
            return Completed(name="Skipped", message=f"another run has this checkout ({LOCK} is locked)")
        ends = _run(stages)
        _show_metrics(stages, ends)
        _show_gate(stages, ends, p.paths.validation)
        return _end(stages, ends)


@contextmanager
def _lock() -> Iterator[bool]:
    """Yield whether this process now has the checkout; its death gives it back."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _run(stages: list[dag.Stage]) -> Ends:
    """Run the stages until one ends badly, as `dvc repro` does."""
    ends: Ends = {}
    for each in stages:
        run = reproduce_stage.with_options(name=each.name, task_run_name=each.name, **each.options)
        end = run(each.name, return_state=True, wait_for=[ends[name] for name in each.upstream])
        ends[each.name] = end
        if not end.is_completed():
            _tell(each.name, end)
            break
    return ends


def _worth_another_try(task: Any, run: Any, end: State[Any]) -> bool:
    return end.name == "Failed"  # a closed gate and a misuse of DVC would end the same way again


@task(cache_policy=NO_CACHE, persist_result=False, retry_condition_fn=_worth_another_try)
def reproduce_stage(name: str) -> State[Any]:
    """Return how it ended; the first line of the stage's own words is the reason of a bad end."""
    end = _reproduce(name)
    match end["state"], end["exit_code"]:
        case "ran", _:
            return Completed(message="ran")
        case "restored", _:
            return Completed(name="Restored", message="restored from DVC's run cache")
        case "skipped", _:
            return Completed(name="Skipped", message="up to date")
        case "refused", _:
            get_run_logger().error(end["message"])
            word = "Refused"
        case _, GateClosed.exit_code:
            word = "Rejected"
        case _:
            word = "Failed"
    return Failed(name=word, message=end["message"].splitlines()[0].removeprefix(f"{name}: "))


def _reproduce(name: str) -> dict[str, Any]:
    """Return the last word of `flows.reproduce`, its lines logged as they come; no process of it is left behind."""
    log = get_run_logger()
    reproduce.OUTCOME.unlink(missing_ok=True)  # an older one, should the child die before it can do this
    with tempfile.TemporaryFile() as answer:
        command = [sys.executable, "-m", "flows.reproduce", name]
        child = subprocess.Popen(
            command, stdout=answer, stderr=subprocess.PIPE, env=_environment(), start_new_session=True
        )
        try:
            assert child.stderr
            for line in child.stderr:
                text = line.decode(errors="replace").rstrip().rsplit("\r", 1)[-1]  # a progress bar's last word
                if text and not text.lstrip().startswith(HINTS):
                    log.info("%s", text)
            code = child.wait()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        answer.seek(0)
        said = answer.read()
    if not said:
        return {"state": "failed", "exit_code": 1, "message": f"{name}: DVC's process ended without a word ({code})"}
    end: dict[str, Any] = json.loads(said)
    return end


def _environment() -> dict[str, str]:
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
        # DVC's shell. Bash becomes a simple command instead of waiting for it; an old dash or fish would outlive DVC.
        "SHELL": shutil.which("bash") or "/bin/sh",
        stage.PARENT: str(os.getpid()),
    }


def _tell(name: str, end: State[Any]) -> None:
    """Alert people: with all that the stage said, or with what is known of a stage that could not say anything."""
    said: dict[str, Any] = {"exit_code": 1, "message": ""}
    if reproduce.OUTCOME.exists():
        said = files.read_json(reproduce.OUTCOME)
    alert.send(news.of_stage(name, said["exit_code"], said["message"] or f"{name}: {end.message}"))


def _end(stages: list[dag.Stage], ends: Ends) -> State[Any]:
    """Return the state of the run, its summary logged."""
    said = {each.name: ends[each.name].message if each.name in ends else "not run" for each in stages}
    width = max(map(len, said), default=0)
    get_run_logger().info("%s", "\n".join(["summary", *(f"  {name:<{width}}  {word}" for name, word in said.items())]))
    name, last = next(reversed(ends.items()), ("", Completed()))
    if last.is_completed():
        return Completed(message=f"{len(ends)} stages are up to date")
    word = "Rejected" if last.name == "Rejected" else "Failed"
    return Failed(name=word, message=f"{name}: {last.message}")


def _show_metrics(stages: list[dag.Stage], ends: Ends) -> None:
    """Leave the metrics as a table; the files of a stage that did not end well are those of another run."""
    rows = []
    for each in (each for each in stages if each.metrics):
        if _is_done(each, ends):
            for file in each.metrics:
                rows += [{"stage": each.name, "metric": k, "value": v} for k, v in _leaves(files.read_json(file))]
        else:
            rows.append({"stage": each.name, "metric": "", "value": "failed" if each.name in ends else "not run"})
    create_table_artifact(key="metrics", table=rows, description="What the stages of this run measured.")


def _is_done(each: dag.Stage, ends: Ends) -> bool:
    return each.name in ends and ends[each.name].is_completed()


def _leaves(content: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(content, dict):
        yield name, content
        return
    for key, value in content.items():
        yield from _leaves(value, f"{name}.{key}" if name else key)


def _show_gate(stages: list[dag.Stage], ends: Ends, validation: Path) -> None:
    """Leave the verdict on the data as a page."""
    results = validation / "results.json"
    done = any(_is_done(each, ends) for each in stages if validation.absolute() in each.outs)
    page = _gate_page(files.read_json(results)) if done and results.exists() else "The data were not validated."
    create_markdown_artifact(key="gate", markdown=page, description="Whether the data may be trained on.")


def _gate_page(results: dict[str, Any]) -> str:
    failed = [each for each in results["expectations"] if not each["success"]]
    verdict = "open" if results["passed"] else "closed"
    head = f"# The gate is {verdict}\n\n{results['n_images']:,} images, {len(failed)} failed expectations"
    return head + (f"\n\n{TABLE}\n" + "\n".join(map(_row, failed)) if failed else "")


def _row(failed: dict[str, Any]) -> str:
    names = ", ".join(failed["failures"][:FAILURES_SHOWN])
    cells = [failed["severity"], failed["message"], failed["observed"], failed["limit"], names]
    return f"| {' | '.join(' '.join(str(cell).replace('|', ' ').split()) for cell in cells)} |"


def _check_server() -> None:
    """Start Prefect's temporary server, or raise `AssayError` if the one of PREFECT_API_URL does not answer."""
    url = PREFECT_API_URL.value()
    try:
        with get_client(sync_client=True) as client:
            error = client.api_healthcheck()
    except RuntimeError as started_not:
        error = started_not
    if error:
        where = f"{url} does not answer (PREFECT_API_URL)" if url else "its temporary server does not start"
        raise AssayError(f"Prefect: {where}: {str(error).splitlines()[0]}")


@click.command()
def main() -> None:
    """Bring every stage of dvc.yaml up to date, as `dvc repro` would, and show it in Prefect.

    Exit code 0: up to date, or another run has this checkout. 3: the gate is closed. 1: a stage failed.
    """
    try:
        _check_server()
        end = retrain(return_state=True)
    except AssayError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0 if end.is_completed() else GateClosed.exit_code if end.name == "Rejected" else 1)


if __name__ == "__main__":
    main()
