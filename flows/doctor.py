"""Is everything in place for the next retraining? `assay doctor`: a line per question, exit code 1 if one is not ok.

Meant for a timer and for monitoring: it needs no run to be on, changes nothing, and with `--alert` tells people what is
wrong. Where the server answers, runs that are missing are told by its automations and only shown here.
"""

import importlib.metadata
import os
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

os.environ.setdefault("DO_NOT_TRACK", "1")  # Prefect asks for it while it is imported

from packaging.requirements import Requirement
from prefect import get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId, FlowRunFilter
from prefect.client.schemas.filters import FlowRunFilterState as StateFilter
from prefect.client.schemas.filters import FlowRunFilterStateType as StateTypeFilter
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import AutomationSort, FlowRunSort
from prefect.settings import PREFECT_API_URL

from assay import alert, disk, ending, git, lock, news, outbox, params, tracking
from assay.errors import AssayError
from flows import automations, deployments, reconcile, server

SAMPLE = 0.05  # of the cache, another part every day
OVERDUE = timedelta(minutes=10)
SETTLES = timedelta(minutes=2)  # in which the server's scheduler, once a minute, finds a new schedule
FILESYSTEM = "prefect.server.concurrency.lease_storage.filesystem"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`todo` is empty where all is well."""

    subject: str
    seen: str
    todo: str = ""


def versions() -> Iterator[Answer]:
    """The packages of pyproject.toml that others are known to break with."""
    wanted = [
        Requirement(each) for each in tomllib.loads(Path("pyproject.toml").read_text())["project"]["dependencies"]
    ]
    wrong = [
        f"{each.name} {found}, wanted {each.specifier}"
        for each in wanted
        if (found := _version(each.name)) is None or not each.specifier.contains(found, prereleases=True)
    ]
    yield Answer(
        subject="versions",
        seen=", ".join(wrong) or f"{len(wanted)} packages within their limits",
        todo="set the environment up again from requirements.lock: rm .venv/.ready && make test" if wrong else "",
    )


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def room() -> Iterator[Answer]:
    free, wanted = disk.room(Path())
    seen = f"{free:.1f} GiB free, {wanted:.1f} wanted"
    yield Answer(subject="disk", seen=seen, todo="assay clean" if free < wanted else "")


def locks() -> Iterator[Answer]:
    """Is the lock held by a living process, and can DVC's own state be read?"""
    holder = lock.holder()
    seen = f"held by process {holder['process']} ({holder['holder']})" if holder else "free"
    yield Answer(subject="lock", seen=seen)
    try:
        tracking.check_locks(Path())
    except AssayError as error:
        yield Answer(subject="DVC", seen=str(error), todo="remove .dvc/tmp/rwlock, if no dvc process runs")
    else:
        yield Answer(subject="DVC", seen="its locks are readable")
    try:
        tracking.check_stages(Path())
    except AssayError as error:
        yield Answer(subject="pipeline", seen=str(error), todo="mend it, then `assay doctor` again")
    else:
        yield Answer(subject="pipeline", seen="dvc.yaml and dvc.lock are readable")


def cache() -> Iterator[Answer]:
    try:
        damaged = tracking.damaged(Path(), share=SAMPLE, delete=False)
    except AssayError as error:
        yield Answer(subject="cache", seen=str(error), todo="run `dvc status`, and mend what it names")
        return
    names = ", ".join(str(file) for file in damaged[:3])
    todo = "delete these files; `dvc pull` or the next retraining brings them back. Check the disk" if damaged else ""
    yield Answer(
        subject="cache",
        seen=f"{len(damaged)} of a sample damaged: {names}" if damaged else "a sample is sound",
        todo=todo,
    )


def waivers() -> Iterator[Answer]:
    """Which end soon, by the last validation in this checkout."""
    file = params.load().paths.validation / "results.json"
    if found := ending.soon(file, datetime.now(UTC).date()):
        seen = "; ".join(f"{rule!r} until {until} ({where})" for rule, until, where in found)
        yield Answer(subject="waivers", seen=f"end soon: {seen}", todo="mend what they excuse, or renew them")
    else:
        yield Answer(subject="waivers", seen="none ends within a week")


