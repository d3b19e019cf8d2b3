"""Git, as the library uses it: its own command line, whose errors become one line.

What comes from elsewhere stands behind `LAST`: a name like `--upload-pack=...` is an option, which runs a command.
"""

import os
import shlex
import signal
import subprocess
from pathlib import Path

from assay import processes
from assay.errors import AssayError

LAST = "--end-of-options"


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
    """Have a push end, and remove its locks, when we are killed."""
    processes.signal_at_parents_death(signal.SIGTERM)


def has(revision: str, folder: Path = Path()) -> bool:
    """Say whether the revision names a commit."""
    command = ["git", "rev-parse", "--quiet", "--verify", LAST, f"{revision}^{{commit}}"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


def commit(revision: str, folder: Path = Path(), about: str = "git") -> str:
    """Return the hash of the commit that the revision names; raises `AssayError` if it names none."""
    if not has(revision, folder):
        raise AssayError(f"{about}: {revision!r} is no commit of this repository")
    return run("rev-parse", "--verify", LAST, f"{revision}^{{commit}}", folder=folder, about=about)


def show(file: Path, revision: str, folder: Path = Path(), about: str = "git") -> str:
    """Return the text of a file as a commit has it, without the newline at its end."""
    return run("show", LAST, f"{revision}:./{file.as_posix()}", folder=folder, about=about)


def check_own(folder: Path = Path(), about: str = "git") -> None:
    """Raise `AssayError` where the checkout is a folder of another repository: its tags would be that one's."""
    if prefix := run("rev-parse", "--show-prefix", folder=folder, about=about):
        above = run("rev-parse", "--show-toplevel", folder=folder, about=about)
        folders = shlex.quote(above), shlex.quote(prefix.rstrip("/"))
        raise AssayError(
            f"{about}: this checkout is the folder {prefix} of the repository {above}, and releases and retrainings "
            f"want one of its own: `git -C {folders[0]} subtree split --prefix={folders[1]} -b own`, then "
            f"`git clone -b own {folders[0]}` elsewhere; `dvc repro` works here too"
        )


def check_worktrees(folder: Path = Path(), about: str = "git") -> None:
    """Raise `AssayError` where no retraining can work: as `check_own`, and in a submodule."""
    check_own(folder, about)
    if above := run("rev-parse", "--show-superproject-working-tree", folder=folder, about=about):
        raise AssayError(
            f"{about}: this checkout is a submodule of {above}, in which DVC works in no worktree: retrain and promote "
            "in a clone of its own; `dvc repro`, `assay release` and `assay promote --here` work here too"
        )


def is_branch(name: str) -> bool:
    """Say whether the name can be a branch's: no option, no refspec, no other way to write a commit."""
    command = ["git", "check-ref-format", f"refs/heads/{name}"]
    return not name.startswith("-") and subprocess.run(command, capture_output=True, check=False).returncode == 0


def content(file: Path, rev: str) -> bytes | None:
    """Return the bytes of a file as a commit has them; None where it is in no such commit."""
    done = subprocess.run(
        ["git", "cat-file", "blob", LAST, f"{rev}:./{file.as_posix()}"], capture_output=True, check=False
    )
    return None if done.returncode else done.stdout


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
