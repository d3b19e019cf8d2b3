"""Tables: CSV, JSONL or Parquet, one row an image, with columns `path` and `label`, and perhaps `group` and `split`.

A CSV may have `;` or tabs between its columns. Whole numbers stay what they are, for no value passes through a float.
A relative path is relative to the table's folder. A path that leaves that folder, a second row of one image, a row
without a path and one whose labels cannot be understood become entries that cannot be read. Labels stay as they are,
but an empty one is None. Those of a multi-label set stand in one column `labels`, as lists or as text with `separator`
between them, or in `label_columns` of 0 and 1, one per class. An image below the folder of a local table that no row
lists is an entry that cannot be read too: somebody forgot it, or put it there by mistake.
"""

import codecs
import csv
import io
import json
import os
import posixpath
import shlex
import warnings
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from assay import labels, words
from assay.errors import AssayError
from assay.labels import SPLITS, UNLISTED
from assay.sources import formats, paths, places
from assay.sources.listing import Entry, Source, check_readable, once_each, option

OPTIONAL = ("group", "split")
LABELS = ("label", "labels", "label_columns")  # options, of which one says where the labels are
INDICATORS = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}
LEAVES = "leaves the source"  # the problem of a row
MANY = 0.1  # of the rows: where so many name no file, how their paths are written is looked at
EXACT = 2**53  # a float holds each integer below; this one may have been the next

# An image's label, and what is wrong with it if it could not be understood.
Found = tuple[str | None, str]


def open_table(name: str, table: str, options: dict[str, str]) -> Source:
    """Return the source of a table, local or a URL; `options`: those of `assay snapshot` that were given.

    They say what the usual columns are called here, and where the labels of a multi-label set are. Raises `AssayError`
    for a table that cannot be read, an unknown column, a split that is none, a column of `label_columns` without 0 and
    1, text in `labels` without `separator`, and a class name that cannot be kept.
    """
    _check(name, options)
    rows = _read(name, table)
    task: labels.Task = "multi_label" if "labels" in options or "label_columns" in options else "single_label"
    names, groups, splits = (_texts(name, column, rows, options) for column in ("path", "group", "split"))
    if wrong := sorted({split for split in splits if split is not None and split not in SPLITS}):
        called = options.get("split", "split")
        raise AssayError(f"{name}: {called} is {wrong[0]!r} and must be one of {', '.join(SPLITS)}, or empty")
    if task == "multi_label":
        found = list(_found(name, rows, options))
    else:
        found = [(label, "") for label in _texts(name, "label", rows, options)]
    folder = places.parent(table)
    listed = zip(names, groups, splits, found, strict=True)
    entries = [_entry(folder, number, *row) for number, row in enumerate(listed, 1)]
    unlisted = list(_unlisted(folder, {entry.path for entry in entries}))
    _check_written(name, entries, unlisted)
    return Source(name, once_each(entries + unlisted), _read_image, options, has_files=True, task=task)


def open_unlabelled(name: str, table: str) -> Source:
    """Return the source of a table of images without classes: its columns `path` and perhaps `group`, no other."""
    rows = _read(name, table)
    _check_column(name, "path", rows, "which images without labels must stand in")
    names, groups = (_texts(name, column, rows, {}) for column in ("path", "group"))
    listed = enumerate(zip(names, groups, strict=True), 1)
    folder = places.parent(table)
    entries = [_entry(folder, number, path, group, None, (None, "")) for number, (path, group) in listed]
    return Source(name, once_each(entries), _read_image, has_files=True)


def _check(name: str, options: dict[str, str]) -> None:
    given = [option(each) for each in LABELS if each in options]
    if len(given) > 1:
        raise AssayError(f"{name}: {' and '.join(given)} exclude each other")
    if "separator" in options and "labels" not in options:
        raise AssayError(f"{name}: --separator is for --labels COLUMN")
    if options.get("separator") == "":
        raise AssayError(f"{name}: --separator is empty and must be what stands between two labels, such as ';'")


