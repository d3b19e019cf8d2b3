"""What people name when they ask for predictions: files, folders, globs, tables, tar shards, URLs, standard input.

All is listed on the way, never kept: of a folder the names of one level at a time, of a table a row, of a tar a member.
"""

import csv
import glob
import json
import os
import posixpath
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np

from assay.errors import AssayError
from assay.images import decode
from assay.inference.model import Model, problem
from assay.sources import places

KINDS = ("folder", "table", "tar")
TABLES = (".csv", ".jsonl", ".parquet")
SNIFFED_BYTES = 64  # of standard input, by which a list of paths is told from an image
ROWS = 1024  # of a Parquet table at once


@dataclass(frozen=True, kw_only=True)
class Input:
    name: str
    read: Callable[[], bytes]  # may raise `OSError`, for this image, or `AssayError`, for all
    place: str = ""  # of its file or URL; empty where it is part of another, or of standard input

    def pixels(self, model: Model) -> np.ndarray | str:
        """Return what the model sees of it, uint8 [H, W, C], or why it cannot be read; raises `AssayError`."""
        try:
            return model.pixels(self.read())
        except (decode.Undecodable, OSError) as error:
            return problem(error)


def listed(given: Sequence[str], stdin: BinaryIO | None = None) -> Iterator[Input]:
    """Yield every image that is meant, in a fixed order; raises `AssayError` for what is not there."""
    for each in given:
        yield from _of(each, stdin if stdin is not None else sys.stdin.buffer)


def count(given: Sequence[str]) -> int | None:
    """Return how many images are meant, None where only reading would tell."""
    if any(_kind(each)[0] in ("stdin", "url") for each in given):
        return None
    return sum(1 for _ in listed(given))


def holders(given: Sequence[str]) -> Iterator[str]:
    """Yield the places of what is named itself: files, tables, tars, and the file that is standard input."""
    for each in given:
        kind, place = _kind(each)
        if kind == "stdin":
            yield "/dev/stdin"
        elif kind == "glob" or (kind == "tar" and glob.has_magic(place)):
            yield from _globbed(place)
        else:
            yield place


def _of(given: str, stdin: BinaryIO) -> Iterator[Input]:
    kind, place = _kind(given)
    match kind:
        case "stdin":
            yield from _stdin(stdin)
        case "folder":
            yield from (_file(each) for each in _walk(place))
        case "table":
            yield from _table(place)
        case "tar":
            yield from (each for file in _globbed(place) for each in _tar(file))
        case "glob":
            yield from (each for file in _globbed(place) for each in _of(file, stdin))
        case _:
            yield _file(place)


def _kind(given: str) -> tuple[str, str]:
    """Return what an argument is, and its place; raises `AssayError` for a path that is not there."""
    kind, colon, rest = given.partition(":")
    if colon and kind in KINDS and rest and not os.path.lexists(given):
        return kind, rest
    if given == "-":
        return "stdin", given
    suffix = (
        PurePosixPath(given.partition("?")[0]).suffix.lower() if places.is_url(given) else Path(given).suffix.lower()
    )
    if places.is_url(given):
        return ("table" if suffix in TABLES else "folder" if given.endswith("/") else "url"), given
    if Path(given).is_dir():
        return "folder", given
    if not os.path.lexists(given):
        if glob.has_magic(given):
            return "glob", given
        raise AssayError(f"predict: {given}: no such file or folder")
    return ("table" if suffix in TABLES else "tar" if suffix == ".tar" else "file"), given


def _file(place: str) -> Input:
    return Input(name=place, read=partial(places.read, places.absolute(place)), place=place)


def _globbed(pattern: str) -> Iterator[str]:
    found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
    if not found:
        raise AssayError(f"predict: {pattern}: matches no file")
    yield from found


def _walk(folder: str) -> Iterator[str]:
    """Yield the place of every file below that is not hidden, level by level, sorted within each."""
    if places.is_url(folder):
        yield from (place for _, _, place in places.walk(folder))
        return
    try:
        found = sorted((each.name, each.is_dir()) for each in os.scandir(folder) if not each.name.startswith("."))
    except OSError as error:
        raise AssayError(f"predict: {folder}: {error.strerror}") from None
    for name, is_folder in found:
        place = os.path.join(folder, name)  # noqa: PTH118
        if not is_folder:
            yield place
        elif not places.is_circle(Path(place)):  # it would never end
            yield from _walk(place)


