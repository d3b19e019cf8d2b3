"""Prefect's server: does it answer, and does it start what nobody declares any more?"""

import logging
import shlex
import time
from collections.abc import Collection

import httpx
from prefect import get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.settings import PREFECT_API_URL

from assay.errors import AssayError

FLOWS = ("monitor", "promote", "retrain", "stage", "watch")  # of flows/, that a deployment may have been of
OF_EVENTS = ("prefect.events.clients", "prefect._internal.concurrency")
LEFT = "at the server, and not in prefect.yaml"

log = logging.getLogger("prefect.server")
_told: list[str] = []  # that events do not arrive, since the server last answered


def _is_news(record: logging.LogRecord) -> bool:
    """Let a server that is away be one line: events that do not arrive, and a request that fails without traceback."""
    if record.name in OF_EVENTS:
        if "EventsWorker" not in record.getMessage() and "Unable to connect" not in record.getMessage():
            return True
        if _told:
            return False
        _told.append(record.name)
        record.msg, record.args = "Prefect's server does not take events: its page shows less; the work goes on", ()
    if record.exc_info and isinstance(record.exc_info[1], httpx.TransportError):
        record.exc_info = record.exc_text = None
    return True


for each in (*OF_EVENTS, "prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(each).addFilter(_is_news)


def check() -> None:
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
    _told.clear()


def wait(seconds: float) -> None:
    """Return when the server answers; raises `AssayError` if it does not in time. It may be restarted at any moment."""
    end, told = time.monotonic() + seconds, False
    while True:
        try:
            return check()
        except AssayError as error:
            if time.monotonic() > end:
                raise
            if not told:
                log.warning("%s; waiting for it", error)
            told = True
            time.sleep(2)


def left(declared: Collection[str]) -> list[str]:
    """Return the deployments of our flows that the server starts by their schedule, and that are not declared.

    Nobody else removes them: their runs become late, for nothing serves them, and people are told.
    """
    ours = FlowFilter(name=FlowFilterName(any_=sorted({*FLOWS, *(name.partition("/")[0] for name in declared)})))
    with get_client(sync_client=True) as client:
        flows = {flow.id: flow.name for flow in client.read_flows(flow_filter=ours, limit=200)}
        there = client.read_deployments(flow_filter=ours, limit=200)
    active = [each for each in there if not each.paused and any(schedule.active for schedule in each.schedules)]
    return sorted({f"{flows[each.flow_id]}/{each.name}" for each in active} - set(declared))


def removal(name: str) -> str:
    """Return the command that removes a deployment from the server; another project may be using it."""
    return shlex.join(["prefect", "deployment", "delete", name])