def _read(name: str, table: str) -> pd.DataFrame:
    """Return the table with the values as they are: in CSV all are text."""
    try:
        content = places.read(table)
    except OSError as error:
        raise AssayError(f"{name}: {error.strerror}") from None
    try:
        match PurePosixPath(table.partition("?")[0] if places.is_url(table) else table).suffix.lower():
            case ".csv":
                return _of_csv(_text_of(name, content))
            case ".jsonl":
                lines = _text_of(name, content).split("\n")
                # As they are written, for a float would round them.
                rows = [json.loads(line, parse_float=str) for line in lines if line.strip()]
                named = dict.fromkeys(column for row in rows for column in row)
                return _frame({column: [row.get(column) for row in rows] for column in named})
            case ".parquet":
                columns = pq.read_table(pa.BufferReader(content)).to_pydict()
                return _frame({column: _exact(name, column, values) for column, values in columns.items()})
    except (ValueError, TypeError, AttributeError, pd.errors.ParserWarning, pa.ArrowException) as error:
        raise AssayError(f"{name}: cannot be read: {' '.join(str(error).split())}") from None
    raise AssayError(f"{name}: the name must end in .csv, .jsonl or .parquet")


def _text_of(name: str, content: bytes) -> str:
    """Return the text of UTF-8, or of UTF-16 with its mark; raises `AssayError` with what it may be else."""
    try:
        return content.decode(
            "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
        )
    except UnicodeDecodeError as error:
        at, file = error.start, name.partition(":")[2]
        around = content[max(0, at - 8) : at + 8].decode("cp1252", "replace")
        raise AssayError(
            f"{name}: byte {at:,} is no UTF-8; as Windows-1252 it reads {around!r}: if that is right, "
            f"`iconv -f CP1252 -t UTF-8 {shlex.quote(file)}` writes it as UTF-8"
        ) from None


def _of_csv(text: str) -> pd.DataFrame:
    """Return the table, columns apart by what stands most often in its first line: comma, semicolon or tab."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(",;\t", key=first.count)
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # a row longer than the header loses data
        return pd.read_csv(io.StringIO(text), dtype="str", keep_default_na=False, index_col=False, sep=separator)


def _frame(columns: dict[str, list[Any]]) -> pd.DataFrame:
    return pd.DataFrame({column: pd.Series(values, dtype="object") for column, values in columns.items()})


def _exact(name: str, column: str, values: list[Any]) -> list[Any]:
    """Return the values, whole floats as integers: pandas writes a column of integers as floats where one is absent.

    Raises `AssayError` for one so large that it may have been another integer.
    """
    whole = [isinstance(value, float) and value.is_integer() for value in values]
    if not all(is_so or value is None or value != value for value, is_so in zip(values, whole, strict=True)):
        return values
    if wrong := [value for value, is_so in zip(values, whole, strict=True) if is_so and abs(value) >= EXACT]:
        raise AssayError(
            f"{name}: {column} holds {wrong[0]!r} as a float, which is exact below {EXACT:,} only: "
            f"store the column as integers or as text"
        )
    return [int(value) if is_so else value for value, is_so in zip(values, whole, strict=True)]


def _texts(name: str, column: str, rows: pd.DataFrame, options: dict[str, str]) -> list[str | None]:
    """Return the values of a column, by its usual name, as text; an absent one of `OPTIONAL` is empty."""
    called = options.get(column, column)
    if called not in rows and column in OPTIONAL and column not in options:
        return [None] * len(rows)
    _check_column(name, called, rows)
    return [_text(name, called, value) for value in rows[called]]


def _text(name: str, column: str, value: Any) -> str | None:
    if isinstance(value, list | dict):
        several = f"; --labels {column} reads several labels an image" if isinstance(value, list) else ""
        raise AssayError(f"{name}: {column} holds {value!r} and must hold one value{several}")
    return None if pd.isna(value) or value == "" else str(value)


def _found(name: str, rows: pd.DataFrame, options: dict[str, str]) -> Iterator[Found]:
    """Yield what each row of a multi-label set says of its image's classes."""
    if "label_columns" in options:
        columns = next(csv.reader([options["label_columns"]]), [])
        for column in columns or [""]:
            _check_column(name, column, rows)
        yield from _indicated(name, {column: rows[column].tolist() for column in columns})
        return
    column = options["labels"]
    _check_column(name, column, rows)
    for number, value in enumerate(rows[column], 1):
        yield _listed(f"{name}: row {number}: {column}", value, options.get("separator"))


def _listed(where: str, value: Any, separator: str | None) -> Found:
    """Return the label of a list, or of a text with its separator; nothing but separators is in none of the classes."""
    if isinstance(value, list):
        if wrong := [each for each in value if not labels.is_name(each)]:
            return None, f"a label is {wrong[0]!r}, not a text"
    elif isinstance(value, dict):
        return None, f"the labels are {value!r}, not a list"
    elif pd.isna(value) or value == "":
        return None, ""
    elif separator is None:
        raise AssayError(f"{where} holds {value!r}, which is no list; --separator says what stands between its labels")
    try:
        return labels.joined(value if isinstance(value, list) else str(value).split(separator)), ""
    except AssayError as error:
        raise AssayError(f"{where}: {error}; give the class another name") from None


