"""The store: the batches that hold the original images, each written once, where it is not whole yet.

Writing is `begin` and `finish`, so that processes of this machine write while this one goes on. Batches of the ledger
that the source holds nothing of any more are dropped from the folder; DVC's cache keeps them.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from assay import backend, batch, chunk, code, ledger, memo
from assay.errors import AssayError
from assay.listing import Entry, Source

OFFSETS = pa.schema([("key", pa.string()), ("sha256", pa.string()), ("offset", pa.int64())])


@dataclass(frozen=True)
class Absent:
    """A batch to write."""

    file: Path
    members: tuple[tuple[str, Entry], ...]  # SHA-256 and where the image is
    read: Callable[[Entry], bytes]


@dataclass(frozen=True)
class Storing:
    members: "dict[Path, pd.Index[str]]"  # SHA-256 of those images of a batch that the source holds
    offsets: "dict[Path, pd.Series[int]]"  # where each image lies in the batches that are whole, by SHA-256
    absent: list[Path]
    begun: Iterator[dict[str, int]]  # the offsets of the absent ones, once they are written


def begin(images: Source, measured: pd.DataFrame, known: pd.DataFrame, raw: Path, remembered: Path) -> Storing:
    """Begin to write the batches of the ledger `known` that the folder `raw` does not have whole.

    `measured`: `path` and `sha256` (null: it could not be read) of the images of the source; `remembered`: the memo of
    the batches that were checked as they are.
    """
    here = measured.dropna(subset="sha256").drop_duplicates("sha256").set_index("sha256")["path"]
    members = {}
    for number in sorted(known["batch"].unique()):
        every = pd.Index(ledger.members(known, number), dtype="str")
        if len(held := every[here.index.get_indexer(every) >= 0]):
            members[raw / batch.name(number, every)] = held
    raw.mkdir(parents=True, exist_ok=True)
    checked = {key: rows.set_index("sha256")["offset"] for key, rows in _remembered(remembered).groupby("key")}
    found = {file: _offsets(file, checked) for file in members}
    whole = {file: of for file, of in found.items() if (of.index.get_indexer(members[file]) >= 0).all()}
    entries = {entry.path: entry for entry in images.entries if not entry.problem}
    absent = [file for file in members if file not in whole]
    work = [_absent(file, here[members[file]], entries, images) for file in absent]
    return Storing(members, whole, absent, _begun(work, images))


def _remembered(folder: Path) -> pd.DataFrame:
    return memo.frame(memo.read(folder, OFFSETS, code.fingerprint([batch])))


def _offsets(file: Path, checked: "dict[str, pd.Series[int]]") -> "pd.Series[int]":
    """Return where each image lies in a batch, by SHA-256; none are where it is absent or broken."""
    if (offsets := checked.get(memo.stamp(str(file)))) is not None:
        return offsets
    try:
        return pd.Series(batch.read_offsets(file), dtype="int64")
    except (FileNotFoundError, AssayError):
        return pd.Series(dtype="int64")


def _absent(file: Path, paths: "pd.Series[str]", entries: dict[str, Entry], images: Source) -> Absent:
    members = ((str(sha256), entries[path]) for sha256, path in paths.items())
    if images.has_files:
        members = ((sha256, chunk.absolute(entry)) for sha256, entry in members)
    return Absent(file.absolute(), tuple(members), images.read)


def _begun(work: list[Absent], images: Source) -> Iterator[dict[str, int]]:
    if backend.is_cluster() or not chunk.travels(images):
        return map(write, work)
    return backend.ahead(write, work, sum(len(each.members) for each in work))


def write(absent: Absent) -> dict[str, int]:
    """Write a batch, and return its offsets; raises `AssayError` if an image is not the one that was measured."""
    return batch.write(absent.file, _contents(absent))


def _contents(absent: Absent) -> Iterator[tuple[str, bytes]]:
    for sha256, entry in absent.members:
        content = absent.read(entry)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise AssayError(f"{entry.path}: changed while it was read; run it again")
        yield sha256, content


def finish(storing: Storing, raw: Path, remembered: Path) -> pd.DataFrame:
    """Return `sha256`, `batch` and `offset` of every image, when all batches are written."""
    written = zip(storing.absent, map(pd.Series, storing.begun), strict=True)
    offsets = storing.offsets | dict(written)
    for file in set(raw.iterdir()) - offsets.keys():
        file.unlink()
    if not offsets:
        return pd.DataFrame(columns=["sha256", "batch", "offset"])
    checked = [
        pd.DataFrame({"key": memo.stamp(str(file)), "sha256": of.index, "offset": of.to_numpy()})
        for file, of in offsets.items()
    ]
    rows = pa.Table.from_pandas(pd.concat(checked), OFFSETS, preserve_index=False)
    memo.write(remembered, rows, code.fingerprint([batch]))
    places = [
        pd.DataFrame({"sha256": held, "batch": file.name, "offset": held.map(offsets[file])})
        for file, held in storing.members.items()
    ]
    return pd.concat(places, ignore_index=True)