def remotes() -> Iterator[Answer]:
    name = git.remote()
    if name:
        try:
            git.run("ls-remote", "--heads", name, about="remote")
            yield Answer(subject="git remote", seen=f"{name} answers")
        except AssayError as error:
            yield Answer(
                subject="git remote", seen=str(error), todo=f"check `git remote -v` and the credentials of {name}"
            )
    else:
        yield Answer(subject="git remote", seen="none is set: what is made stays on this machine")
    store = tracking.remote(Path())
    if store:
        said = tracking.reach(Path())
        yield Answer(
            subject="DVC remote", seen=said or f"{store} answers", todo="check `dvc remote list`" if said else ""
        )
    else:
        yield Answer(subject="DVC remote", seen="none is set: the data stay on this machine")


def receivers(test: bool) -> Iterator[Answer]:
    """Are there receivers, and do they take a test message?"""
    urls = os.environ.get(alert.URLS, "").split()
    if not urls:
        yield Answer(subject="alerts", seen="nobody is told", todo=f"export {alert.URLS}='mailto://... slack://...'")
    for url in urls if test else []:
        taken = alert.deliver(url, "Assay: a test", "This is a test message of `assay doctor --test-alerts`.")
        todo = "" if taken else f"check this URL in {alert.URLS}: https://appriseit.com/services/"
        yield Answer(
            subject="alerts",
            seen=f"{url.split('://')[0]} {'took a test' if taken else 'did not take a test'}",
            todo=todo,
        )
    if urls and not test:
        yield Answer(subject="alerts", seen=f"{len(urls)} receivers; --test-alerts sends each a message")
    if waiting := len(outbox.letters()):
        yield Answer(subject="outbox", seen=f"{waiting} messages were not delivered", todo="assay doctor --test-alerts")


def prefect() -> Iterator[Answer]:
    """Server, schedule, runs, slots and automations."""
    url = PREFECT_API_URL.value()
    if not url:
        yield Answer(subject="server", seen="none is named", todo="export PREFECT_API_URL=http://127.0.0.1:4200/api")
        return
    try:
        server.check()
    except AssayError as error:
        yield Answer(subject="server", seen=str(error), todo="start it: make server, or systemctl restart assay-server")
        return
    yield Answer(subject="server", seen=f"{url} answers")
    with get_client(sync_client=True) as client:
        yield _leases(client)
        for each in deployments.read():
            yield from _deployment(client, each)
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
            seen=f"{len(late)} runs are overdue, the first since {late[0]:%F %H:%M} UTC",
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


def tools() -> Iterator[Answer]:
    missing = [name for name in ("git", "bash") if not shutil.which(name)]
    yield Answer(
        subject="tools",
        seen=f"missing: {', '.join(missing)}" if missing else "git and bash are here",
        todo="install them" if missing else "",
    )


def ask(questions: list[Callable[[], Iterator[Answer]]]) -> Iterator[Answer]:
    """Yield every answer; a question that breaks is an answer too."""
    for question in questions:
        try:
            yield from question()
        except Exception as error:
            seen = " ".join(f"{type(error).__name__}: {error}".split())
            yield Answer(subject=question.__name__, seen=seen, todo="this should not be: see the message")


@click.command()
@click.option("--test-alerts", is_flag=True, help="Send each receiver a test message.")
@click.option("--alert", "tell", is_flag=True, help="Tell the receivers what is wrong.")
def main(test_alerts: bool, tell: bool) -> None:
    """Say what stands in the way of the next retraining. Exit code 1: something does."""
    questions = [tools, versions, room, locks, cache, waivers, remotes, lambda: receivers(test_alerts), prefect]
    wrong = []
    for answer in ask(questions):
        click.echo(f"{'!!' if answer.todo else 'ok'}  {answer.subject:16} {answer.seen}")
        if answer.todo:
            click.echo(f"    {'':16} -> {answer.todo}")
            wrong.append(answer)
    if tell and wrong:
        alert.send(news.unwell([(each.subject, each.seen, each.todo) for each in wrong]))
    elif tell:
        outbox.forget("doctor:")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
