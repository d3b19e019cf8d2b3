"""The checkout that a retraining works in: a git worktree that shares DVC's cache with the one that it belongs to.

It stands at the wanted ref, with the retrainings merged that came after it: each retraining goes on where the last one
ended, whether or not people have merged that one yet. There is one at a time, always in the same place; one that a
killed retraining left is continued if it is whole and still at the right commits.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from assay import files, git, outbox, params, tracking
from assay.errors import AssayError

PLACE = Path(".assay/retrain/checkout")
MEMO = Path(".assay/retrain/memo")  # what spares work, kept between retrainings
STAGES = Path(".assay/stages")  # where single stages of retrainings elsewhere work, with a lock of its own
READY = Path(".dvc/tmp/retrain.json")  # in the worktree, written last
BRANCHES = "retrain/"


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
    if not git.has(ref, home):
        raise AssayError(f"retrain: {ref!r} is no commit of this repository (ref)")
    folder = (home / PLACE).absolute()
    _unlock(home)
    wanted = {"ref": git.run("rev-parse", f"{ref}^{{commit}}", folder=home), "last": last(ref, home)}
    found = _read(folder)
    if found and found["ref"] == wanted["ref"] and wanted["last"] in (found["last"], found["branch"]):
        return Worktree(folder=folder, base=str(found["base"]), continued=True)
    remove(home)
    git.run("worktree", "add", "--quiet", "--detach", str(folder), wanted["ref"] or ref, folder=home, about="retrain")
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
        f"refs/heads/{BRANCHES}",  # the first of two of one commit
        *([f"refs/remotes/{remote}/{BRANCHES}"] if remote else []),
        folder=home,
    ).splitlines()
    branches = [line.split() for line in listed]
    # Two commits may be of one second; the later one holds the other. In one call: there is a branch for every night.
    heads = git.run("merge-base", "--independent", *(commit for commit, _ in branches), folder=home) if branches else ""
    return next((name for commit, name in branches if commit in heads.split()), None)


def _read(folder: Path) -> dict[str, str | None] | None:
    """Return what READY says, and the `branch` that it is on by now; None if the worktree is not whole."""
    try:
        found: dict[str, str | None] = files.read_json(folder / READY)
        branch = git.run("branch", "--show-current", folder=folder)
        git.run("status", "--porcelain", folder=folder)
        tracking.check_stages(folder)
        tracking.check_locks(folder)
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
        git.run("merge", "--quiet", "-X", "theirs", "-m", message, branch, folder=folder, about="retrain")
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
    tracking.share(home, folder)
    (home / MEMO).mkdir(parents=True, exist_ok=True)
    alerts = home / outbox.FOLDER  # one outbox, so that one cause is told once, here or there
    alerts.mkdir(parents=True, exist_ok=True)
    (home / MEMO / alerts.name).unlink(missing_ok=True)
    (home / MEMO / alerts.name).symlink_to(alerts)
    (folder / ".assay").symlink_to(home / MEMO)


def keep_reports(folder: Path, name: str, home: Path = Path()) -> Path:
    """Copy the reports of the worktree to where they stay, and return that folder; those of an earlier try go."""
    kept = (home / ".assay/runs" / name).absolute()
    shutil.rmtree(kept, ignore_errors=True)
    p = params.load(folder / params.FILE)
    for report in (p.paths.validation, p.paths.verification, p.paths.evaluation):
        if (folder / report).is_dir():
            shutil.copytree(folder / report, kept / report.name)
    return kept


def remove(home: Path = Path(), place: Path = PLACE) -> None:
    """Remove the worktree, whatever state it is in. Its commits and what is in DVC's cache stay."""
    shutil.rmtree(home / place, ignore_errors=True)
    git.run("worktree", "prune", folder=home)
