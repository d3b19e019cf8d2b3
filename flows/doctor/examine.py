"""Is everything in place for the next retraining? `assay doctor`: a line per question, exit code 1 if one is not ok.

Meant for a timer and for monitoring: it needs no run to be on, changes nothing, and with `--alert` tells people what is
wrong. Where the server answers, runs that are missing are told by its automations and only shown here.
"""

import importlib.metadata
import os
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, astuple
from datetime import UTC, datetime
from pathlib import Path

import click

os.environ.setdefault("DO_NOT_TRACK", "1")  # Prefect asks for it while it is imported

from packaging.requirements import Requirement
from prefect.settings import PREFECT_API_URL

from assay import params, terminal
from assay.errors import RELINK, AssayError
from assay.operations import alert, disk, messages, outbox
from assay.validation import gate as judging
from assay.validation import waivers as granted
from assay.validation import weaker
from assay.versions import dvc_repo, git, history, lock, storage
from assay.words import counted
from flows.doctor import declared, prefect_state
from flows.doctor.answer import Answer
from flows.server import api, tell

SAMPLE = 0.05  # of the large files of the cache, another part every day


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
    readable = [
        ("DVC", dvc_repo.check_locks, "its locks are readable", "remove .dvc/tmp/rwlock, if no dvc process runs"),
        ("pipeline", dvc_repo.check_stages, "dvc.yaml and dvc.lock are readable", "mend it, then `assay doctor` again"),
    ]
    for subject, check, seen, todo in readable:
        try:
            check(Path())
        except AssayError as error:
            yield Answer(subject=subject, seen=str(error), todo=todo)
        else:
            yield Answer(subject=subject, seen=seen)


def cache() -> Iterator[Answer]:
    """Does DVC's cache hold what dvc.lock names, undamaged?"""
    try:
        lost = storage.lost(Path())
        damaged = storage.damaged(Path(), share=SAMPLE, delete=False)
    except AssayError as error:
        yield Answer(subject="cache", seen=str(error), todo="run `dvc status`, and mend what it names")
        return
    yield from _lost(lost)
    if not damaged and any(astuple(lost)):
        return
    names = ", ".join(str(file) for file in damaged[:3])
    mend = "delete these files and what was checked out of them; then `dvc pull` or `dvc repro`. Check the disk"
    yield Answer(
        subject="cache",
        seen=f"{len(damaged)} damaged: {names}" if damaged else "small files and a sample of the others are sound",
        todo=mend if damaged else "",
    )


def _lost(lost: storage.Lost) -> Iterator[Answer]:
    if lost.linked:
        seen = f"{_some(lost.linked)}: links into DVC's cache, which lead nowhere"
        yield Answer(subject="cache", seen=seen, todo=RELINK)
    if lost.only_here:
        seen = f"{_some(lost.only_here)}: not in DVC's cache, so that a retraining would make them anew"
        yield Answer(subject="cache", seen=seen, todo="`dvc pull`; or `dvc commit -f` once `dvc repro` has ended well")
    if lost.absent:
        seen = f"{_some(lost.absent)}: neither here nor in the cache; `dvc pull` or the next run brings them"
        yield Answer(subject="cache", seen=seen, is_note=True)


def _some(files: Sequence[Path]) -> str:
    more = f" and {len(files) - 3:,} more" if len(files) > 3 else ""
    return ", ".join(str(file) for file in files[:3]) + more


def waivers() -> Iterator[Answer]:
    """Which end soon, by the last validation in this checkout."""
    file = params.load().paths.validation / "results.json"
    if found := granted.ending_soon(file, datetime.now(UTC).date()):
        seen = "; ".join(f"{rule!r} until {until} ({where})" for rule, until, where in found)
        yield Answer(subject="waivers", seen=f"end soon: {seen}", todo="mend what they excuse, or renew them")
    else:
        yield Answer(subject="waivers", seen="none ends within a week")


def gate() -> Iterator[Answer]:
    """Which rules ask for less than the shipped ones? Said every time, for a gate that lets all pass looks well."""
    p = params.load()
    weak = weaker.found(p.paths.expectations, p.gate.max_quarantined_share)
    if not weak:
        yield Answer(subject="gate", seen="no rule asks for less than the shipped one")
    for line in judging.weaker_lines([asdict(each) for each in weak]):
        yield Answer(subject="gate", seen=line, is_note=True)


