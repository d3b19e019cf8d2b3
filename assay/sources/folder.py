"""Folders: CLASS/IMAGE, or SPLIT/CLASS/IMAGE with train, val (or validation, valid) and test as given splits.

Where all folders are called like splits in other words (Training, TEST, val_set), they are splits too. Files that are
no images by their names (README.md, Thumbs.db, annotations) are left out; `Source.left_out` names them.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa

from assay import progress
from assay.errors import AssayError
from assay.sources import formats, places
from assay.sources.listing import COLUMNS, Entries, Entry, Source, check_readable, tabled

File = tuple[str, int, str]  # path below the folder, bytes, place
FILES = pa.schema([COLUMNS.field(name) for name in ("path", "bytes", "place")])
SPLITS = {"train": "train", "val": "val", "validation": "val", "valid": "val", "test": "test"}
ALSO = SPLITS | {"training": "train", "dev": "val", "eval": "val", "testing": "test"}  # in any case, with or without
MORE = r"[\s_-]*(set|data|images|imgs|split|dataset)$"  # which may follow


def open_folder(name: str, folder: str) -> Source:
    """Return the source of a folder, local or a URL; raises `AssayError` if only some classes lie in split folders."""
    found, left_out = _walked(folder)
    paths = found["path"].to_pylist()
    splits = _splits(name, paths)
    entries = _entries(found, [_above(path, splits) for path in paths])
    empty = () if places.is_url(folder) else _empty(Path(folder), paths, splits)
    return Source(name, entries, _read_image, has_files=True, left_out=left_out, empty=empty)


def meant(name: str) -> str | None:
    """Return the split that the name of a folder may stand for, however it is written; None: it is no such name."""
    return ALSO.get(re.sub(MORE, "", name.strip().casefold()))


def open_unlabelled(name: str, folder: str) -> Source:
    """Return the source of all files below a folder; its sub-folders say nothing of classes."""
    found, left_out = _walked(folder)
    entries = _entries(found, [(None, None)] * len(found))
    return Source(name, entries, _read_image, has_files=True, left_out=left_out)


def _counted(files: Iterable[File], advance: Callable[[int], None]) -> Iterator[File]:
    for each in files:
        advance(1)
        yield each


def _walked(folder: str) -> tuple[pa.Table, tuple[str, ...]]:
    """Return path, bytes and place of what may be an image, by path, and the paths of what is none by its name."""
    left_out: list[str] = []
    with progress.told("listing", unit="files") as advance:
        found = tabled(_images(_counted(places.walk(folder), advance), left_out), FILES)
    return found.sort_by([(name, "ascending") for name in FILES.names]), tuple(sorted(left_out))


def _images(files: Iterable[File], left_out: list[str]) -> Iterator[File]:
    """Yield the files that may be images; the paths of the others are added to `left_out`."""
    for each in files:
        if formats.is_no_image(each[0]):
            left_out.append(each[0])
        else:
            yield each


def _entries(found: pa.Table, above: list[tuple[str | None, str | None]]) -> Entries:
    """Return the entries of files whose label and split are known."""
    label, split = (pa.array([each[side] for each in above], pa.string()) for side in (0, 1))
    more = {"label": label, "split": split, "group": pa.nulls(len(found), pa.string())}
    more["problem"] = pa.repeat("", len(found))
    for name, values in more.items():
        found = found.append_column(name, values)
    return Entries(found.select(COLUMNS.names))


def _splits(name: str, paths: list[str]) -> dict[str, str]:
    """Return the split of each folder where the classes lie in split folders, and nothing where they do not.

    A file right below `train/` says that they do not: there train is a class. Raises `AssayError` where only some do.
    """
    in_split = next((path for path in paths if path.split("/")[0] in SPLITS and path.count("/") > 1), None)
    elsewhere = next((path for path in paths if "/" in path and path.split("/")[0] not in SPLITS), None)
    if in_split and not elsewhere:
        return SPLITS
    above = {path.split("/")[0]: meant(path.split("/")[0]) for path in paths if "/" in path}
    written = {folder: split for folder, split in above.items() if split}
    if written == above and "train" in written.values() and all(path.count("/") > 1 for path in paths if "/" in path):
        return written
    if in_split:
        raise AssayError(
            f"{name}: {in_split!r} lies in a split folder and {elsewhere!r} does not; put every class below "
            f"{', '.join(SPLITS)}, or none"
        )
    return {}


def _above(path: str, splits: dict[str, str]) -> tuple[str | None, str | None]:
    """Return the label and the split of an image."""
    *above, _ = path.split("/")
    split = splits[above.pop(0)] if splits and above else None
    return sys.intern(above[0]) if above else None, split


def _empty(folder: Path, paths: list[str], splits: dict[str, str]) -> tuple[str, ...]:
    """Return the folders of classes, by their paths below the folder, in which no image lies."""
    depth = 2 if splits else 1
    held = {"/".join(path.split("/")[:depth]) for path in paths}
    found = {str(each.relative_to(folder)) for each in folder.glob("/".join("*" * depth)) if each.is_dir()}
    shown = (each for each in found - held if not any(part.startswith(".") for part in each.split("/")))
    return tuple(sorted(each for each in shown if not formats.is_no_image(f"{each}/image")))


def _read_image(entry: Entry) -> bytes:
    check_readable(entry)
    return places.read(entry.place)
