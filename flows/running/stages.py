"""The stages of dvc.yaml as Prefect tasks, in any checkout.

DVC decides what is out of date; Prefect shows it, tries again and ends what takes too long. One stage is one task run.
Stages run one after the other in the main thread: DVC is not safe in threads, and only there a time-out can interrupt.
"""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from assay import files, params
from assay.errors import AssayError, GateClosed
from assay.operations import alert, messages, outbox
from assay.validation import gate
from flows import child, reproduce
from flows.running import dag
from flows.server import api

GATE = "gate"
PATIENCE_S = 3600  # for a server that is away between two stages; a training does not need it
Ends = dict[str, State[Any]]  # of the stages that were reached, in their order


def _is_news(record: logging.LogRecord) -> bool:
    """Return False for the traceback of a returned state, a time-out and an error of ours; the next line says it."""
    error = record.exc_info[0] if record.exc_info else Exception
    return error is not None and not issubclass(error, TimeoutError | AssayError)


logging.getLogger("prefect.task_runs").addFilter(_is_news)


def run(stages: list[dag.Stage], folder: Path, ask_again: Callable[[str, State[Any]], bool] = lambda *_: False) -> Ends:
    """Run the stages until one ends badly, as `dvc repro` does; `ask_again` says whether that one is to be repeated.

    Raises `AssayError` if Prefect's server is away between two of them, and stays away.
    """
    ends: Ends = {}
    for each in stages:
        api.wait(PATIENCE_S)  # Prefect asks it for the slots of the stage's tags
        run = reproduce_stage.with_options(name=each.name, task_run_name=each.name, **each.options)
        while True:
            end = run(each.name, folder, return_state=True, wait_for=[ends[up] for up in each.upstream if up in ends])
            if end.is_completed() or not ask_again(each.name, end):
                break
        ends[each.name] = end
        if not end.is_completed():
            break
        outbox.forget(f"{each.name}:")
    api.wait(PATIENCE_S)  # what comes now is shown there
    return ends


def _worth_another_try(task: Any, run: Any, end: State[Any]) -> bool:
    return end.name == "Failed"  # a closed gate and a misuse of DVC would end the same way again


@task(cache_policy=NO_CACHE, persist_result=False, retry_condition_fn=_worth_another_try)
def reproduce_stage(name: str, folder: Path) -> State[Any]:
    """Return how it ended; the first line of the stage's own words is the reason of a bad end."""
    end = _reproduce(name, folder)
    api.wait(PATIENCE_S)  # which takes the slots of the stage's tags back as soon as this returns, or fails the run
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


def _reproduce(name: str, folder: Path) -> dict[str, Any]:
    """Return the last word of `flows.reproduce`; no process of it is left behind."""
    # An older one, should the child die before it can do this.
    (folder / reproduce.OUTCOME).unlink(missing_ok=True)
    code, said, last = child.run("flows.reproduce", name, folder=folder, log=get_run_logger())
    end: dict[str, Any] = {"state": "failed", "exit_code": 1}
    end |= json.loads(said) if said else {"message": f"{name}: DVC's process ended without a word ({code})"}
    if end["state"] == "failed" and not (folder / reproduce.OUTCOME).exists() and last:
        end["message"] += f"; the last line before: {last[-1].removeprefix(f'{name}: ')}"
    return end


def bad_end(ends: Ends, folder: Path, kept: Path | None = None) -> alert.Alert | None:
    """Return what to tell of a stage that ended badly: all that it said, or what is known if it could not say anything.

    `kept`: where the reports stay, if not in the folder.
    """
    name, end = last(ends)
    if end.is_completed():
        return None
    code = files.read_json(folder / reproduce.OUTCOME)["exit_code"] if (folder / reproduce.OUTCOME).exists() else 1
    return messages.of_stage(name, code, words(name, end, folder), folder, kept)


def set_aside(ends: Ends, folder: Path, kept: Path | None = None) -> alert.Alert | None:
    """Return what to tell of images that the gate, if it ran, sets aside; `kept` as for `bad_end`."""
    if GATE not in ends or ends[GATE].message != "ran":
        return None
    validation = params.load(folder / params.FILE).paths.validation
    report = kept / validation.name if kept else folder / validation
    found = files.read_json(report / "results.json")
    told = gate.set_aside(found)
    return messages.set_aside(told, gate.images_set_aside(found), report / "index.html", folder) if told else None


def words(name: str, end: State[Any], folder: Path) -> str:
    """Return all that a stage of the folder said of its bad end, or what is known if it could not say anything."""
    outcome = folder / reproduce.OUTCOME
    said: str = files.read_json(outcome)["message"] if outcome.exists() else ""
    return said or f"{name}: {end.message}"


def last(ends: Ends) -> tuple[str, State[Any]]:
    """Return the last stage that was reached, and how it ended."""
    return next(reversed(ends.items()), ("", Completed()))


def end(stages: list[dag.Stage], ends: Ends) -> State[Any]:
    """Return the state of the run, its summary logged."""
    said = {each.name: ends[each.name].message if each.name in ends else "not run" for each in stages}
    width = max(map(len, said), default=0)
    get_run_logger().info("%s", "\n".join(["summary", *(f"  {name:<{width}}  {word}" for name, word in said.items())]))
    name, bad = last(ends)
    if bad.is_completed():
        return Completed(message=f"{len(ends)} stages are up to date")
    word = "Rejected" if bad.name == "Rejected" else "Failed"
    return Failed(name=word, message=f"{name}: {bad.message}")


def is_done(each: dag.Stage, ends: Ends) -> bool:
    return each.name in ends and ends[each.name].is_completed()
