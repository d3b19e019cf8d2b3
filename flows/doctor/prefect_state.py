"""What `assay doctor` asks Prefect's server: will it start the next run, and tell people should that be lost?"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId, FlowRunFilter
from prefect.client.schemas.filters import FlowRunFilterState as StateFilter
from prefect.client.schemas.filters import FlowRunFilterStateType as StateTypeFilter
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import AutomationSort, FlowRunSort
from prefect.settings import PREFECT_API_URL

from assay.errors import AssayError
from assay.versions import lock
from assay.words import counted
from flows.doctor.answer import Answer
from flows.server import api, automations, deployments, reconcile

OVERDUE = timedelta(minutes=10)
SETTLES = timedelta(minutes=2)  # in which the server's scheduler, once a minute, finds a new schedule
FILESYSTEM = "prefect.server.concurrency.lease_storage.filesystem"


def prefect() -> Iterator[Answer]:
    """Server, schedule, runs, slots and automations."""
    url = PREFECT_API_URL.value()
    if not url:
        yield Answer(subject="server", seen="none is named", todo="export PREFECT_API_URL=http://127.0.0.1:4200/api")
        return
    try:
        api.check()
    except AssayError as error:
        yield Answer(subject="server", seen=str(error), todo="start it: make server, or systemctl restart assay-server")
        return
    yield Answer(subject="server", seen=f"{url} answers")
    with get_client(sync_client=True) as client:
        yield _leases(client)
        yield from _deployments(client)
        yield _runs(client)
        there = {each.name for each in client.read_automations(sort=AutomationSort.NAME_ASC, limit=200) if each.enabled}
    missing = sorted(automations.names() - there)
    seen = f"missing or off: {', '.join(missing)}" if missing else f"{len(automations.names())} in place"
    yield Answer(
        subject="automations",
        seen=seen,
        todo="restart `assay serve-flows`, with the same ASSAY_ALERT_URLS" if missing else "",
    )


def _leases(client: Any) -> Answer:
    """Does the server keep slots where a restart of it finds them?"""
    said = client.request("GET", "/admin/settings").json()
    storage = str(said["server"]["concurrency"]["lease_storage"])
    todo = "" if storage == FILESYSTEM else "start the server in this folder, whose prefect.toml sets it"
    return Answer(subject="leases", seen=storage.rpartition(".")[2], todo=todo)


def _deployments(client: Any) -> Iterator[Answer]:
    """Is what is declared there and scheduled, and nothing else?"""
    try:
        declared = deployments.read()
    except AssayError:
        return  # the doctor's question about prefect.yaml says it
    for each in declared:
        yield from _deployment(client, each)
    for name in api.left([each.name for each in declared]):
        yield Answer(subject=name, seen=api.LEFT, todo=api.removal(name))


def _deployment(client: Any, each: deployments.Deployment) -> Iterator[Answer]:
    """Is it there, is its schedule on, is its next run really scheduled, and was none missed?"""
    restart = "restart `assay serve-flows`"
    try:
        there = client.read_deployment_by_name(each.name)
    except Exception:
        yield Answer(subject=each.name, seen="not on the server", todo=restart)
        return
    if not each.declared.get("schedules"):
        yield Answer(subject=each.name, seen="by hand")
        return
    if there.paused or not any(schedule.active for schedule in there.schedules):
        yield Answer(subject=each.name, seen="its schedule is paused", todo=restart)
        return
    waiting = client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[there.id])),
        flow_run_filter=FlowRunFilter(state=StateFilter(type=StateTypeFilter(any_=[StateType.SCHEDULED]))),
        sort=FlowRunSort.EXPECTED_START_TIME_ASC,
        limit=50,
    )
    times = [run.expected_start_time for run in waiting if run.expected_start_time]
    now = datetime.now(UTC)
    if late := [time for time in times if time < now - OVERDUE]:
        yield Answer(
            subject=each.name,
            seen=f"{counted(len(late), 'run')} overdue, the first since {late[0]:%F %H:%M} UTC",
            todo=restart,
        )
    elif not times and max(schedule.created for schedule in there.schedules) > now - SETTLES:
        yield Answer(subject=each.name, seen="no run is scheduled yet: it was set up a moment ago")
    elif not times:
        yield Answer(
            subject=each.name, seen="no run is scheduled", todo="restart the server, and look into its log for errors"
        )
    else:
        yield Answer(subject=each.name, seen=f"next at {times[0]:%F %H:%M} UTC")


def _runs(client: Any) -> Answer:
    """Are runs marked as running that are not, or slots held by nobody?"""
    dead = reconcile.dead_runs(client)
    limits = client.read_global_concurrency_limits(limit=200, offset=0)
    held = {limit.name: limit.active_slots for limit in limits if limit.active_slots}
    if held and not dead and not lock.holder():
        return Answer(
            subject="runs",
            seen=f"{', '.join(f'{n} of {name}' for name, n in held.items())}: slots that are held, and nothing runs",
            todo="; ".join(f"prefect gcl update {name} --active-slots 0" for name in held),
        )
    seen = (
        f"{', '.join(run.name for run in dead)}: running by the server, without a process" if dead else "none is dead"
    )
    return Answer(subject="runs", seen=seen, todo="restart `assay serve-flows`, which closes them" if dead else "")
