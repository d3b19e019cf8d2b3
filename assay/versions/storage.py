"""What DVC's cache and remotes hold: looked for, brought, sent, removed."""

import hashlib
import io
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from dvc.exceptions import (
    CheckoutError,
    CollectCacheError,
    DownloadError,
    DvcException,
    NoOutputOrStageError,
    RevCollectionError,
)
from dvc.repo import Repo
from dvc_data.hashfile.gc import gc as garbage

from assay import progress
from assay.errors import AssayError
from assay.versions.dvc_repo import PIPELINE, WORKSPACE, opened, quiet, said

SMALL_BYTES = 4 * 2**20  # of a file of the cache: read each time


def remote(folder: Path) -> str | None:
    """Return the name of the default DVC remote, None if there is none."""
    with opened("remote", folder) as repo:
        name: str | None = repo.config["core"].get("remote")
        return name


def checkout(folder: Path) -> None:
    """Put every output in place that is in the cache; what is not there is pulled, where there is a remote.

    What neither has stays away: the stage that makes it will run.
    """
    with opened("checkout", folder) as repo, quiet():
        if repo.config["core"].get("remote"):
            with suppress(DownloadError), progress.told("fetching from the remote", has_bar=True):
                repo.fetch()
        repo.checkout(force=True, allow_missing=True)


def bring(files: list[Path], folder: Path) -> list[Path]:
    """Put these outputs, or files of them, in place from the cache or the remote; return those that neither has."""
    with opened("pull", folder) as repo, quiet():
        for file in files:
            with suppress(CheckoutError, DownloadError, NoOutputOrStageError):
                with progress.told(f"fetching {file}", has_bar=True):
                    repo.fetch(targets=[str(file)])
                repo.checkout(targets=[str(file)], force=True, allow_missing=True)
    return [file for file in files if not file.exists()]


def damaged(folder: Path, share: float = 1.0, *, delete: bool = True) -> list[Path]:
    """Delete what is no longer the bytes that its name says from the cache, and return it: of what this checkout uses.

    `share` of the large files, in [0, 1], is read, another part every day, and every small one; DVC itself never looks.
    What was deleted is pulled from a remote, or made anew by its stage.
    """
    with opened("cache", folder) as repo, quiet():
        cache = repo.cache.local
        used = _used(
            repo.used_objs(force=True)
        )  # a folder that is not in the cache is no damage, nor to be asked about
        places = {Path(cache.oid_to_path(each.value)): each.value for each in used}
    day = int(time.time() // 86_400)
    found = []
    for place, name in sorted(places.items()):
        in_turn = share >= 1 or (int(name[:8], 16) + day) % max(1, round(1 / share)) == 0
        if not place.exists() or not (in_turn or place.stat().st_size <= SMALL_BYTES):
            continue
        if _md5(place) != name.partition(".")[0]:
            found.append(place)
            if delete:
                place.chmod(0o644)
                place.unlink()
    return found


@dataclass(frozen=True, kw_only=True)
class Lost:
    """Outputs of which DVC's cache has not all, by what lies in their place."""

    linked: list[Path]  # links into the cache, which lead nowhere
    only_here: list[Path]  # what DVC recorded, or another run's
    absent: list[Path]  # nothing: they were not made or pulled yet


def lost(folder: Path) -> Lost:
    """Return the outputs in dvc.lock that the cache does not hold, whole."""
    with opened("cache", folder) as repo, quiet():
        outs = [out for out in repo.index.outs if out.use_cache and out.hash_info]
        gone = [Path(out.fs_path) for out in outs if not _is_whole(repo.cache.local, out)]
        links = [Path(out.fs_path) for out in outs if _leads_nowhere(Path(out.fs_path))]
    shown = {place: place.relative_to(folder.absolute()) for place in (*gone, *links)}
    return Lost(
        linked=[shown[place] for place in links],
        only_here=[shown[place] for place in gone if place not in links and place.exists()],
        absent=[shown[place] for place in gone if place not in links and not place.exists()],
    )


def _is_whole(cache: Any, out: Any) -> bool:
    if not cache.exists(out.hash_info.value):
        return False
    tree = out.get_obj() if out.hash_info.isdir else None
    return tree is None or all(cache.exists(each.value) for _, _, each in tree)


def _leads_nowhere(place: Path) -> bool:
    """Say whether the output, or a file of it, is a link to what is not there."""
    files = place.rglob("*") if place.is_dir() else [place]
    return any(file.is_symlink() and not file.exists() for file in files)


def _md5(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "md5").hexdigest()


def collect(revisions: Mapping[str, str], worktrees: list[Path], folder: Path, *, dry: bool) -> int:
    """Delete from the cache all that none of the revisions, this checkout and the worktrees use; return how many.

    `revisions`: commits, with what people call them. Raises `AssayError` if one of them cannot be read, or what a
    folder of it holds is not known: nothing is deleted then.
    """
    with opened("clean", folder, locked=True) as repo, quiet():
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
        with opened("publish: dvc push", folder) as repo, progress.told("sending to the remote", has_bar=True):
            repo.push(targets=[f"{folder / PIPELINE}:{stage}"] if stage else None)
    except OSError as error:  # a remote that is a folder says it so
        raise AssayError(f"publish: dvc push: {error}") from None
