"""Forget: remove images for good, from the batches and from every copy that DVC keeps of them.

The ledger keeps the SHA-256 of a forgotten image, so that it is never stored again; its batch is written anew without
it. Every version of a batch, a shard or a report in DVC's cache and remotes that names the SHA-256 is deleted, so an
earlier commit that used the image cannot be checked out whole any more. So is what lies in `.assay`: reports of
retrainings and of looks at new images that name it, memos, and the checkout of a retraining that failed. What a model
learned from it stays there.
"""

import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from assay import params, state, words
from assay.dataset import batches, manifest, splits
from assay.errors import AssayError
from assay.versions import dvc_repo, lock, storage, worktree

BLOCK_BYTES = 2**24
SHA256_DIGITS = 64


def forget(names: list[str], p: params.Params) -> str:
    """Return what was done. `names`: paths of the manifest or SHA-256; it can be called again after a kill.

    Raises `AssayError`, before anything is touched, for a name that is neither, a remote that cannot be reached, and
    while a retraining or DVC works in the checkout.
    """
    hashes = _hashes(names, p.paths)
    with _alone(), dvc_repo.opened("forget", locked=True) as repo:
        stores = storage.stores("forget", repo)
        n_batches = _rewrite(hashes, p.paths)
        _drop(hashes, p.paths)
        _drop_kept(hashes)
        dropped = {where: _purge(where, store, hashes) for where, store in stores.items()}
    deleted = ", ".join(f"{words.counted(n, 'object')} in {where}" for where, n in dropped.items())
    anew = f"{n_batches:,} batch{'es' * (n_batches != 1)} written anew"
    return f"{words.counted(len(hashes), 'image')} forgotten: {anew}, deleted {deleted}; next: dvc repro"


@contextmanager
def _alone() -> Iterator[None]:
    """Keep retrainings out, and stages of those elsewhere; raises `AssayError` while one is at work."""
    with lock.taken("forget") as is_free, lock.taken("forget", state.STAGES) as is_free_of_stages:
        if not is_free:
            raise AssayError(f"forget: a retraining has this checkout ({lock.FILE} is locked); wait for its end")
        if not is_free_of_stages:
            raise AssayError(f"forget: a stage runs in {state.STAGES}, for a retraining elsewhere; wait for its end")
        yield


def _hashes(names: list[str], paths: params.Paths) -> set[str]:
    """Return the SHA-256 that the names stand for."""
    known = set(splits.read(paths.ledger)["sha256"])
    rows = manifest.read(paths.manifest) if paths.manifest.exists() else pd.DataFrame({"path": [], "sha256": []})
    by_path = rows.dropna(subset="sha256").groupby("path")["sha256"].agg(set).to_dict()
    if unknown := [name for name in names if name not in known and name not in by_path]:
        more = f" and {len(unknown) - 5:,} more" if len(unknown) > 5 else ""
        raise AssayError(
            f"forget: no image is called {', '.join(map(repr, unknown[:5]))}{more}; a name is a path as in "
            f"{paths.manifest}, or a SHA-256 of {paths.ledger}"
        )
    return set().union(*({name} if name in known else by_path[name] for name in names))


def _rewrite(hashes: set[str], paths: params.Paths) -> int:
    """Write the batches without the images and mark these in the ledger; return how many batches."""
    before = splits.read(paths.ledger)
    stored = before[before["sha256"].isin(hashes) & (before["split"] != splits.FORGOTTEN)]
    after = splits.forget(before, hashes)
    # Before the ledger, which nobody asks for the old ones once it says forgotten.
    old = [_without(int(number), before, after, paths.raw) for number in stored["batch"].unique()]
    splits.write(paths.ledger, after)
    for file in old:
        file.unlink(missing_ok=True)
    return len(old)


def _without(number: int, before: pd.DataFrame, after: pd.DataFrame, raw: Path) -> Path:
    """Return the file of the batch as it was, after writing it as it shall be."""
    members, left = splits.members(before, number), set(splits.members(after, number))
    old, new = raw / batches.name(number, members), raw / batches.name(number, left)
    if old != new and left:
        if not old.exists():
            raise AssayError(
                f"forget: {old} is not here, and the rest of it would be lost; run `dvc checkout` or `dvc pull`"
            )
        batches.write(new, (each for each in batches.read(old) if each[0] in left))
    return old


def _drop(hashes: set[str], paths: params.Paths) -> None:
    """Delete what else shows the images here: shards and reports that name them, and the memos."""
    of_looks = state.LOOKS / "memo"
    memo = paths.memo
    for folder in (memo.images, memo.batches, memo.pairs, memo.proofs, of_looks, state.CONTENTS, state.MEMO):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in (paths.raw, paths.records, paths.evaluation, paths.verdict, paths.validation, paths.verification):
        for file in _naming(folder.glob("*"), hashes):
            file.unlink()


def _drop_kept(hashes: set[str]) -> None:
    """Delete the kept reports that name the images, each whole, and the checkouts that retrainings left."""
    for kept in (state.RUNS, state.LOOKS / "reports"):
        for report in kept.glob("*"):
            files = [file for file in report.rglob("*") if file.is_file()]
            if naming := _naming(files, hashes):
                # Those that name none go first: a sheet of thumbnails would be found by nobody after a kill.
                for file in set(files) - set(naming):
                    file.unlink()
                shutil.rmtree(report)
    for place in (state.CHECKOUT, state.STAGES / state.CHECKOUT.name):
        if place.exists():
            worktree.remove(place=place)


def _purge(where: str, store: Any, hashes: set[str]) -> int:
    """Return how many objects of a cache or remote held or named the images; they are deleted."""
    n_deleted = 0
    try:
        for oid in list(store.all()):
            with store.fs.open(store.oid_to_path(oid), "rb") as content:
                named = _names(content, hashes)
            if named:
                store.delete(oid)
                n_deleted += 1
    except Exception as error:  # whatever the client of that kind of remote raises
        said = " ".join(str(error).split()) or type(error).__name__
        raise AssayError(f"forget: {where}: {said}; it may still hold the images: forget them again") from None
    return n_deleted


def _naming(files: Iterable[Path], hashes: set[str]) -> list[Path]:
    """Return the files in which one of the SHA-256 stands."""
    found = []
    for file in files:
        with file.open("rb") as content:
            if _names(content, hashes):
                found.append(file)
    return found


def _names(content: BinaryIO, hashes: set[str]) -> bool:
    """Say whether one of the SHA-256 stands in the content: as a tar's member, a record's feature or in a text."""
    wanted, tail = re.compile("|".join(sorted(hashes)).encode()), b""
    while part := content.read(BLOCK_BYTES):
        if wanted.search(tail + part):
            return True
        tail = part[-SHA256_DIGITS:]
    return False
