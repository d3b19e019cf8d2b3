"""Tables: CSV, JSONL or Parquet, one row an image, with columns `path` and `label`, and perhaps `group` and `split`.

A relative path is relative to the table's folder. A path that leaves that folder, a second row of one image and a
row without a path become entries that cannot be read; labels stay as they are, but an empty one is None.
"""

import difflib
import io
import json
import posixpath
import warnings
from pathlib import PurePosixPath
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from assay import places
from assay.errors import AssayError
from assay.listing import Entry, Source, check_readable, once_each
from assay.manifest import SPLITS

COLUMNS = ("path", "label", "group", "split")
OPTIONAL = ("group", "split")


def open_table(name: str, table: str, columns: dict[str, str]) -> Source:
    """Return the source of a table, local or a URL; `columns`: their names in the table where not those of `COLUMNS`.

    Raises `AssayError` for a table that cannot be read, an unknown column and a split that is none.
    """
    rows = _read(name, table)
    wanted = {column: columns.get(column, column) for column in COLUMNS}
    for column, called in wanted.items():
        if called not in rows and (column in columns or column not in OPTIONAL):
            raise AssayError(f"{name}: no column {called!r}{_nearest(called, [str(known) for known in rows])}")
    texts = {
        column: [_text(name, called, value) for value in rows[called]] if called in rows else [None] * len(rows)
        for column, called in wanted.items()
    }
    wrong = sorted({split for split in texts["split"] if split is not None and split not in SPLITS})
    if wrong:
        raise AssayError(f"{name}: {wanted['split']} is {wrong[0]!r} and must be one of {', '.join(SPLITS)}, or empty")
    folder = places.parent(table)
    listed = (dict(zip(COLUMNS, row, strict=True)) for row in zip(*texts.values(), strict=True))
    entries = (_entry(folder, number, row) for number, row in enumerate(listed, 1))
    return Source(name, once_each(entries), _read_image, columns, has_files=True)


def _read(name: str, table: str) -> pd.DataFrame:
    """Return the table with the values as they are: in CSV all are text."""
    try:
        content = places.read(table)
    except OSError as error:
        raise AssayError(f"{name}: {error.strerror}") from None
    try:
        match PurePosixPath(table.partition("?")[0] if places.is_url(table) else table).suffix.lower():
            case ".csv":
                every = {"dtype": "str", "keep_default_na": False, "index_col": False, "encoding": "utf-8-sig"}
                with warnings.catch_warnings():
                    warnings.simplefilter("error", pd.errors.ParserWarning)  # a row longer than the header loses data
                    return pd.read_csv(io.BytesIO(content), **every)
            case ".jsonl":
                lines = content.decode("utf-8-sig").split("\n")
                return pd.DataFrame.from_records([json.loads(line) for line in lines if line.strip()])
            case ".parquet":
                columns = pq.read_table(pa.BufferReader(content)).to_pydict()
                return pd.DataFrame({column: pd.Series(values, dtype="object") for column, values in columns.items()})
    except (ValueError, TypeError, AttributeError, pd.errors.ParserWarning, pa.ArrowException) as error:
        raise AssayError(f"{name}: cannot be read: {' '.join(str(error).split())}") from None
    raise AssayError(f"{name}: the name must end in .csv, .jsonl or .parquet")


def _text(name: str, column: str, value: Any) -> str | None:
    if isinstance(value, list | dict):
        raise AssayError(f"{name}: {column} holds {value!r} and must hold one value")
    return None if pd.isna(value) or value == "" else str(value)


def _entry(folder: str, number: int, row: dict[str, str | None]) -> Entry:
    path = row["path"]
    given = (row["group"], row["split"])
    if path is None:
        return Entry(f"(row {number})", row["label"], 0, "", *given, "no path")
    inside = posixpath.normpath(path)
    if path.startswith("/") or places.is_url(path) or "\0" in path or inside.split("/")[0] == "..":
        return Entry(path, row["label"], 0, "", *given, "leaves the source")
    place = places.join(folder, inside)
    return Entry(inside, row["label"], places.size(place), place, *given)


def _read_image(entry: Entry) -> bytes:
    check_readable(entry)
    return places.read(entry.place)


def _nearest(column: str, known: list[str]) -> str:
    close = difflib.get_close_matches(column, known, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    return f"; it has {', '.join(map(repr, known)) or 'none'}{meant} (assay snapshot --path, --label, --group, --split)"
