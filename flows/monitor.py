"""Looks at new images without labels; when they are unlike the approved ones, people are told, and an event starts a
retraining.

A run ends as Completed, its message saying what was found, as Skipped where there were too few images, or as Failed.
"""

import json
import sys
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.states import Completed, Failed

from assay.errors import AssayError
from assay.inference.monitoring import look as looks
from assay.operations import messages, outbox
from flows import child
from flows.server import reconcile
from flows.server.tell import flush, tell

DRIFT = "assay.drift.found"
NAMED = 3  # of what moved, in the name of the retraining
ASKED = "asked: drift:"  # the cause under which the outbox knows that a retraining was asked for


@flow(persist_result=False, on_failure=[reconcile.tell_failure], on_crashed=[reconcile.tell_crash])
def monitor(source: str, ref: str = "main") -> State[None]:
    """Return how it ended; `source`: folder:PATH or table:PATH, `ref`: whose data/approved.json counts."""
    flush()
    try:
        found = look(source, ref)
    except AssayError as error:
        tell(messages.unmonitored(str(error)))
        return Failed(message=str(error).splitlines()[0])
    for over in ("monitor:", "crashed: monitor:"):
        outbox.forget(over)
    if found["report"] is None:
        return Completed(name="Skipped", message=found["lines"][0])
    report = Path(found["report"])
    _show(found, report)
    if found["moved"]:
        tell(messages.drifted(found["moved"], found["lines"], found["images"], report))
        asked = _ask(found)
    else:
        asked = ""
        for over in ("drift:", ASKED):
            outbox.forget(over)
    looks.remember(source, report)
    what = f"drift of {', '.join(found['moved'])}" if found["moved"] else "no drift"
    return Completed(message=f"{found['n_images']:,} images: {what}{asked}")


def look(source: str, ref: str) -> dict[str, Any]:
    """Return what a look found, as `assay.monitor.Look` has it; in a process of its own."""
    if not source:
        raise AssayError("monitor: no source is named (prefect.yaml: monitor/new-images: parameters.source)")
    command = (sys.executable, "-m", "assay.inference.monitoring.look", source, ref)
    code, said, last = child.run("flows.child", *command, folder=Path(), log=get_run_logger())
    if code:
        words = last[-1:] if any(line.startswith("  File ") for line in last) else last  # of a traceback, the error
        raise AssayError("\n".join(words) or f"monitor: its process ended with {code}")
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def _ask(found: dict[str, Any]) -> str:
    """Ask for a retraining, once a day for one cause, and return how to say it."""
    names = ", ".join(found["moved"])
    more = len(found["moved"]) - NAMED
    shown = ", ".join(found["moved"][:NAMED]) + (f" and {more} more" if more > 0 else "")
    if outbox.note(f"{ASKED} {names}")[0] is None:
        return "; a retraining was asked for before"
    emit_event(
        DRIFT,
        resource={"prefect.resource.id": "assay.monitor", "prefect.resource.name": names},
        payload={"reason": f"drift: {shown}", "said": found["lines"], "report": found["report"]},
    )
    return "; a retraining was asked for"


def _show(found: dict[str, Any], report: Path) -> None:
    lines = "\n".join(f"- {line}" for line in found["lines"]) or "No drift."
    page = f"# {found['n_images']:,} new images\n\n{lines}\n\nReport: `{(report / 'index.html').absolute()}`"
    create_markdown_artifact(key="drift", markdown=page, description="New images beside the approved ones.")
