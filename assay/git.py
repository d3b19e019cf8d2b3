"""Git, as the library uses it: its own command line, whose errors become one line."""

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

from assay.errors import AssayError

LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
PR_SET_PDEATHSIG = 1


def run(*arguments: str, folder: Path = Path(), about: str = "git", **environment: str) -> str:
    """Return what git printed in the folder; raises `AssayError` that begins with `about` if it refuses."""
    command = ["git", *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"LC_ALL": "C"} | environment,
        preexec_fn=_end_with_parent,
    )
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip() or f"ended with {done.returncode}"
        raise AssayError(f"{about}: git {arguments[0]}: {said}")
    return done.stdout.rstrip("\n")


def talk(*arguments: str, folder: Path = Path(), about: str = "git") -> str:
    """Return what `run` does of a command that talks to a remote; its address may be a relative path.

    In a worktree too that is one from the checkout that it belongs to, where git would take it from the worktree.
    """
    own = run("rev-parse", "--absolute-git-dir", folder=folder, about=about)
    first = run("worktree", "list", "--porcelain", folder=folder, about=about).splitlines()[0]
    return run(*arguments, folder=Path(first.removeprefix("worktree ")), about=about, GIT_DIR=own)


def _end_with_parent() -> None:
    """Have a push end, and remove its locks, when we are killed. Nothing may be loaded here, between fork and exec."""
    if LIBC:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def has(revision: str, folder: Path = Path()) -> bool:
    """Say whether the revision names a commit."""
    command = ["git", "rev-parse", "--quiet", "--verify", f"{revision}^{{commit}}"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


def signature() -> dict[str, str]:
    """Return the environment that signs commits and tags, where the machine has no name for its user."""
    done = subprocess.run(["git", "var", "GIT_COMMITTER_IDENT"], capture_output=True, check=False)
    known = subprocess.run(["git", "config", "user.email"], capture_output=True, check=False)
    if (done.returncode, known.returncode) == (0, 0) or "GIT_COMMITTER_EMAIL" in os.environ:
        return {}
    who = {"NAME": "Assay", "EMAIL": "assay@localhost"}
    return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}


def remote(folder: Path = Path()) -> str | None:
    """Return the name of the remote that is pushed to: the one of `remote.pushDefault`, origin, or the only one."""
    names = run("remote", folder=folder).split()
    if not names:
        return None
    wished = subprocess.run(
        ["git", "config", "remote.pushDefault"], cwd=folder, capture_output=True, text=True, check=False
    ).stdout.strip()
    return next((name for name in (wished, "origin") if name in names), names[0])
