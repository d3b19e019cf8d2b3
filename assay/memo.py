"""What earlier runs found out about files, so that only new bytes are read.

A memo may be lost at any time: it saves time and changes no result. It is a table with a row per `key`, which names a
file in one state (`stamp`), and it holds only for the code that made it.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import pandas as pd
import PIL
import pyarrow as pa
import pyarrow.parquet as pq

from assay import files

MADE_BY = b"made_by"


def stamp(place: str) -> str:
    """Return what names the local file as it is now: place, size, time and inode; empty if there is none."""
    try:
        status = os.stat(place)  # noqa: PTH116  (there may be a million)
    except OSError:
        return ""
    return f"{place}\n{status.st_size} {status.st_mtime_ns} {status.st_ino}"


def code(modules: Iterable[ModuleType]) -> str:
    """Return a hash over the source of the modules and the version of Pillow: what the rows depend on."""
    parts = [files.sha256(Path(str(module.__file__))) for module in modules]
    return hashlib.sha256("".join([*parts, PIL.__version__]).encode()).hexdigest()


def read(file: Path, schema: pa.Schema, made_by: str) -> pa.Table:
    """Return the rows; none if the file is absent, broken, of another schema or made by other code."""
    try:
        table = pq.read_table(file)
    except (pa.ArrowException, OSError):
        return schema.empty_table()
    current = (table.schema.metadata or {}).get(MADE_BY) == made_by.encode()
    return table.replace_schema_metadata(None) if current and table.schema.equals(schema) else schema.empty_table()


def write(file: Path, rows: pa.Table, made_by: str) -> None:
    with files.replacing(file) as out:
        pq.write_table(rows.replace_schema_metadata({MADE_BY: made_by.encode()}), out, compression="zstd")


def frame(rows: pa.Table) -> pd.DataFrame:
    """Return the rows as a frame, numbers that may be missing as Int64."""
    return rows.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