def _indicated(name: str, columns: dict[str, list[Any]]) -> Iterator[Found]:
    """Yield the classes of each row whose column holds 1; a row with nothing in any of them is not labelled."""
    told = {column: _indicators(values) for column, values in columns.items()}
    for column, values in told.items():
        if not any(isinstance(value, bool) for value in values):
            seen = next((value for value in values if value is not None), "nothing")
            raise AssayError(f"{name}: {column} holds {seen!r} and must hold 0 or 1, as each of --label-columns")
    try:
        labels.joined(told)
    except AssayError as error:
        raise AssayError(f"{name}: {error}; give the column another name") from None
    known: dict[tuple[bool | str | None, ...], Found] = {}
    for row in zip(*told.values(), strict=True):
        if row not in known:
            known[row] = _marked(dict(zip(told, row, strict=True)))
        yield known[row]


def _marked(row: dict[str, bool | str | None]) -> Found:
    """Return the label of a row from its mark in each column."""
    if all(value is None for value in row.values()):
        return None, ""
    for column, value in row.items():
        if not isinstance(value, bool):
            return None, f"{column} is {'empty' if value is None else repr(value)}, not 0 or 1"
    return labels.joined(column for column, is_so in row.items() if is_so), ""


def _indicators(values: list[Any]) -> list[bool | str | None]:
    try:
        known = {value: _indicator(value) for value in set(values)}
    except TypeError:  # a list or the like is among them
        return [_indicator(value) for value in values]
    return [known[value] for value in values]


def _indicator(value: Any) -> bool | str | None:
    """Return whether the value says 1; None: it is empty; a text: it says neither 0 nor 1."""
    if value is None or value == "" or value != value:
        return None
    text = str(value)
    return INDICATORS.get(text.strip().lower(), text)


def _entry(folder: str, number: int, path: str | None, group: str | None, split: str | None, found: Found) -> Entry:
    label, problem = found
    if path is None:
        return Entry(f"(row {number})", label, 0, "", group, split, "no path")
    inside = posixpath.normpath(path)
    if path.startswith("/") or places.is_url(path) or "\0" in path or inside.split("/")[0] == "..":
        return Entry(path, label, 0, "", group, split, LEAVES)
    place = places.join(folder, inside)
    return Entry(inside, label, places.size(place), place, group, split, problem)


def _check_written(name: str, entries: list[Entry], unlisted: list[Entry]) -> None:
    """Raise `AssayError` where many rows name no file, only for the way in which their paths are written."""
    lost = [each.path for each in entries if each.problem == LEAVES or not (each.bytes or _is_there(each))]
    if not unlisted or len(lost) < MANY * len(entries):
        return
    if found := paths.difference(lost, [each.path for each in unlisted]):
        how, row, file = found
        raise AssayError(
            f"{name}: {len(lost):,} of {words.counted(len(entries), 'row')} name no file that is there, "
            f"and would with {how}: {row!r} is {file!r}; write the paths so"
        )


def _is_there(entry: Entry) -> bool:
    return bool(entry.problem) or places.is_url(entry.place) or os.path.lexists(entry.place)


def _unlisted(folder: str, listed: set[str]) -> Iterator[Entry]:
    """Yield the files that are images by their names and in no row; none of a URL, for not every one can be listed."""
    if places.is_url(folder):
        return
    for path, size, place in places.walk(folder):
        if path not in listed and formats.is_picture(path):
            yield Entry(path, None, size, place, problem=UNLISTED.removeprefix("not read: "))


def _read_image(entry: Entry) -> bytes:
    check_readable(entry)
    return places.read(entry.place)


def _check_column(name: str, column: str, rows: pd.DataFrame, knob: str = "") -> None:
    """Raise `AssayError` with the nearest column that there is if this one is not; `knob`: what to do about it."""
    known = [str(each) for each in rows]
    if column in known:
        return
    hint = words.meant(column, known)
    knob = knob or f"assay snapshot {', '.join(map(option, ('path', *LABELS, *OPTIONAL)))}"
    has = words.few([repr(each) for each in known], repr(column)) or "none"
    raise AssayError(f"{name}: no column {column!r}; it has {has}{'; ' * bool(hint)}{hint} ({knob})")
