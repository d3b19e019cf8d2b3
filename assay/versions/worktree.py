"""The checkout that a retraining works in: a git worktree that shares DVC's cache with the one that it belongs to.

It stands at the wanted ref, with the retrainings merged that came after it: each retraining goes on where the last one
ended, whether or not people have merged that one yet. There is one at a time, always in the same place; one that a
killed retraining left is continued if it is whole and still at the right commits.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from assay import files, params, state
from assay.errors import AssayError
from assay.state import BRANCHES, CHECKOUT, MEMO, READY
from assay.versions import dvc_repo, git


@dataclass(frozen=True, kw_only=True)
class Worktree:
    """`continued`: an earlier retraining was killed in it, or failed."""

    folder: Path
    base: str  # the commit that it began at
    continued: bool


def ready(ref: str, home: Path = Path()) -> Worktree:
    """Return the worktree at the ref and all retrainings since, new or continued; outputs are not there yet.

    Raises `AssayError` if there is no such ref, or a retraining does not merge with it.
    """
    git.check_worktrees(home, "retrain")
    if not git.has(ref, home):
        raise AssayError(f"retrain: {ref!r} is no commit of this repository (ref)")
    folder = (home / CHECKOUT).absolute()
    _unlock(home)
    wanted = {"ref": git.commit(ref, home), "last": last(ref, home)}
    found = _read(folder)
    if found and found["ref"] == wanted["ref"] and wanted["last"] in (found["last"], found["branch"]):
        return Worktree(folder=folder, base=str(found["base"]), continued=True)
    remove(home)
    at = wanted["ref"] or ref
    git.run("worktree", "add", "--quiet", "--detach", git.LAST, str(folder), at, folder=home, about="retrain")
    if wanted["last"]:
        _merge(wanted["last"], ref, folder)
    share(home.absolute(), folder)
    base = git.run("rev-parse", "HEAD", folder=folder)
    files.write_json(folder / READY, wanted | {"base": base})
    return Worktree(folder=folder, base=base, continued=False)


def _unlock(home: Path) -> None:
    """Remove the locks of a git that was killed from the references that retrainings write; there is one at a time."""
    refs = Path(git.run("rev-parse", "--path-format=absolute", "--git-common-dir", folder=home)) / "refs"
    for lock in [*(refs / "heads" / BRANCHES).rglob("*.lock"), *(refs / "tags").glob("*[@#]*.lock")]:
        lock.unlink(missing_ok=True)


def last(ref: str, home: Path = Path()) -> str | None:
    """Return the newest retraining's branch that is not part of the ref yet, here or at the remote; None: all are."""
    remote = git.remote(home)
    listed = git.run(
        "for-each-ref",
        "--sort=-committerdate",
        f"--no-merged={ref}",
        "--format=%(objectname) %(refname:short)",
        git.LAST,
        f"refs/heads/{BRANCHES}",  # the first of two of one commit
        *([f"refs/remotes/{remote}/{BRANCHES}"] if remote else []),
        folder=home,
    ).splitlines()
    branches = [line.split() for line in listed]
    # Two commits may be of one second; the later one holds the other. In one call: there is a branch for every night.
    commits = [commit for commit, _ in branches]
    heads = git.run("merge-base", "--independent", git.LAST, *commits, folder=home) if commits else ""
    return next((name for commit, name in branches if commit in heads.split()), None)


def _read(folder: Path) -> dict[str, str | None] | None:
    """Return what READY says, and the `branch` that it is on by now; None if the worktree is not whole."""
    try:
        found: dict[str, str | None] = files.read_json(folder / READY)
        branch = git.run("branch", "--show-current", folder=folder)
        git.run("status", "--porcelain", folder=folder)
        dvc_repo.check_stages(folder)
        dvc_repo.check_locks(folder)
        own = Path(git.run("rev-parse", "--absolute-git-dir", folder=folder))
        if any(own.glob("*.lock")):
            return None  # git was killed while it wrote its index or HEAD
    except (OSError, ValueError, AssayError):
        return None
    return {"ref": "", "last": "", "base": ""} | found | {"branch": branch}


def _merge(branch: str, ref: str, folder: Path) -> None:
    """Merge a retraining; where both changed the same lines, which only files that a run makes can be, it wins."""
    message = f"Merge {branch}"
    try:
        git.run("merge", "--quiet", "-X", "theirs", "-m", message, git.LAST, branch, folder=folder, about="retrain")
    except AssayError as error:
        git.run("merge", "--abort", folder=folder)
        where, _, name = branch.partition(f"/{BRANCHES}")
        delete = f"git push {where} --delete {BRANCHES}{name}" if name else f"git branch -D {branch}"
        raise AssayError(f"{error}; merge {branch} into {ref} by hand, or delete it: {delete}") from None


def share(home: Path, folder: Path) -> None:
    """Give the worktree DVC's cache, remotes and local settings, and a memo that outlives it."""
    settings = home / ".dvc/config.local"
    if settings.exists():
        shutil.copy(settings, folder / ".dvc/config.local")
    dvc_repo.share(home, folder)
    (home / MEMO).mkdir(parents=True, exist_ok=True)
    alerts = home / state.ALERTS  # one outbox, so that one cause is told once, here or there
    alerts.mkdir(parents=True, exist_ok=True)
    (home / MEMO / alerts.name).unlink(missing_ok=True)
    (home / MEMO / alerts.name).symlink_to(alerts)
    (folder / ".assay").symlink_to(home / MEMO)


def keep_reports(folder: Path, name: str, home: Path = Path()) -> Path:
    """Copy the reports of the worktree to where they stay, and return that folder; those of an earlier try go."""
    kept = (home / ".assay/runs" / name).absolute()
    shutil.rmtree(kept, ignore_errors=True)
    p = params.load(folder / params.FILE)
    for report in (p.paths.validation, p.paths.verification, p.paths.evaluation, p.paths.verdict):
        if (folder / report).is_dir():
            shutil.copytree(folder / report, kept / report.name)
    return kept


def remove(home: Path = Path(), place: Path = CHECKOUT) -> None:
    """Remove the worktree, whatever state it is in. Its commits and what is in DVC's cache stay."""
    shutil.rmtree(home / place, ignore_errors=True)
    git.run("worktree", "prune", folder=home)
