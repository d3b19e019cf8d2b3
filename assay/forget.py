"""Forget: remove images for good, from the batches and from every copy that DVC keeps of them.

The ledger keeps the SHA-256 of a forgotten image, so that it is never stored again; its batch is written anew without
it. Every version of a batch, a shard or a report in DVC's cache and remotes that names the SHA-256 is deleted, so an
earlier commit that used the image cannot be checked out whole any more. What a model learned from it stays there.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from assay import batch, ledger, manifest, params, tracking
from assay.errors import AssayError

BLOCK_BYTES = 2**24
SHA256_DIGITS = 64


def forget(names: list[str], p: params.Params) -> str:
    """Return what was done. `names`: paths of the manifest or SHA-256; it can be called again after a kill.

    Raises `AssayError` for a name that is neither, before anything is touched, and while DVC works in the checkout.
    """
    hashes = _hashes(names, p.paths)
    with tracking.opened("forget", locked=True) as repo:
        n_batches = _rewrite(hashes, p.paths)
        _drop(hashes, p.paths)
        dropped = {where: _purge(store, hashes) for where, store in _stores(repo)}
    kept = ", ".join(f"{n:,} objects in {where}" for where, n in dropped.items())
    return f"{len(hashes):,} images forgotten: {n_batches:,} batches written anew, deleted {kept}; next: dvc repro"


def _hashes(names: list[str], paths: params.Paths) -> set[str]:
    """Return the SHA-256 that the names stand for."""
    known = set(ledger.read(paths.ledger)["sha256"])
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
    before = ledger.read(paths.ledger)
    stored = before[before["sha256"].isin(hashes) & (before["split"] != ledger.FORGOTTEN)]
    after = ledger.forget(before, hashes)
    # Before the ledger, which nobody asks for the old ones once it says forgotten.
    old = [_without(int(number), before, after, paths.raw) for number in stored["batch"].unique()]
    ledger.write(paths.ledger, after)
    for file in old:
        file.unlink(missing_ok=True)
    return len(old)


def _without(number: int, before: pd.DataFrame, after: pd.DataFrame, raw: Path) -> Path:
    """Return the file of the batch as it was, after writing it as it shall be."""
    members, left = ledger.members(before, number), set(ledger.members(after, number))
    old, new = raw / batch.name(number, members), raw / batch.name(number, left)
    if old != new and left:
        if not old.exists():
            raise AssayError(
                f"forget: {old} is not here, and the rest of it would be lost; run `dvc checkout` or `dvc pull`"
            )
        batch.write(new, (each for each in batch.read(old) if each[0] in left))
    return old


def _drop(hashes: set[str], paths: params.Paths) -> None:
    """Delete what else shows the images here: shards and reports that name them, and the memos."""
    for memo in (paths.memo.images, paths.memo.batches, paths.memo.pairs):
        shutil.rmtree(memo, ignore_errors=True)
    for folder in (paths.raw, paths.records, paths.evaluation, paths.validation, paths.verification):
        for file in folder.glob("*"):
            with file.open("rb") as content:
                named = _names(content, hashes)
            if named:
                file.unlink()


def _purge(store: Any, hashes: set[str]) -> int:
    """Return how many objects of a cache or remote held or named the images; they are deleted."""
    n_deleted = 0
    for oid in list(store.all()):
        with store.fs.open(store.oid_to_path(oid), "rb") as content:
            named = _names(content, hashes)
        if named:
            store.delete(oid)
            n_deleted += 1
    return n_deleted


def _names(content: BinaryIO, hashes: set[str]) -> bool:
    """Say whether one of the SHA-256 stands in the content: as a tar's member, a record's feature or in a text."""
    wanted, tail = re.compile("|".join(sorted(hashes)).encode()), b""
    while part := content.read(BLOCK_BYTES):
        if wanted.search(tail + part):
            return True
        tail = part[-SHA256_DIGITS:]
    return False


def _stores(repo: Any) -> Iterator[tuple[str, Any]]:
    yield "the cache", repo.cache.local
    for name in repo.config["remote"]:
        yield f"remote {name}", repo.cloud.get_remote_odb(name, "push")
