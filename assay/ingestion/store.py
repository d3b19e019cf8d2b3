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
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from assay.compute import backend, fingerprint, memo
from assay.dataset import batches, lookup, splits
from assay.errors import AssayError
from assay.ingestion import chunk
from assay.sources.listing import Entry, Source

# The key stands once for all images of a batch.
OFFSETS = pa.schema([("key", pa.dictionary(pa.int32(), pa.string())), ("sha256", pa.string()), ("offset", pa.int64())])
PART_BYTES, PART_IMAGES = 64 << 20, 5_000  # of a batch, written by one process at a time: at most


@dataclass(frozen=True)
class Part:
    """Some images to write into a batch that is not whole yet."""

    file: Path
    offset: int  # of the first
    members: tuple[tuple[str, Entry], ...]  # SHA-256 and where the image is
    read: Callable[[Entry], bytes]


@dataclass(frozen=True)
class Storing:
    places: pd.DataFrame  # `sha256`, `batch` and `offset` of each image of the source, as it lies or will lie
    offsets: dict[Path, pd.DataFrame]  # `sha256` and `offset` of all that a batch holds, or will hold
    parts: list[Path]  # the batch of each part that is being written
    written: Iterator[Exception | None]  # what came in the way of each part


@contextmanager
def writing(
    images: Source, measured: pd.DataFrame, known: pd.DataFrame, raw: Path, remembered: Path
) -> Iterator[Storing]:
    """Begin to write the batches of the ledger `known` that the folder `raw` does not have whole.

    `measured`: `sha256` (null: it could not be read) and `bytes` of the images of the source, in the order of its
    listing; `remembered`: the memo of the batches that were checked as they are. What is not whole when the block ends
    is gone.
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
    raw.mkdir(parents=True, exist_ok=True)
    checked = _remembered(remembered)
    offsets, places, work = {}, [], []
    for number, held in _held(measured, known).groupby("number"):
        every = splits.members(known, int(number))
        file = raw / batches.name(int(number), every)
        offsets[file] = _offsets(file, checked)
        at = lookup.places(offsets[file]["sha256"], held["sha256"])
        if (at < 0).any():
            offsets[file] = _laid_out(file, held)
            work += [(file, part) for part in _parts(held.assign(offset=offsets[file]["offset"]))]
            at = np.arange(len(held))
        places.append(held[["sha256"]].assign(batch=file.name, offset=offsets[file]["offset"].to_numpy()[at]))
    parts = (_part(file, part, images) for file, part in work)
    backend.hand_back_memory()
    written = _written(parts, sum(len(part) for _, part in work), images)
    whole = pd.concat(places, ignore_index=True) if places else pd.DataFrame(columns=["sha256", "batch", "offset"])
    return Storing(whole, offsets, [file for file, _ in work], written)


def _held(measured: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Return `sha256`, `bytes` and `number` of the batch of each content of the source, in the order of the batches.

    The index is the place in the listing.
    """
    here = measured.loc[measured["sha256"].notna(), ["sha256", "bytes"]].drop_duplicates("sha256")
    stored = known[known["split"] != splits.FORGOTTEN]
    at = lookup.places(stored["sha256"], here["sha256"])
    here = here[at >= 0].assign(number=stored["batch"].to_numpy()[at[at >= 0]]).sort_values("sha256")
    return here.sort_values("number", kind="stable")


def _remembered(folder: Path) -> dict[str, pd.DataFrame]:
    rows = memo.frame(memo.read(folder, OFFSETS, fingerprint.fingerprint([batches])))
    return {str(key): of_batch[["sha256", "offset"]] for key, of_batch in rows.groupby("key", observed=True)}


def _offsets(file: Path, checked: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return where each image lies in a batch; none are where it is absent or broken."""
    if (offsets := checked.get(memo.stamp(str(file)))) is not None:
        return offsets
    try:
        found = batches.read_offsets(file)
    except (FileNotFoundError, AssayError):
        found = {}
    return pd.DataFrame({"sha256": pd.Series(list(found), dtype="str"), "offset": list(found.values())})


def _laid_out(file: Path, images: pd.DataFrame) -> pd.DataFrame:
    """Make the file that the batch is written to, and return where each image will lie in it."""
    offsets, size = batches.layout(images["bytes"].tolist())
    try:
        with _unfinished(file).open("wb") as out:
            out.truncate(size)
    except OSError:  # a full disk
        _unfinished(file).unlink(missing_ok=True)
        raise
    return images[["sha256"]].assign(offset=offsets)


def _unfinished(file: Path) -> Path:
    """Return the file that this run, and no other, writes in place of the batch until it is whole."""
    return file.with_name(f".{file.name}.{os.getpid()}.tmp")


def _parts(images: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the rows of each part, in their order; they are not copied."""
    in_bytes, in_images = images["offset"].to_numpy() // PART_BYTES, np.arange(len(images)) // PART_IMAGES
    ends = np.flatnonzero((np.diff(in_bytes) > 0) | (np.diff(in_images) > 0)) + 1
    return [images.iloc[start:end] for start, end in pairwise([0, *ends, len(images)])]


def _part(file: Path, rows: pd.DataFrame, images: Source) -> Part:
    entries = images.entries.at(rows.index.tolist())
    found = (chunk.absolute(entry) if images.has_files else entry for entry in entries)
    members = tuple(zip(map(str, rows["sha256"]), found, strict=True))
    return Part(_unfinished(file).absolute(), int(rows["offset"].iloc[0]), members, images.read)


def _written(work: Iterator[Part], n_images: int, images: Source) -> Iterator[Exception | None]:
    if backend.is_cluster() or not chunk.travels(images):
        return map(write, work)
    return backend.ahead(write, work, n_images)


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
    for file in set(raw.iterdir()) - storing.offsets.keys():
        file.unlink(missing_ok=True)
    if storing.offsets:
        checked = pa.concat_tables(_checked(file, of) for file, of in storing.offsets.items()).unify_dictionaries()
        memo.write(remembered, checked, fingerprint.fingerprint([batches]))
    return storing.places


def _checked(file: Path, offsets: pd.DataFrame) -> pa.Table:
    key = pd.Categorical.from_codes(np.zeros(len(offsets), np.int8), [memo.stamp(str(file))])
    return pa.Table.from_pandas(offsets.assign(key=key), OFFSETS, preserve_index=False)


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
