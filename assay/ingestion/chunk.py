"""Chunks: some images of a source, read and measured together, in whichever process of whichever machine."""

import hashlib
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from assay.compute import backend, fingerprint
from assay.errors import AssayError
from assay.images import colour, decode, depth, kinds, resizing
from assay.ingestion import image_statistics, measure
from assay.sources import places
from assay.sources.listing import Entry, Source

CODE = (colour, decode, depth, measure, resizing, image_statistics, kinds)


@dataclass(frozen=True)
class Chunk:
    made_by: str  # the fingerprint of the code that must measure
    reading: decode.Reading
    read: Callable[[Entry], bytes] | None  # None: the contents are here, for only this process can read them
    keys: tuple[str, ...]
    entries: tuple[Entry, ...]
    contents: tuple[bytes | OSError, ...] = ()


def plan(images: Source, some: tuple[tuple[str, Entry], ...], made_by: str, reading: decode.Reading) -> Chunk:
    """Return the work on some keys and entries of a source."""
    keys, entries = zip(*some, strict=True)
    if travels(images):
        entries = tuple(absolute(entry) if images.has_files else entry for entry in entries)
        return Chunk(made_by, reading, images.read, keys, entries)
    return Chunk(made_by, reading, None, keys, entries, tuple(_read(images.read, entry) for entry in entries))


def travels(images: Source) -> bool:
    """Say whether another process can read the images: not those that lie in the memory of this one."""
    try:
        pickle.dumps(images.read)
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    return not any(entry.place.startswith("memory:") for entry in images.entries[:1])


def absolute(entry: Entry) -> Entry:
    """Return the entry as a process in another folder finds it."""
    return replace(entry, place=places.absolute(entry.place))


def _read(read: Callable[[Entry], bytes], entry: Entry) -> bytes | OSError:
    try:
        return read(entry)
    except OSError as error:
        return error


def measured(chunk: Chunk) -> list[dict[str, Any]]:
    """Return what is known of each image: `key`, `bytes`, `sha256`, and its measurements."""
    fingerprint.check(chunk.made_by, CODE)
    backend.keep_memory()
    contents = chunk.contents if chunk.read is None else (_read(chunk.read, entry) for entry in chunk.entries)
    known, decoded = [], []
    for key, entry, content in zip(chunk.keys, chunk.entries, contents, strict=True):  # read one by one
        known.append({"key": key} | _of_file(entry, content))
        decoded.append(_decoded(entry, content, chunk.reading))
    return [row | vars(found) for row, found in zip(known, measure.measurements(decoded), strict=True)]


def _of_file(entry: Entry, content: bytes | OSError) -> dict[str, Any]:
    if isinstance(content, OSError):
        return {"bytes": entry.bytes, "sha256": None}
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _decoded(entry: Entry, content: bytes | OSError, reading: decode.Reading) -> measure.Decoded:
    if isinstance(content, OSError):
        said = "not read" if entry.problem else "cannot be read"
        return measure.undecodable(f"{said}: {content.strerror}", entry.path)
    return measure.decode(content, entry.path, reading)


def check_seen(rows: list[dict[str, Any]], images: Source, entries: tuple[Entry, ...]) -> None:
    """Raise `AssayError` for an image that a worker could not read and this process can."""
    for row, entry in zip(rows, entries, strict=True):
        if row["sha256"] is None and not isinstance(_read(images.read, entry), OSError):
            raise AssayError(
                f"{backend.BACKEND}={backend.name()}: a worker cannot read {entry.place} ({row['reason']}) and this "
                f"machine can; let the workers see the same paths, or name the source by a URL or an absolute path"
            )
