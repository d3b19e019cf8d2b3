"""Served retrainings that are killed at any moment: nothing half-done reaches the remote, and the next one goes on."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import toy
from machine import Machine, until, unwell
from prefect import get_client
from prefect.client.schemas.sorting import FlowRunSort

pytestmark = pytest.mark.live

# Git runs it at each change of a reference, and before it sends one. At the wanted one, once, it kills the flow and the
# git that it is run by.
HOOK = """#!/bin/sh
while read -r old new ref; do
    case "$1 $ref" in "{phase} "{ref}) ;; *) continue ;; esac
    case "$old" in {old}) ;; *) continue ;; esac
    rm "{armed}" 2> /dev/null && kill -9 $(sed 's/.*"process": \\([0-9]*\\).*/\\1/' "{lock}") $PPID
done
exit 0
"""
BRANCH = "refs/heads/retrain/*"
MOMENTS = [  # (hook, what git calls the moment, the reference, its old value, tags by then, whether it was sent)
    ("reference-transaction", "prepared", BRANCH, "*[!0]*", 0, False),  # the commit is written, the branch not moved
    ("reference-transaction", "committed", BRANCH, "*[!0]*", 0, False),  # committed, and not tagged
    ("pre-push", "origin", BRANCH, "*", 1, False),  # a version, and not the champion
    ("pre-push", "origin", BRANCH, "*", 2, False),  # released, and not sent
    ("reference-transaction", "committed", "refs/remotes/origin/retrain/*", "*", 2, True),  # sent, and not ended
]
KILLS = 5
SPAN = 0.8  # of the time of the first retraining, in which they fall: those after it are quicker


@pytest.fixture
def origin(machine: Machine, tmp_path: Path) -> Iterator[Path]:
    """Give the machine remotes of git and DVC, and return that of git."""
    toy.run(tmp_path, "git", "init", "-q", "--bare", "origin.git")
    machine.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    toy.run(machine.checkout, "dvc", "remote", "add", "-q", "--local", "-d", "store", str(tmp_path / "store"))
    yield tmp_path / "origin.git"
    machine.git("remote", "remove", "origin")
    (machine.checkout / ".dvc/config.local").unlink()


def published(origin: Path) -> list[str]:
    return toy.run(origin, "git", "for-each-ref", "--format=%(refname:short)").split()


@pytest.fixture
def dies(machine: Machine) -> Iterator[Callable[..., Path]]:
    """Have the next retraining be killed at a moment; return a file that is gone when that was."""
    armed, hooks = machine.checkout.parent / "armed", machine.checkout / ".git/hooks"

    def never() -> None:
        for file in (armed, hooks / "reference-transaction", hooks / "pre-push"):
            file.unlink(missing_ok=True)

    def at(hook: str, phase: str, ref: str, old: str) -> Path:
        never()
        lock = machine.checkout / ".dvc/tmp/retrain.lock"
        (hooks / hook).write_text(HOOK.format(phase=phase, ref=ref, old=old, armed=armed, lock=lock))
        (hooks / hook).chmod(0o755)
        armed.touch()
        return armed

    yield at
    never()


def test_release_killed_between_commit_tags_and_push_is_finished_by_the_next_run(
    machine: Machine,
    undisturbed: tuple[str, str, list[str]],
    origin: Path,
    dies: Callable[..., Path],
    titles: Callable[[], list[str]],
) -> None:
    branch, _, tags = undisturbed
    for *moment, n_tags, is_sent in MOMENTS:
        armed = dies(*moment)
        run = machine.ask()
        until(lambda armed=armed: not armed.exists())
        machine.nobody_works_soon()
        assert (machine.end(run), titles()) == ("Crashed", ["Assay: retrain crashed"])
        if n_tags == 1:  # GTO makes tags without git, and so without a hook
            machine.git("tag", "-d", "classifier#champion#1")
        assert len(machine.git("tag").split()) == n_tags
        assert published(origin) == ([branch, *tags] if is_sent else [])
        until(lambda: unwell() == [], every=1)
        machine.calm()
    assert machine.end(machine.ask()) == "Completed"
    assert machine.result() == undisturbed
    assert published(origin) == [branch, *tags]
    clone = origin.parent / "clone"
    toy.run(origin.parent, "git", "clone", "-q", "-b", branch, str(origin), str(clone))
    toy.run(clone, "dvc", "remote", "add", "-q", "--local", "-d", "store", str(origin.parent / "store"))
    toy.run(clone, "dvc", "pull", "-q")
    assert "up to date" in toy.run(clone, "dvc", "status")


def usual_s() -> float:
    """Return how long the undisturbed retraining took, which was the first."""
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(sort=FlowRunSort.START_TIME_ASC, limit=200)
    return next(run.total_run_time.total_seconds() for run in runs if run.state_name == "Completed")


def test_retraining_killed_at_random_moments_ends_as_if_nothing_had_happened(
    machine: Machine, undisturbed: tuple[str, str, list[str]], origin: Path, told: list[dict[str, Any]]
) -> None:
    branch, _, tags = undisturbed
    chosen, ends, span_s = random.Random(5), [], usual_s()
    for number in range(KILLS):
        run = machine.ask()
        flow = machine.flow()
        time.sleep((number + chosen.random()) / KILLS * SPAN * span_s)
        at_work = list(machine.at_work())
        victims = chosen.choice([[flow], at_work, [chosen.choice([flow, *at_work])]])
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ends.append(machine.end(run))
        machine.nobody_works_soon()
        if ends[-1] in ("Crashed", "Failed"):
            until(lambda: told)
            assert published(origin) in ([], [branch, *tags])
        else:  # it had ended, or what was killed was of no consequence
            assert (machine.result(), published(origin)) == (undisturbed, [branch, *tags])
        until(lambda: unwell() == [], every=1)
        machine.calm()
        told.clear()
    assert sum(end in ("Crashed", "Failed") for end in ends) >= 2, ends
    assert machine.end(machine.ask()) in ("Completed", "Skipped")
    assert (machine.result(), published(origin)) == (undisturbed, [branch, *tags])
