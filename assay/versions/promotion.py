"""Makes a released version the champion, in a checkout of its own, and sends it to the remotes."""

import os
import subprocess
import sys
from pathlib import Path

from assay import state
from assay.errors import AssayError
from assay.versions import git, lock, publishing, releases, storage, worktree


def promote(version: str, ref: str, home: Path = Path()) -> str:
    """Return what was done; raises `AssayError` if a retraining runs, and like `release.promote`.

    It becomes one commit on a branch `retrain/promote-VERSION`, on which the next retraining stands.
    """
    with lock.taken(f"promote {version}", home) as taken:
        if not taken:
            raise AssayError(f"promote: a retraining has this checkout ({lock.FILE} is locked); wait for its end")
        releases.check_version(version, home)
        worktree.remove(home)  # what a failed retraining left is begun anew: it has another champion to beat
        tree = worktree.ready(ref, home)
        storage.checkout(tree.folder)
        branch = f"{state.BRANCHES}promote-{version}"
        git.run("switch", "--quiet", "-C", branch, folder=tree.folder, about="promote")
        done = _promote(version, tree.folder)
        sent = publishing.publish(branch, tree.folder)
        worktree.remove(home)
    return "; ".join([done, *(f"pushed {each}" for each in sent)])


def _promote(version: str, folder: Path) -> str:
    """Run the command of the other checkout, with its code."""
    command = [sys.executable, "-m", "assay", "promote", "--here", "--", version]
    environment = os.environ | git.signature()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssayError(done.stderr.strip().removeprefix("assay: "))
    return done.stdout.strip().splitlines()[-1]
