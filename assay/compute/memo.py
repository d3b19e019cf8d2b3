"""What earlier runs found out about files, so that only new bytes are read.

A memo may be lost at any time: it saves time and changes no result. It is a folder of Arrow files that together are one
table, with a row per `key`, which names a file in one state (`stamp`); it holds only for the code that made it. Long
work adds a part now and then, so that a kill costs no more than the last one. Its rows are read from the disk as they
are used. Where the disk takes none, the work goes on with its rows in memory, and the next run does it again.
"""

import errno
import mmap
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakSet

import numpy as np
import pandas as pd
import pyarrow as pa

from assay import files

MADE_BY = b"made_by"
PIECE = 100_000  # rows in memory while a part is written
REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EIO)

# The first alone: from then on nothing is written, so that all that lies there fits together.
_refused: list[OSError] = []
_held: dict[Path, list[pa.Table]] = {}  # by folder: what was not written
_replaced: set[Path] = set()  # folders of which what lies there counts no more
_mapped: WeakSet[mmap.mmap] = WeakSet()  # files whose rows somebody holds


@contextmanager
def spared() -> Iterator[None]:
    """Let the disk refuse what the block writes, for it only spares work; people are told once."""
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        if not _refused:
            where = error.filename or "paths.memo of params.yaml"
            print(f"{where}: {error.strerror}; the work goes on, and the next run does it again", file=sys.stderr)
        _refused.append(error)


def stamp(place: str) -> str:
    """Return what names the local file as it is now: place, size, time and inode; empty if there is none."""
    try:
        status = os.stat(place)  # noqa: PTH116  (there may be a million)
    except OSError:
        return ""
    # A name that is not UTF-8 cannot be written to a memo as it is.
    named = place.encode("utf-8", "backslashreplace").decode()
    return f"{named}\n{status.st_size} {status.st_mtime_ns} {status.st_ino}"


def read(folder: Path, schema: pa.Schema, made_by: str) -> pa.Table:
    """Return the rows of all parts but those that are broken, of another schema or made by other code.

    A key may be there twice, after a kill: with equal rows.
    """
    lying = [] if folder.absolute() in _replaced else [_read_part(file) for file in _parts(folder)]
    current = schema.with_metadata({MADE_BY: made_by.encode()})
    parts = [*lying, *_held.get(folder.absolute(), [])]
    usable = [part for part in parts if part is not None and part.schema.equals(current, check_metadata=True)]
    return pa.concat_tables([part.replace_schema_metadata(None) for part in usable] or [schema.empty_table()])


def add(folder: Path, rows: pa.Table, made_by: str, kept: np.ndarray | None = None) -> None:
    """Write the rows, of which only some may be `kept`, as one more part."""
    schema = rows.schema.with_metadata({MADE_BY: made_by.encode()})
    if not _written(folder, rows, schema, kept):
        _hold(folder, rows, schema, kept)


def write(folder: Path, rows: pa.Table, made_by: str, kept: np.ndarray | None = None) -> None:
    """Make the rows, or those that are `kept`, all that the memo holds."""
    schema = rows.schema.with_metadata({MADE_BY: made_by.encode()})
    if only := _written(folder, rows, schema, kept):
        for part in set(_parts(folder)) - {only}:
            part.unlink(missing_ok=True)  # another process may tidy it too
    else:
        _held.pop(folder.absolute(), None)
        _replaced.add(folder.absolute())
        _hold(folder, rows, schema, kept)


def _written(folder: Path, rows: pa.Table, schema: pa.Schema, kept: np.ndarray | None) -> Path | None:
    """Return the file of the part that was written; None: the disk refuses, now or before."""
    with spared():
        if _refused:
            return None
        last = int(_parts(folder)[-1].stem) if _parts(folder) else 0
        part = folder / f"{last + 1:09d}.arrow"
        with files.replacing(part) as out, pa.ipc.new_file(out, schema) as writer:
            for piece in _pieces(rows, kept):
                writer.write_table(piece.replace_schema_metadata(schema.metadata).combine_chunks())
        return part
    return None


def _hold(folder: Path, rows: pa.Table, schema: pa.Schema, kept: np.ndarray | None) -> None:
    whole = pa.concat_tables(list(_pieces(rows, kept)) or [rows]).replace_schema_metadata(schema.metadata)
    _held.setdefault(folder.absolute(), []).append(whole)


def _pieces(rows: pa.Table, kept: np.ndarray | None) -> Iterator[pa.Table]:
    for start in range(0, len(rows), PIECE):
        piece = rows.slice(start, PIECE)
        yield piece if kept is None else piece.filter(pa.array(kept[start : start + PIECE]))


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.arrow"))


def _read_part(file: Path) -> pa.Table | None:
    try:
        with file.open("rb") as content:
            mapped = mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ)
        rows: pa.Table = pa.ipc.open_file(pa.py_buffer(mapped)).read_all()
    except (pa.ArrowException, OSError, ValueError):  # the last: nothing is in it
        return None
    _mapped.add(mapped)
    return rows


def unload() -> None:
    """Let go of the pages of all rows that were read: they stay usable, and are read again when they are looked at.

    The system would take them where it lacks memory; until then they count as memory of this process.
    """
    for each in list(_mapped):
        each.madvise(mmap.MADV_DONTNEED)


def frame(rows: pa.Table) -> pd.DataFrame:
    """Return the rows as a frame, numbers that may be missing as Int64."""
    return rows.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