def champion() -> Iterator[Answer]:
    """Is a model that is made here held against the one in use? A retraining is: it begins from the newest branch."""
    events = history.read()
    found = history.champions(events)[-1:]
    try:
        behind = history.behind(events, params.load().paths.champions)
    except AssayError as error:
        seen, _, todo = str(error).rpartition("; ")
        yield Answer(subject="champion", seen=seen, todo=todo)
        return
    yield Answer(subject="champion", seen=behind or (found[0] if found else "none yet"), is_note=bool(behind))


def place() -> Iterator[Answer]:
    """Is this a checkout in which a retraining can work?"""
    try:
        git.check_worktrees(Path(), "place")
        yield Answer(subject="place", seen="a repository of its own")
    except AssayError as error:
        seen, todo = str(error).removeprefix("place: "), "work in a clone of its own"
        if not seen.startswith("git "):  # no repository at all is told of with the remotes
            yield Answer(subject="place", seen=seen, todo=todo)


def remotes() -> Iterator[Answer]:
    try:
        name = git.remote()
    except AssayError as error:
        todo = "run this in a clone of the project, or `git init` and commit: a retraining starts from a commit"
        yield Answer(subject="git", seen=" ".join(str(error).removeprefix("git: ").split()), todo=todo)
        return
    if name:
        try:
            git.run("ls-remote", "--heads", git.LAST, name, about="remote")
            yield Answer(subject="git remote", seen=f"{name} answers")
        except AssayError as error:
            yield Answer(
                subject="git remote", seen=str(error), todo=f"check `git remote -v` and the credentials of {name}"
            )
    else:
        yield Answer(subject="git remote", seen="none is set: what is made stays on this machine")
    store = storage.remote(Path())
    if store:
        said = storage.reach(Path())
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
        yield Answer(subject="alerts", seen=f"{counted(len(urls), 'receiver')}; --test-alerts sends a message")
    if test:
        _flush()
    if waiting := len(outbox.letters()):
        todo = "mend what stands above; the next alert tries these again" if test else "assay doctor --test-alerts"
        yield Answer(subject="outbox", seen=f"{counted(waiting, 'message')} not delivered", todo=todo)


def _flush() -> None:
    """Try once more what was not delivered; a server, if it answers, knows what its automations did deliver."""
    try:
        if PREFECT_API_URL.value():
            api.check()
            tell.flush()
            return
    except AssayError:
        pass  # said of the server
    alert.flush()


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
        except AssayError as error:
            todo = "mend what the message names, then `assay doctor` again"
            yield Answer(subject=question.__name__, seen=" ".join(str(error).split()), todo=todo)
        except Exception as error:
            seen = " ".join(f"{type(error).__name__}: {error}".split())
            yield Answer(subject=question.__name__, seen=seen, todo="this should not be: see the message")


@click.command()
@click.option("--test-alerts", is_flag=True, help="Send each receiver a test message, and what it did not take.")
@click.option("--alert", "tell", is_flag=True, help="Tell the receivers what is wrong.")
def main(test_alerts: bool, tell: bool) -> None:
    """Say what stands in the way of the next retraining. Exit code 1: something does."""

    def alerts() -> Iterator[Answer]:
        return receivers(test_alerts)

    terminal.guard()
    of_others = [declared.deployed, declared.schedules, declared.refs, prefect_state.prefect]
    questions = [tools, versions, place, room, locks, cache, gate, waivers, champion, remotes, alerts, *of_others]
    wrong = []
    for answer in ask(questions):
        mark = "!!" if answer.todo else "--" if answer.is_note else "ok"
        click.echo(f"{mark}  {answer.subject:16} {answer.seen}")
        if answer.todo:
            click.echo(f"    {'':16} -> {answer.todo}")
            wrong.append(answer)
    if tell and wrong:
        alert.send(messages.unwell([(each.subject, each.seen, each.todo) for each in wrong]))
    elif tell:
        outbox.forget("doctor:")
    sys.exit(1 if wrong else 0)
