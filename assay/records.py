"""TFRecord shards, written without TensorFlow, byte for byte what its own writer makes.

A record is a `tf.train.Example` with `image` (uint8 pixels [H, W, C], raw), `label` (index into the classes; of a
multi-label set 0 or 1 for each class [K]) and `sha256` (of the original file, 64 hex digits). Formats:
https://www.tensorflow.org/tutorials/load_data/tfrecord and https://protobuf.dev/programming-guides/encoding/
"""

import hashlib
import struct
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np

from assay import files
from assay.labels import Task

SUFFIX = ".tfrecord"
CHANNELS = {"grey": 1, "rgb": 3}


@dataclass(frozen=True, kw_only=True)
class Example:
    image: np.ndarray  # uint8 [H, W, C]
    label: int | tuple[int, ...]  # see labels.encode
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Split:
    n_images: int
    class_counts: tuple[int, ...]  # images of each class; a multi-label image counts in each of its own
    shards: tuple[str, ...]  # file names


@dataclass(frozen=True, kw_only=True)
class Index:
    """What the shards hold: records.json."""

    height_px: int
    width_px: int
    channels: int
    classes: tuple[str, ...]  # sorted
    splits: dict[str, Split]
    task: Task = "single_label"


def write(folder: Path, split: str, examples: Iterable[Example]) -> str:
    """Return the name of the shard that now holds the examples: its split and a hash of its bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    unnamed = folder / f".{split}-{uuid.uuid4().hex}.tmp"  # several are written at once, of one split too
    content = hashlib.sha256()
    try:
        with files.replacing(unnamed) as out:
            for example in examples:
                for part in _record(example):
                    out.write(part)
                    content.update(part)
        name = _name(content.hexdigest(), split)
        unnamed.replace(folder / name)
    finally:
        unnamed.unlink(missing_ok=True)
    return name


def is_whole(file: Path) -> bool:
    """Return whether the shard is there and holds the bytes that its name promises."""
    return file.exists() and file.name == _name(files.sha256(file), file.name.partition("-")[0])


def pixels(file: Path, size: int) -> Iterator[tuple[str, int]]:
    """Yield the SHA-256 of each record of a whole shard, and where in it the `size` bytes of its pixels begin."""
    before = len(_before(size))
    with file.open("rb") as content:
        while head := content.read(12):
            length, start = struct.unpack_from("<Q", head)[0], content.tell()
            outermost = next(1 + n for n in range(1, 10) if len(_varint(length - 1 - n)) == n)
            content.seek(start + length - 64)
            yield content.read(64).decode(), start + outermost + before
            content.seek(start + length + 4)


def _name(sha256: str, split: str) -> str:
    return f"{split}-{sha256[:16]}{SUFFIX}"


def write_index(file: Path, index: Index) -> None:
    files.write_json(
        file,
        {
            "task": index.task,
            "height_px": index.height_px,
            "width_px": index.width_px,
            "channels": index.channels,
            "classes": index.classes,
            "splits": {
                name: {"n_images": split.n_images, "class_counts": split.class_counts, "shards": split.shards}
                for name, split in index.splits.items()
            },
        },
    )


def read_index(file: Path) -> Index:
    content = files.read_json(file)
    splits = {
        name: Split(n_images=s["n_images"], class_counts=tuple(s["class_counts"]), shards=tuple(s["shards"]))
        for name, s in content.pop("splits").items()
    }
    return Index(**{**content, "classes": tuple(content["classes"])}, splits=splits)


def _record(example: Example) -> tuple[bytes, bytes, bytes]:
    """Return the framed record in three parts, the pixels between two short ones: they are not copied once more."""
    before, pixels, after = _serialize(example)
    length = struct.pack("<Q", len(before) + len(pixels) + len(after))
    crc = google_crc32c.extend(google_crc32c.extend(google_crc32c.value(before), pixels), after)
    return length + _masked(google_crc32c.value(length)) + before, pixels, after + _masked(crc)


def _masked(crc: int) -> bytes:
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def _serialize(example: Example) -> tuple[bytes, bytes, bytes]:
    """Return the protobuf bytes of the example, its features sorted by name: those before, in and after the pixels."""
    numbers = example.label if isinstance(example.label, tuple) else (example.label,)
    label = _field(3, _field(1, b"".join(map(_varint, numbers))))
    sha256 = _field(1, _field(1, example.sha256.encode()))
    after = b"".join(
        _field(1, _field(1, name) + _field(2, value)) for name, value in [(b"label", label), (b"sha256", sha256)]
    )
    pixels = example.image.tobytes()
    opened = _before(len(pixels))
    return _opening(1, len(opened) + len(pixels) + len(after)) + opened, pixels, after


def _before(size: int) -> bytes:
    """Return what stands before the `size` bytes of the pixels, inside the outermost field."""
    inner = _opening(1, size)
    value = _opening(1, len(inner) + size) + inner
    entry = _field(1, b"image") + _opening(2, len(value) + size) + value
    return _opening(1, len(entry) + size) + entry


def _opening(number: int, length: int) -> bytes:
    """Return what stands before the content of a length-delimited protobuf field."""
    return bytes([number << 3 | 2]) + _varint(length)


def _field(number: int, content: bytes) -> bytes:
    """Return a length-delimited protobuf field."""
    return _opening(number, len(content)) + content


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
