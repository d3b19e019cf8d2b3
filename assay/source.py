"""Sources: where the images come from, read only. `folder:PATH` (a sub-folder a class) and `sklearn:digits`.

The listing has one `Entry` per file in the order of `path`; its fingerprint covers paths and sizes, not contents, so
that a look at a million files stays cheap: a file replaced by one of the same size is found only when it is read.
"""

import hashlib
import io
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from assay import files
from assay.errors import AssayError

KINDS = "folder:PATH, sklearn:digits"


@dataclass(frozen=True)
class Entry:
    path: str  # for people and the manifest, with "/"
    label: str | None  # None: the file lies in no class folder
    bytes: int
    place: str  # what `Source.read` finds it by


@dataclass(frozen=True)
class Source:
    name: str
    entries: tuple[Entry, ...]
    read: Callable[[Entry], bytes]  # may raise OSError


def open_source(name: str) -> Source:
    """Return the source with its listing; raises `AssayError` if there is none or it cannot make a classifier."""
    kind, _, rest = name.partition(":")
    if name == "sklearn:digits":
        source = _digits()
    elif kind == "folder" and rest:
        source = _folder(name, Path(rest))
    else:
        raise AssayError(f"source: {name!r} is none of {KINDS}")
    classes = {entry.label for entry in source.entries} - {None}
    if not classes:
        raise AssayError(f"{name}: no images in class sub-folders (expected CLASS/IMAGE, e.g. cat/0001.jpg)")
    if len(classes) == 1:
        raise AssayError(f"{name}: only one class, {classes.pop()!r}; a classifier needs at least two")
    return source


def snapshot(source: Source) -> dict[str, Any]:
    """Return what data/source.json holds: name, number of images, fingerprint of the listing (SHA-256)."""
    listing = hashlib.sha256()
    for entry in source.entries:
        listing.update(f"{entry.path}\0{entry.bytes}\n".encode())
    return {"source": source.name, "n_images": len(source.entries), "fingerprint": listing.hexdigest()}


def read_snapshot(file: Path) -> Source:
    """Return the source that the snapshot names; raises `AssayError` if its listing is not the snapshot's any more."""
    try:
        taken = files.read_json(file)
        source = open_source(taken["source"])
    except FileNotFoundError:
        raise AssayError(f"{file}: not found; run `assay snapshot SOURCE`, with one of {KINDS}") from None
    except (AttributeError, KeyError, TypeError, ValueError):
        raise AssayError(f"{file}: not a snapshot; run `assay snapshot SOURCE`") from None
    now = snapshot(source)
    if now != taken:
        said, seen = taken.get("n_images"), now["n_images"]
        what = f"{seen:,} images, not {said:,}" if seen != said else f"{seen:,} images, but other names or sizes"
        raise AssayError(f"{source.name}: now holds {what}, as {file} has it; run `assay snapshot {source.name}`")
    return source


def _folder(name: str, folder: Path) -> Source:
    if not folder.is_dir():
        raise AssayError(f"{name}: no such folder")
    found = [
        Path(parent, file)
        for parent, folders, names in os.walk(folder, onerror=_refuse)
        for file in names
        if not file.startswith(".") and not any(part.startswith(".") for part in Path(parent).relative_to(folder).parts)
    ]
    entries = sorted((_entry(folder, file) for file in found), key=lambda entry: entry.path)
    return Source(name, tuple(entries), _read_file)


def _refuse(error: OSError) -> None:
    raise AssayError(f"{error.filename}: {error.strerror}")


def _entry(folder: Path, file: Path) -> Entry:
    parts = file.relative_to(folder).parts
    # A name that is not UTF-8 cannot be written to the manifest as it is.
    shown = "/".join(parts).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    try:
        size = file.stat().st_size
    except OSError:  # a link to nothing, or in a circle
        size = 0
    return Entry(shown, shown.partition("/")[0] if len(parts) > 1 else None, size, str(file))


def _read_file(entry: Entry) -> bytes:
    with open(entry.place, "rb", opener=_without_waiting) as content:
        if not stat.S_ISREG(os.fstat(content.fileno()).st_mode):
            raise OSError(0, "not a regular file")
        return content.read()


def _without_waiting(place: str, flags: int) -> int:
    """Open a named pipe too without waiting for its writer."""
    return os.open(place, flags | os.O_NONBLOCK)


def _digits() -> Source:
    from sklearn.datasets import load_digits

    digits = load_digits()
    encoded = {
        f"{label}/{number:04d}.png": _png((pixels * 255 / 16).round().astype("uint8"))
        for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True))
    }
    entries = (Entry(path, path.partition("/")[0], len(png), path) for path, png in sorted(encoded.items()))
    return Source("sklearn:digits", tuple(entries), lambda entry: encoded[entry.place])


def _png(image: Any) -> bytes:
    """Return the image as PNG, uncompressed: compressors differ between builds of zlib, and so would the bytes."""
    png = io.BytesIO()
    Image.fromarray(image).save(png, "PNG", compress_level=0)
    return png.getvalue()
