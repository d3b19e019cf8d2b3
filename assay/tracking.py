"""DVC, as the library uses it: the only module that knows where DVC's classes live."""

import hashlib
import io
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from pathlib import Path
from typing import Any, NoReturn

import dvc.api
from dvc.config_schema import RelPath
from dvc.exceptions import (
    CheckoutError,
    CollectCacheError,
    DownloadError,
    DvcException,
    NoOutputOrStageError,
    PrettyDvcException,
    ReproductionError,
    RevCollectionError,
)
from dvc.lock import LockError
from dvc.repo import Repo
from dvc_data.hashfile.gc import gc as garbage

from assay.errors import AssayError

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


def read(file: Path, rev: str) -> str | None:
    """Return the text of a file at a commit, from git or from DVC's cache or remote; None where it is not to be had."""
    try:
        found: str = dvc.api.read(file.as_posix(), rev=rev)
    except (DvcException, OSError):
        return None
    return found


def read_bytes(file: Path, rev: str) -> bytes | None:
    """Return the bytes of a file at a commit, as `read` does."""
    try:
        found: bytes = dvc.api.read(file.as_posix(), rev=rev, mode="rb")
    except (DvcException, OSError):
        return None
    return found


def plots(old: str, new: str) -> dict[str, dict[str, Any]]:
    """Return the Vega-Lite of each plot of dvc.yaml that shows both commits, by its name, those with data only."""
    revisions = [old] if new == WORKSPACE else [old, new]
    # The command and not the class: its answer is documented, and the templates are filled in.
    command = [sys.executable, "-m", "dvc", "plots", "diff", *revisions, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssayError(f"compare: plots: {done.stderr.strip().removeprefix('ERROR: ')}")
    found = json.loads(done.stdout)["data"]
    return {name: each[0]["content"] for name, each in found.items() if each and each[0]["type"] == "vega"}


@contextmanager
def _quiet() -> Iterator[None]:
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
    with opened("pipeline", folder) as repo, _quiet():
        try:
            return [stage.name for stage in repo.reproduce(str(folder / PIPELINE), dry=True, allow_missing=not here)]
        except ReproductionError as error:  # a stage after one that would run has no inputs yet
            return [str(error).rpartition(" ")[2].strip("'").rpartition(":")[2]]


def remote(folder: Path) -> str | None:
    """Return the name of the default DVC remote, None if there is none."""
    with opened("remote", folder) as repo:
        name: str | None = repo.config["core"].get("remote")
        return name


def checkout(folder: Path) -> None:
    """Put every output in place that is in the cache; what is not there is pulled, where there is a remote.

    What neither has stays away: the stage that makes it will run.
    """
    with opened("checkout", folder) as repo, _quiet():
        if repo.config["core"].get("remote"):
            with suppress(DownloadError):
                repo.fetch()
        repo.checkout(force=True, allow_missing=True)


def bring(files: list[Path], folder: Path) -> list[Path]:
    """Put these outputs, or files of them, in place from the cache or the remote; return those that neither has."""
    with opened("pull", folder) as repo, _quiet():
        for file in files:
            with suppress(CheckoutError, DownloadError, NoOutputOrStageError):
                repo.fetch(targets=[str(file)])
                repo.checkout(targets=[str(file)], force=True, allow_missing=True)
    return [file for file in files if not file.exists()]


def damaged(folder: Path, share: float = 1.0, *, delete: bool = True) -> list[Path]:
    """Delete what is no longer the bytes that its name says from the cache, and return it: of what this checkout uses.

    `share` of the files, in [0, 1], is read, another part every day; DVC itself never looks. What was deleted is pulled
    from a remote, or made anew by its stage.
    """
    with opened("cache", folder) as repo, _quiet():
        cache = repo.cache.local
        used = _used(
            repo.used_objs(force=True)
        )  # a folder that is not in the cache is no damage, nor to be asked about
        places = {Path(cache.oid_to_path(each.value)): each.value for each in used}
    day = int(time.time() // 86_400)
    found = []
    for place, name in sorted(places.items()):
        in_turn = share >= 1 or (int(name[:8], 16) + day) % max(1, round(1 / share)) == 0
        if in_turn and place.exists() and _md5(place) != name.partition(".")[0]:
            found.append(place)
            if delete:
                place.chmod(0o644)
                place.unlink()
    return found


def _md5(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "md5").hexdigest()


def collect(revisions: Mapping[str, str], worktrees: list[Path], folder: Path, *, dry: bool) -> int:
    """Delete from the cache all that none of the revisions, this checkout and the worktrees use; return how many.

    `revisions`: commits, with what people call them. Raises `AssayError` if one of them cannot be read, or what a
    folder of it holds is not known: nothing is deleted then.
    """
    with opened("clean", folder, locked=True) as repo, _quiet():
        used = _needed(repo, revisions, folder)
        for each in worktrees:
            with opened("clean", each) as other:
                used |= _needed(other, {}, each)
        removed: int = garbage(repo.cache.local, used, dry=dry)
    return removed


def _needed(repo: Repo, revisions: Mapping[str, str], folder: Path) -> set[Any]:
    """Return what the revisions and the files as they are in the folder use."""
    try:
        with redirect_stdout(io.StringIO()):  # at a terminal DVC would ask whether what it does not find may be lost
            return _used(repo.used_objs(revs=list(revisions), skip_failed=False))
    except RevCollectionError as error:
        is_here = error.rev == WORKSPACE
        who = f"the files as they are in {folder.absolute()}" if is_here else revisions[error.rev]
        is_lost = isinstance(error.__cause__, CollectCacheError)
        todo = "; ".join([*_remedy(is_lost, is_here), "nothing was deleted"])
        raise AssayError(f"clean: {who}: {_reason(error)}; {todo}") from None


def _reason(error: RevCollectionError) -> str:
    """Return why DVC could not say what a revision uses; it tells that in the cause alone."""
    cause = error.__cause__
    if isinstance(cause, CollectCacheError):
        place = str(cause).rpartition("directory ")[2]
        return f"{place} is neither in DVC's cache nor in a remote that answers"
    return said(cause) if isinstance(cause, DvcException) else said(error)


def _remedy(is_lost: bool, is_here: bool) -> list[str]:
    if is_here:  # DVC's own words name the file that is broken
        return ["`dvc pull` or `dvc repro` there"] if is_lost else []
    fetch = "`dvc fetch -aT`, or " if is_lost else ""
    return [f"{fetch}delete every branch and tag named here, if nobody needs it"]


def stores(command: str, repo: Repo) -> dict[str, Any]:
    """Return the cache and the remotes, each seen to list its objects, by what people call them.

    Raises `AssayError` that begins with `command` for one that does not.
    """
    found = {"the cache": repo.cache.local}
    if "dir" in repo.config["cache"]:  # the usual one lies in the checkout: if it is not there it was never filled
        with _reaching(f"{command}: the cache", "mount it, or fill it: `dvc fetch`"):
            _check_folder(Path(repo.cache.local.path))
    for name in repo.config["remote"]:
        todo = f"mount it, push to it once if that never was (`dvc push -r {name}`), or `dvc remote remove {name}`"
        with _reaching(f"{command}: remote {name!r}", todo):
            found[f"remote {name}"] = _listing(repo.cloud.get_remote_odb(name, command))
    return found


@contextmanager
def _reaching(what: str, todo: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever the client of that kind of remote raises
        words = " ".join(str(error).split()) or type(error).__name__
        raise AssayError(f"{what}: {words}; {todo}; nothing was touched") from None


def _listing(store: Any) -> Any:
    """Return the remote after beginning to list its objects; what is not there DVC itself lists as empty."""
    if store.fs.protocol == "local":
        _check_folder(Path(store.path))
    elif not store.fs.CAN_TRAVERSE:
        raise AssayError(f"DVC cannot list what lies over {store.fs.protocol}, so erase it there by other means")
    else:
        try:
            store.fs.ls(store.path, detail=False)
        except FileNotFoundError as error:  # where it has a cause, nobody answers
            raise AssayError(str(error.__cause__ or f"{store.path} is not there")) from None
        next(iter(store.all()), None)
    return store


def _check_folder(folder: Path) -> None:
    """Raise `AssayError` or `OSError` if the folder is not there, or it or a folder within it cannot be read."""
    for place in (*reversed(folder.parents), folder):
        if not place.is_dir():
            raise AssayError(f"{place} is {'no folder' if place.exists() else 'not there'}")
    for _ in os.walk(folder, onerror=_raise):
        pass


def _raise(error: OSError) -> NoReturn:
    raise error


def _used(found: dict[Any, set[Any]]) -> set[Any]:
    return {each for objects in found.values() for each in objects}


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


def reach(folder: Path) -> str:
    """Return why the default remote cannot be read, empty if it can."""
    try:
        with opened("remote", folder) as repo:
            odb = repo.cloud.get_remote_odb()
            odb.fs.info(odb.path)
    except FileNotFoundError as error:  # nothing was sent yet; or, where it has a cause, nobody answers
        return " ".join(str(error.__cause__ or "").split())
    except Exception as error:  # whatever the client of that kind of remote raises
        return " ".join(str(error).split())
    return ""


def push(folder: Path, stage: str | None = None) -> None:
    """Send the outputs, or those of one stage, to the default remote; raises `AssayError` if one did not arrive."""
    try:
        with opened("publish: dvc push", folder) as repo:
            repo.push(targets=[f"{folder / PIPELINE}:{stage}"] if stage else None)
    except OSError as error:  # a remote that is a folder says it so
        raise AssayError(f"publish: dvc push: {error}") from None
