"""Shards: WebDataset tars. Members with one stem belong together: an image, and its label in `.cls` or `.json`.

The stem is the name up to the first dot after the last "/". A `.json` holds {"label": ...} or {"labels": ...}; if one
of them is a list the set is multi-label, and any other label there names the one class of its image.
"""

import glob
import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from assay import labels
from assay.errors import AssayError
from assay.sources.listing import Entry, Source, check_readable, once_each

Label = str | list[str | int | float] | None

IMAGES = {"avif", "bmp", "gif", "jpeg", "jpg", "jxl", "png", "ppm", "tif", "tiff", "webp"}


def open_shards(name: str, pattern: str) -> Source:
    """Return the source of the local uncompressed tars that match.

    Raises `AssayError` if one is broken, and for a class name that a multi-label set cannot keep.
    """
    files = sorted(file for file in glob.glob(pattern, recursive=True) if os.path.isfile(file))  # noqa: PTH113, PTH207
    if not files:
        raise AssayError(f"{name}: no such file")
    above = os.path.commonpath([Path(file).parent for file in files])
    found = [each for file in files for each in _entries(file, os.path.relpath(file, above))]
    task: labels.Task = "multi_label" if any(isinstance(label, list) for _, label in found) else "single_label"
    entries = [replace(entry, label=_as_text(f"{name}: {entry.path}", label, task)) for entry, label in found]
    return Source(name, once_each(entries), _read_image, task=task)


def _as_text(where: str, label: Label, task: labels.Task) -> str | None:
    if label is None or (isinstance(label, str) and task == "single_label"):
        return label
    try:
        return labels.joined(label if isinstance(label, list) else [label])
    except AssayError as error:
        raise AssayError(f"{where}: {error}; give the class another name") from None


def _entries(file: str, shown: str) -> Iterator[tuple[Entry, Label]]:
    """Yield the images of a tar, still without their label, and the label of each."""
    found: dict[str, Label] = {}
    images = []
    try:
        with tarfile.open(file, "r:") as tar:
            for member in tar:
                stem, suffix = _parts(member.name)
                content = tar.extractfile(member) if member.isfile() else None
                if content and suffix in IMAGES:
                    images.append((stem, member))
                elif content and suffix in ("cls", "json"):
                    label = _label(content.read(), suffix)
                    found[stem] = found.get(stem) if label is None else label
    except (tarfile.TarError, EOFError) as error:
        raise AssayError(f"tar:{file}: not a whole, uncompressed tar: {error}") from None
    for stem, member in images:
        place = f"{shown}/{member.name}"
        yield Entry(place, None, member.size, f"{member.offset_data} {file}"), found.get(stem)


def _parts(member: str) -> tuple[str, str]:
    """Return stem and lower suffix of a member's name."""
    folder, slash, name = member.rpartition("/")
    stem, _, suffix = name.partition(".")
    return folder + slash + stem, suffix.lower()


def _label(content: bytes, suffix: str) -> Label:
    """Return the label as it is but for the newline that ends a file; None if there is none that can be understood."""
    try:
        text = content.decode()
        told = json.loads(text) if suffix == "json" else {"label": text.removesuffix("\n")}
        label = told["labels" if "labels" in told else "label"]
    except (ValueError, KeyError, TypeError):
        return None
    if isinstance(label, list):
        return label if all(map(labels.is_name, label)) else None
    return str(label) if label != "" and (isinstance(label, bool) or labels.is_name(label)) else None


def _read_image(entry: Entry) -> bytes:
    check_readable(entry)
    offset, _, file = entry.place.partition(" ")
    with Path(file).open("rb") as shard:
        shard.seek(int(offset))
        return shard.read(entry.bytes)
