"""Removes what nothing refers to: never what a branch or tag, here or at a remote, or the files as they are need."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from assay import state
from assay.errors import AssayError
from assay.state import RUNS
from assay.versions import git, lock, storage, worktree

RUNS_KEPT = 30
KINDS = {"heads": "branch", "remotes": "remote branch", "tags": "tag", "exps": "experiment"}  # of refs, as git has them
FORMAT = "%(refname) %(objectname) %(*objectname)"
WORKTREE_DAYS = 7  # a failed retraining is continued by the next run; nobody came for an older one


@dataclass(frozen=True, kw_only=True)
class Removed:
    worktrees: int
    reports: int
    objects: int  # of DVC's cache


def clean(home: Path = Path(), *, dry: bool = False) -> Removed:
    """Return what was removed, or would be; raises `AssayError` while a retraining or a DVC command runs."""
    with lock.taken("clean", home) as taken:
        if not taken:
            raise AssayError(f"clean: a retraining has this checkout ({lock.FILE} is locked); wait for its end")
        worktrees = _old_worktree(home, dry)
        reports = _old_reports(home, dry)
        kept = [folder for folder in [home / state.CHECKOUT] if folder.exists()]
        objects = storage.collect(_revisions(home), [] if worktrees and dry else kept, home, dry=dry)
    return Removed(worktrees=worktrees, reports=reports, objects=objects)


def _old_worktree(home: Path, dry: bool) -> int:
    folder = home / state.CHECKOUT
    if not folder.exists():
        return 0
    ready = folder / state.READY
    if ready.exists() and time.time() - ready.stat().st_mtime < WORKTREE_DAYS * 86_400:
        return 0
    if not dry:
        worktree.remove(home)
    return 1


def _old_reports(home: Path, dry: bool) -> int:
    runs = sorted((home / RUNS).glob("*"), key=lambda run: (run.stat().st_mtime, run.name), reverse=True)
    for run in runs[RUNS_KEPT:] if not dry else []:
        shutil.rmtree(run)
    return len(runs[RUNS_KEPT:])


def _revisions(home: Path) -> dict[str, str]:
    """Return the commits that a branch or tag points at, here or at a remote, and the one that is checked out.

    Each with what people call it: `branch 'main', tag 'classifier@v0.0.1'`.
    """
    refs = [f"refs/{kind}" for kind in KINDS]
    found: dict[str, list[str]] = {}
    for line in git.run("for-each-ref", f"--format={FORMAT}", git.LAST, *refs, folder=home, about="clean").splitlines():
        ref, *objects = line.split()  # of an annotated tag its own, then the commit
        _, kind, name = ref.split("/", 2)
        found.setdefault(objects[-1], []).append(f"{KINDS[kind]} {name!r}")
    found.setdefault(git.run("rev-parse", "HEAD", folder=home, about="clean"), []).append("the checked out commit")
    return {commit: ", ".join(names) for commit, names in sorted(found.items())}
