"""What earlier runs found out about files, so that only new bytes are read.

A memo may be lost at any time: it saves time and changes no result. It is a folder of Arrow files that together are one
table, with a row per `key`, which names a file in one state (`stamp`); it holds only for the code that made it. Long
work adds a part now and then, so that a kill costs no more than the last one. Its rows are read from the disk as they
are used.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from assay import files

MADE_BY = b"made_by"
PIECE = 100_000  # rows in memory while a part is written


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
    parts = [_read_part(file) for file in _parts(folder)]
    current = schema.with_metadata({MADE_BY: made_by.encode()})
    usable = [part for part in parts if part is not None and part.schema.equals(current, check_metadata=True)]
    return pa.concat_tables([part.replace_schema_metadata(None) for part in usable] or [schema.empty_table()])


def add(folder: Path, rows: pa.Table, made_by: str, kept: np.ndarray | None = None) -> Path:
    """Write the rows, of which only some may be `kept`, as one more part, and return its file."""
    last = int(_parts(folder)[-1].stem) if _parts(folder) else 0
    part = folder / f"{last + 1:09d}.arrow"
    schema = rows.schema.with_metadata({MADE_BY: made_by.encode()})
    with files.replacing(part) as out, pa.ipc.new_file(out, schema) as writer:
        for start in range(0, len(rows), PIECE):
            piece = rows.slice(start, PIECE)
            piece = piece if kept is None else piece.filter(pa.array(kept[start : start + PIECE]))
            writer.write_table(piece.replace_schema_metadata(schema.metadata).combine_chunks())
    return part


def write(folder: Path, rows: pa.Table, made_by: str, kept: np.ndarray | None = None) -> None:
    """Make the rows, or those that are `kept`, all that the memo holds."""
    only = add(folder, rows, made_by, kept)
    for part in set(_parts(folder)) - {only}:
        part.unlink()


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.arrow"))


def _read_part(file: Path) -> pa.Table | None:
    try:
        return pa.ipc.open_file(pa.memory_map(str(file))).read_all()
    except (pa.ArrowException, OSError):
        return None


def frame(rows: pa.Table) -> pd.DataFrame:
    """Return the rows as a frame, numbers that may be missing as Int64."""
    return rows.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
