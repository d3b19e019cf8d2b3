"""The store: the batches that hold the original images, each written once, where it is not whole yet.

Within `writing` processes of this machine write while this one goes on, each at its own part of a batch: where an image
will lie is known from the sizes. `finish` waits for them. Batches of the ledger that the source holds nothing of any
more are dropped from the folder; DVC's cache keeps them.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from assay.compute import backend, fingerprint, memo
from assay.dataset import batches, splits
from assay.errors import AssayError
from assay.ingestion import chunk
from assay.sources.listing import Entry, Source

OFFSETS = pa.schema([("key", pa.string()), ("sha256", pa.string()), ("offset", pa.int64())])
PART_BYTES = 64 << 20  # of a batch, written by one process at a time


@dataclass(frozen=True)
class Part:
    """Some images to write into a batch that is not whole yet."""

    file: Path
    offset: int  # of the first
    members: tuple[tuple[str, Entry], ...]  # SHA-256 and where the image is
    read: Callable[[Entry], bytes]


@dataclass(frozen=True)
class Storing:
    members: "dict[Path, pd.Index[str]]"  # SHA-256 of those images of a batch that the source holds
    offsets: "dict[Path, pd.Series[int]]"  # where each image lies, or will lie, by SHA-256
    parts: list[Path]  # the batch of each part that is being written
    written: Iterator[Exception | None]  # what came in the way of each part


@contextmanager
def writing(
    images: Source, measured: pd.DataFrame, known: pd.DataFrame, raw: Path, remembered: Path
) -> Iterator[Storing]:
    """Begin to write the batches of the ledger `known` that the folder `raw` does not have whole.

    `measured`: `path`, `sha256` (null: it could not be read) and `bytes` of the images of the source; `remembered`: the
    memo of the batches that were checked as they are. What is not whole when the block ends is gone.
    """
    storing = _begun(images, measured, known, raw, remembered)
    try:
        yield storing
    finally:
        for file in storing.parts:
            _unfinished(file).unlink(missing_ok=True)
        for _ in storing.written:  # to the end, which is near now: work that is broken off makes loky complain
            pass


def _begun(images: Source, measured: pd.DataFrame, known: pd.DataFrame, raw: Path, remembered: Path) -> Storing:
    here = measured.dropna(subset="sha256").drop_duplicates("sha256").set_index("sha256")[["path", "bytes"]]
    members = {}
    for number in sorted(known["batch"].unique()):
        every = pd.Index(splits.members(known, number), dtype="str")
        if len(held := every[here.index.get_indexer(every) >= 0]):
            members[raw / batches.name(number, every)] = held
    raw.mkdir(parents=True, exist_ok=True)
    checked = {key: rows.set_index("sha256")["offset"] for key, rows in _remembered(remembered).groupby("key")}
    found = {file: _offsets(file, checked) for file in members}
    whole = {file: of for file, of in found.items() if (of.index.get_indexer(members[file]) >= 0).all()}
    entries = {entry.path: entry for entry in images.entries if not entry.problem}
    planned = {file: _laid_out(file, here.loc[held]) for file, held in members.items() if file not in whole}
    work = [(file, part) for file, of in planned.items() for part in _parts(file, of, here["path"], entries, images)]
    written = _written([part for _, part in work], images)
    return Storing(members, whole | planned, [file for file, _ in work], written)


def _remembered(folder: Path) -> pd.DataFrame:
    return memo.frame(memo.read(folder, OFFSETS, fingerprint.fingerprint([batches])))


def _offsets(file: Path, checked: "dict[str, pd.Series[int]]") -> "pd.Series[int]":
    """Return where each image lies in a batch, by SHA-256; none are where it is absent or broken."""
    if (offsets := checked.get(memo.stamp(str(file)))) is not None:
        return offsets
    try:
        return pd.Series(batches.read_offsets(file), dtype="int64")
    except (FileNotFoundError, AssayError):
        return pd.Series(dtype="int64")


def _laid_out(file: Path, images: pd.DataFrame) -> "pd.Series[int]":
    """Make the file that the batch is written to, and return where each image will lie in it, by SHA-256."""
    offsets, size = batches.layout(images["bytes"].tolist())
    try:
        with _unfinished(file).open("wb") as out:
            out.truncate(size)
    except OSError:  # a full disk
        _unfinished(file).unlink(missing_ok=True)
        raise
    return pd.Series(offsets, index=images.index, dtype="int64")


def _unfinished(file: Path) -> Path:
    """Return the file that this run, and no other, writes in place of the batch until it is whole."""
    return file.with_name(f".{file.name}.{os.getpid()}.tmp")


def _parts(
    file: Path, offsets: "pd.Series[int]", paths: "pd.Series[str]", entries: dict[str, Entry], images: Source
) -> list[Part]:
    unfinished = _unfinished(file).absolute()
    found = []
    for _, some in offsets.groupby(offsets // PART_BYTES):
        of = ((str(sha256), entries[path]) for sha256, path in paths[some.index].items())
        members = tuple((sha256, chunk.absolute(entry) if images.has_files else entry) for sha256, entry in of)
        found.append(Part(unfinished, int(some.iloc[0]), members, images.read))
    return found


def _written(work: list[Part], images: Source) -> Iterator[Exception | None]:
    if backend.is_cluster() or not chunk.travels(images):
        return map(write, work)
    return backend.ahead(write, work, sum(len(part.members) for part in work))


def write(part: Part) -> Exception | None:
    """Write a part of a batch, and return what came in the way; nothing is done if the batch was given up.

    It is an `AssayError` if an image is not the one that was measured.
    """
    try:
        if part.file.exists():
            batches.write_part(part.file, part.offset, _contents(part))
    except (AssayError, OSError) as error:
        return error
    return None


def _contents(part: Part) -> Iterator[tuple[str, bytes]]:
    for sha256, entry in part.members:
        try:
            content = part.read(entry)
        except OSError as error:
            raise AssayError(
                f"{entry.path}: could be read when it was measured: {error.strerror}; run it again"
            ) from None
        if hashlib.sha256(content).hexdigest() != sha256:
            raise AssayError(f"{entry.path}: changed while it was read; run it again")
        yield sha256, content


def finish(storing: Storing, raw: Path, remembered: Path) -> pd.DataFrame:
    """Return `sha256`, `batch` and `offset` of every image, when all batches are written."""
    _await(storing)
    offsets = storing.offsets
    for file in set(raw.iterdir()) - offsets.keys():
        file.unlink(missing_ok=True)
    if not offsets:
        return pd.DataFrame(columns=["sha256", "batch", "offset"])
    checked = [
        pd.DataFrame({"key": memo.stamp(str(file)), "sha256": of.index, "offset": of.to_numpy()})
        for file, of in offsets.items()
    ]
    rows = pa.Table.from_pandas(pd.concat(checked), OFFSETS, preserve_index=False)
    memo.write(remembered, rows, fingerprint.fingerprint([batches]))
    places = [
        pd.DataFrame({"sha256": held, "batch": file.name, "offset": held.map(offsets[file])})
        for file, held in storing.members.items()
    ]
    return pd.concat(places, ignore_index=True)


def _await(storing: Storing) -> None:
    """Wait for each batch, and put it in its place; raises `AssayError` if another run removed it."""
    left = Counter(storing.parts)
    for file, error in zip(storing.parts, storing.written, strict=True):
        if error:
            raise error
        left[file] -= 1
        if not left[file]:
            _put(file)


def _put(file: Path) -> None:
    try:
        _unfinished(file).replace(file)
    except FileNotFoundError:
        raise AssayError(f"{file}: another `ingest` ended here meanwhile; run it again, one at a time") from None