def _table(table: str) -> Iterator[Input]:
    """Yield what the column `path` names; a relative path is one from the table's folder, and must stay in it."""
    folder = places.parent(table)
    for path in _paths(table):
        inside = posixpath.normpath(path) if path else ""
        if not path or path.startswith("/") or places.is_url(path) or "\0" in path or inside.split("/")[0] == "..":
            problem = "leaves the folder of the table" if path else "no path"
            yield Input(name=path or "(no path)", read=partial(_refuse, problem))
        else:
            place = places.join(folder, inside)
            yield Input(name=path, read=partial(places.read, places.absolute(place)), place=place)


def _refuse(problem: str) -> bytes:
    raise OSError(0, problem)


def _paths(table: str) -> Iterator[str]:
    suffix = PurePosixPath(table.partition("?")[0]).suffix.lower()
    rows = _local(table) if not places.is_url(table) else _fetched(table)
    try:
        with rows as content:
            yield from {".csv": _of_csv, ".jsonl": _of_jsonl, ".parquet": _of_parquet}[suffix](content)
    except KeyError as error:
        key = str(error).strip("'")
        what = f"no column {key!r}" if key != suffix else "the name must end in .csv, .jsonl or .parquet"
        raise AssayError(f"predict: {table}: {what}") from None
    except (ValueError, TypeError, csv.Error) as error:  # pyarrow's errors are ValueErrors
        raise AssayError(f"predict: {table}: cannot be read: {' '.join(str(error).split())}") from None


def _local(table: str) -> BinaryIO:
    return open(table, "rb")  # noqa: PTH123


def _fetched(table: str) -> BinaryIO:
    import io

    return io.BytesIO(places.read(table))


def _of_csv(content: BinaryIO) -> Iterator[str]:
    lines = (line.decode("utf-8-sig" if number == 0 else "utf-8") for number, line in enumerate(content))
    yield from (str(row["path"] or "") for row in csv.DictReader(lines))


def _of_jsonl(content: BinaryIO) -> Iterator[str]:
    yield from (str(json.loads(line)["path"] or "") for line in content if line.strip())


def _of_parquet(content: BinaryIO) -> Iterator[str]:
    import pyarrow.parquet as pq

    parts = pq.ParquetFile(content)
    if "path" not in parts.schema_arrow.names:
        raise KeyError("path")
    for part in parts.iter_batches(ROWS, columns=["path"]):
        yield from (str(path or "") for path in part.column(0).to_pylist())


def _tar(file: str) -> Iterator[Input]:
    """Yield the images of a tar, by the suffixes that WebDataset gives them; each is read when it is its turn."""
    from assay.sources.webdataset import IMAGES

    try:
        with tarfile.open(file, "r:*") as tar:
            for member in tar:
                tar.members = []  # type: ignore[attr-defined]  # tarfile keeps a record of each
                if member.isfile() and member.name.rpartition(".")[2].lower() in IMAGES:
                    content = tar.extractfile(member)
                    assert content
                    yield Input(name=f"{file}/{member.name}", read=partial(_given, content.read()))
    except (tarfile.TarError, EOFError, OSError) as error:
        raise AssayError(f"predict: {file}: no whole tar: {error}") from None


def _given(content: bytes) -> bytes:
    return content


def _stdin(stdin: BinaryIO) -> Iterator[Input]:
    """Yield one encoded image, or what each line names where it is text."""
    first = stdin.read(SNIFFED_BYTES)
    if not _is_text(first):
        yield Input(name="-", read=partial(_given, first + stdin.read()))
        return
    for line in _lines(first, stdin):
        if line:
            yield _file(line)


def _is_text(first: bytes) -> bool:
    """Say whether the bytes begin a list of paths: no control character, and UTF-8 but for a letter that is cut."""
    if not first or any(byte < 32 and byte not in b"\t\r\n" for byte in first) or first[:2] in (b"P4", b"P5", b"P6"):
        return False
    return "\ufffd" not in first.decode("utf-8", "replace").rstrip("\ufffd")


def _lines(first: bytes, rest: Iterable[bytes]) -> Iterator[str]:
    head, *others = (first + next(iter(rest), b"")).splitlines() or [b""]
    yield os.fsdecode(head)
    yield from (os.fsdecode(line) for line in others)
    yield from (os.fsdecode(line.rstrip(b"\r\n")) for line in rest)
