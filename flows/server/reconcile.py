"""Runs that ended without a word: marked as crashed and told, by whoever comes next."""

import logging
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import Flow, get_client, runtime
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterTags,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.filters import FlowRunFilterState as StateFilter
from prefect.client.schemas.filters import FlowRunFilterStateType as StateTypeFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Crashed

from assay.operations import messages
from assay.versions import lock
from flows.server.tell import tell

FLOW = "retrain"
UNFORESEEN = ("Flow run encountered an exception", "Validation of flow parameters failed")  # Prefect's words
UNFINISHED = [StateType.RUNNING, StateType.CANCELLING]  # a run signs when it is running

log = logging.getLogger(__name__)


def here() -> str:
    """Return the tag of the runs of this checkout: a server may know several, and the lock is of this one."""
    return f"{socket.gethostname()}:{Path.cwd()}"


def sign() -> None:
    """Tag the run that we are in with the checkout that it works for."""
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(UUID(str(runtime.flow_run.id)))
        client.update_flow_run(run.id, tags={*run.tags, here()})


def close_dead_runs() -> list[str]:
    """Mark every retraining as crashed that is not finished and has no living process; return their names.

    There is one at a time, and it holds the lock of this checkout: all others of it are dead. Without this a power cut
    leaves them running for ever.
    """
    message = "its process is gone: the machine or what serves it was stopped"
    with get_client(sync_client=True) as client:
        dead = dead_runs(client)
        for run in dead:
            client.set_flow_run_state(run.id, Crashed(message=message), force=True)
            _end_tasks(client, run, message)
            tell(messages.crashed(FLOW, run.name, message))
    return [run.name for run in dead]


def _end_tasks(client: Any, run: FlowRun, message: str) -> None:
    """Mark the tasks of a dead run as crashed too: else they run for ever, and hold slots until a lease ends."""
    running = TaskRunFilterState(type=TaskRunFilterStateType(any_=UNFINISHED))
    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
    for each in client.read_task_runs(flow_run_filter=of_run, task_run_filter=TaskRunFilter(state=running)):
        client.set_task_run_state(each.id, Crashed(message=message), force=True)


def dead_runs(client: Any) -> list[FlowRun]:
    """Return the retrainings that are not finished, by the server, and have no living process here."""
    held = lock.holder() or {"holder": ""}
    alive = {held["holder"], str(runtime.flow_run.id)}
    runs = client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[FLOW])),
        flow_run_filter=FlowRunFilter(
            state=StateFilter(type=StateTypeFilter(any_=UNFINISHED)), tags=FlowRunFilterTags(all_=[here()])
        ),
        sort=FlowRunSort.START_TIME_DESC,
        limit=200,
    )
    return [run for run in runs if str(run.id) not in alive]


def tell_failure(flow: Flow[Any, Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Tell people of a failure that the flow itself did not foresee. A hook: Prefect gives these names."""
    if state.name == "Failed" and (state.message or "").startswith(UNFORESEEN):
        tell(messages.crashed(flow.name, flow_run.name, state.message or "it failed"))


def tell_crash(flow: Flow[Any, Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Tell people that the process of a run ended before its time. Runs where the deployment is served."""
    message = state.message or "its process ended"
    with suppress(Exception):
        tell(messages.crashed(flow.name, flow_run.name, message))
    with suppress(Exception), get_client(sync_client=True) as client:
        _end_tasks(client, flow_run, message)
