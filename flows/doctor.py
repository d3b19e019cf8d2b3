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
from datetime import UTC, datetime
from pathlib import Path

import click

os.environ.setdefault("DO_NOT_TRACK", "1")  # Prefect asks for it while it is imported

from packaging.requirements import Requirement
from prefect.settings import PREFECT_API_URL

from assay import alert, disk, ending, git, lock, news, outbox, params, tracking
from assay.errors import AssayError
from assay.wording import counted
from flows import doctor_declared, doctor_server, server
from flows import tell as telling
from flows.answer import Answer

SAMPLE = 0.05  # of the cache, another part every day


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
        ("DVC", tracking.check_locks, "its locks are readable", "remove .dvc/tmp/rwlock, if no dvc process runs"),
        ("pipeline", tracking.check_stages, "dvc.yaml and dvc.lock are readable", "mend it, then `assay doctor` again"),
    ]
    for subject, check, seen, todo in readable:
        try:
            check(Path())
        except AssayError as error:
            yield Answer(subject=subject, seen=str(error), todo=todo)
        else:
            yield Answer(subject=subject, seen=seen)


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
    try:
        name = git.remote()
    except AssayError as error:
        todo = "run this in a clone of the project, or `git init` and commit: a retraining starts from a commit"
        yield Answer(subject="git", seen=" ".join(str(error).removeprefix("git: ").split()), todo=todo)
        return
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
            server.check()
            telling.flush()
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

    of_others = [doctor_declared.deployed, doctor_declared.refs, doctor_server.prefect]
    questions = [tools, versions, room, locks, cache, waivers, remotes, alerts, *of_others]
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
