"""DVC, as the library uses it: its repository, what is out of date, and files of other commits."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

import dvc.api
from dvc.config_schema import RelPath
from dvc.exceptions import (
    DvcException,
    PrettyDvcException,
    ReproductionError,
)
from dvc.lock import LockError
from dvc.repo import Repo
from dvc_data.index.index import DataIndexDirError

from assay.errors import AssayError
from assay.versions import git

WORKSPACE = "workspace"  # DVC's word for the files as they are, committed or not
PIPELINE = "dvc.yaml"
MEND = (
    "`git checkout HEAD -- dvc.lock` brings the last commit's back (there is none: delete it); the next run makes what "
    "neither it nor DVC's run cache knows"
)


@contextmanager
def opened(command: str, folder: Path = Path(), *, locked: bool = False) -> Iterator[Repo]:
    """Yield DVC's view of the checkout; `locked`: no other DVC command runs meanwhile.

    What DVC refuses in the block becomes an `AssayError` that begins with `command`.
    """
    try:
        with Repo(str(folder)) as repo, repo.lock if locked else nullcontext():
            yield repo
    except LockError:
        raise AssayError(f"{command}: another DVC command works in this checkout; wait for its end") from None
    except DvcException as error:
        raise AssayError(f"{command}: {said(error)}") from None


def said(error: DvcException) -> str:
    """Return DVC's words in one line, and what to do where dvc.lock is torn: DVC does not write it at one stroke."""
    words = " ".join(str(error).split())
    torn = isinstance(error, PrettyDvcException) and "dvc.lock" in words
    return f"{words}: DVC was killed while it wrote it, or a merge tore it; {MEND}" if torn else words


def read_bytes(file: Path, rev: str) -> bytes | None:
    """Return a file at a commit, from git or from DVC's cache or remote; None where it is not to be had."""
    if (committed := git.content(file, rev)) is not None:  # DVC would read all its stages first
        return committed
    try:
        found: bytes = _tracked(Path.cwd(), git.commit(rev)).read_bytes(file.as_posix())
    except (AssayError, DvcException, OSError):
        return None
    return found


@lru_cache(maxsize=2)  # of what is compared: DVC takes half a second to read all stages of a commit
def _tracked(_: Path, commit: str) -> Any:
    """Return the files that DVC tracks at a commit of the repository in this folder."""
    return dvc.api.DVCFileSystem(rev=commit, subrepos=True)


def bring_folder(folder: Path, rev: str, to: Path) -> bool:
    """Copy a folder as it was at a commit, from DVC's cache or a remote; say whether it was to be had, whole."""
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        with quiet():
            dvc.api.DVCFileSystem(rev=rev).get(folder.as_posix(), str(to), recursive=True)
    except (DvcException, DataIndexDirError, OSError):
        return False
    return to.is_dir()


def plots(old: str, new: str) -> dict[str, dict[str, Any]]:
    """Return the Vega-Lite of each plot of dvc.yaml that shows both commits, by its name, those with data only."""
    revisions = [old] if new == WORKSPACE else [old, new]
    # The command and not the class: its answer is documented, and the templates are filled in.
    command = [sys.executable, "-m", "dvc", "plots", "diff", "--json", "--", *revisions]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssayError(f"compare: plots: {done.stderr.strip().removeprefix('ERROR: ')}")
    found = json.loads(done.stdout).get("data")
    if found is None:  # DVC tells why in its log alone
        raise AssayError(f"compare: plots: DVC can read none of {old} and {new}")
    return {name: each[0]["content"] for name, each in found.items() if each and each[0]["type"] == "vega"}


@contextmanager
def quiet() -> Iterator[None]:
    """Keep back what DVC tells a person at a terminal: a line for each file that is not there yet."""
    loggers = [logging.getLogger(name) for name in ("dvc", "dvc_data")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def share(home: Path, folder: Path) -> None:
    """Have the worktree in `folder` use the cache and the remotes of its home; not in git.

    What is a relative path there is one from there. It stays relative: DVC writes no letter beyond ASCII.
    """
    with opened("retrain", home) as repo:
        cache = RelPath(repo.cache.local_cache_dir)
        remotes = {
            name: {key: value for key, value in remote.items() if isinstance(value, RelPath)}
            for name, remote in repo.config["remote"].items()
        }
    with opened("retrain", folder) as repo, repo.config.edit("local") as settings:
        settings.setdefault("cache", {})["dir"] = cache
        for name, paths in remotes.items():
            settings.setdefault("remote", {}).setdefault(name, {}).update(paths)


def due(folder: Path, *, here: bool = False) -> list[str]:
    """Return the stages that `dvc repro` would run first; none if all are up to date, here or in a remote.

    `here`: what they made must lie here.
    """
    with opened("pipeline", folder) as repo, quiet():
        try:
            return [stage.name for stage in repo.reproduce(str(folder / PIPELINE), dry=True, allow_missing=not here)]
        except ReproductionError as error:  # a stage after one that would run has no inputs yet
            return [str(error).rpartition(" ")[2].strip("'").rpartition(":")[2]]


def reproduce(stage: str, command: str) -> None:
    """Bring one stage of this checkout up to date; raises `AssayError` that begins with `command` if it fails."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with opened(command) as repo, quiet():
        repo.reproduce(stage, single_item=True)


def check_locks(folder: Path) -> None:
    """Raise `AssayError` if DVC's file of locks is broken, as a kill may leave it: every command then fails."""
    file = folder / ".dvc/tmp/rwlock"
    try:
        if file.exists():
            json.loads(file.read_text())
    except ValueError:
        raise AssayError(f"{file} is broken") from None


def check_stages(folder: Path) -> None:
    """Raise `AssayError` if dvc.yaml or dvc.lock cannot be read."""
    with opened("pipeline", folder) as repo:
        list(repo.index.stages)
