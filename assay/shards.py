"""Shards: WebDataset tars. Members with one stem belong together: an image, and its label in `.cls` or `.json`.

The stem is the name up to the first dot after the last "/". A `.json` holds {"label": ...}.
"""

import glob
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

from assay.errors import AssayError
from assay.listing import Entry, Source, check_readable, once_each

IMAGES = {"avif", "bmp", "gif", "jpeg", "jpg", "jxl", "png", "ppm", "tif", "tiff", "webp"}


def open_shards(name: str, pattern: str) -> Source:
    """Return the source of the local uncompressed tars that match; raises `AssayError` if one is broken."""
    files = sorted(file for file in glob.glob(pattern, recursive=True) if os.path.isfile(file))  # noqa: PTH113, PTH207
    if not files:
        raise AssayError(f"{name}: no such file")
    above = os.path.commonpath([Path(file).parent for file in files])
    entries = [entry for file in files for entry in _entries(file, os.path.relpath(file, above))]
    return Source(name, once_each(entries), _read_image)


def _entries(file: str, shown: str) -> Iterator[Entry]:
    labels: dict[str, str | None] = {}
    images = []
    try:
        with tarfile.open(file, "r:") as tar:
            for member in tar:
                stem, suffix = _parts(member.name)
                content = tar.extractfile(member) if member.isfile() else None
                if content and suffix in IMAGES:
                    images.append((stem, member))
                elif content and suffix in ("cls", "json"):
                    labels[stem] = _label(content.read(), suffix) or labels.get(stem)
    except (tarfile.TarError, EOFError) as error:
        raise AssayError(f"tar:{file}: not a whole, uncompressed tar: {error}") from None
    for stem, member in images:
        place = f"{shown}/{member.name}"
        yield Entry(place, labels.get(stem), member.size, f"{member.offset_data} {file}")


def _parts(member: str) -> tuple[str, str]:
    """Return stem and lower suffix of a member's name."""
    folder, slash, name = member.rpartition("/")
    stem, _, suffix = name.partition(".")
    return folder + slash + stem, suffix.lower()


def _label(content: bytes, suffix: str) -> str | None:
    """Return the label as it is but for the newline that ends a file; None if there is none."""
    try:
        text = content.decode()
        label = json.loads(text)["label"] if suffix == "json" else text.removesuffix("\n")
    except (ValueError, KeyError, TypeError):
        return None
    return None if label is None or label == "" or isinstance(label, list | dict) else str(label)


def _read_image(entry: Entry) -> bytes:
    check_readable(entry)
    offset, _, file = entry.place.partition(" ")
    with Path(file).open("rb") as shard:
        shard.seek(int(offset))
        return shard.read(entry.bytes)
