"""Serves the deployments of prefect.yaml on this machine: `assay serve-flows`, beside `prefect server start`."""

import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

os.environ.setdefault("DO_NOT_TRACK", "1")  # Prefect asks for it while it is imported

from prefect import get_client, serve
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId, FlowRunFilter
from prefect.client.schemas.filters import FlowRunFilterState as StateFilter
from prefect.client.schemas.filters import FlowRunFilterStateType as StateTypeFilter
from prefect.client.schemas.objects import State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed

from assay.errors import AssayError
from assay.operations import stage_run
from flows import child
from flows.server import api, automations, deployments, reconcile

PATIENCE_S = 120  # for a server that starts at the same time

log = logging.getLogger("assay.serve")


def wait_for_server() -> None:
    """Return when the server answers; raises `AssayError` if it does not in time, or none is named."""
    if not PREFECT_API_URL.value():
        raise AssayError("serve-flows: no server; `export PREFECT_API_URL=http://127.0.0.1:4200/api`")
    api.wait(PATIENCE_S)


def collapse(deployment: Any) -> int:
    """Mark all runs that were missed but the newest as skipped, and return how many those are."""
    with get_client(sync_client=True) as client:
        waiting = client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment])),
            flow_run_filter=FlowRunFilter(state=StateFilter(type=StateTypeFilter(any_=[StateType.SCHEDULED]))),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
            limit=200,
        )
        now = datetime.now(UTC)
        missed = [
            run for run in waiting if run.auto_scheduled and run.expected_start_time and run.expected_start_time < now
        ]
        for run in missed[1:]:
            skipped: State[Any] = Completed(name="Skipped", message="missed; the newest missed run runs in its place")
            client.set_flow_run_state(run.id, skipped, force=True)
    return len(missed[1:])


@click.command()
def main() -> None:
    """Run what prefect.yaml declares when it is due, until this process is ended. Needs PREFECT_API_URL."""
    try:
        if not stage_run.PIPELINE.exists():
            raise AssayError(f"serve-flows: {Path.cwd()} holds no {stage_run.PIPELINE}")
        wait_for_server()
        declared = {each.name: deployments.served(each) for each in deployments.read()}
        known = {name: deployment.apply() for name, deployment in declared.items()}
        if automations.RETRAIN not in known:
            raise AssayError(f"{deployments.FILE}: declares no {automations.RETRAIN}")
        automations.set_up(known[automations.RETRAIN])
        for name in reconcile.close_dead_runs():
            log.warning("%s had no process any more: crashed", name)
        for name in api.left(known):
            log.warning("%s: %s; `%s`", name, api.LEFT, api.removal(name))
        for name, each in known.items():
            if skipped := collapse(each):
                log.warning("%s: %d missed runs became one", name, skipped + 1)
    except AssayError as error:
        sys.exit(str(error))
    os.environ[child.SERVED] = str(os.getpid())
    # A paused schedule that nobody un-pauses is a retraining that silently never comes again.
    serve(*declared.values(), pause_on_shutdown=False)


if __name__ == "__main__":
    main()
