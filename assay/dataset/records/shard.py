"""TFRecord shards, written without TensorFlow, byte for byte what its own writer makes.

A record is a `tf.train.Example` with `image` (uint8 pixels [H, W, C], raw), `label` (index into the classes; of a
multi-label set 0 or 1 for each class [K]) and `sha256` (of the original file, 64 hex digits). Formats:
https://www.tensorflow.org/tutorials/load_data/tfrecord and https://protobuf.dev/programming-guides/encoding/
"""

import hashlib
import os
import struct
import uuid
from collections.abc import Iterable, Iterator
from functools import lru_cache, reduce
from pathlib import Path

import google_crc32c

from assay.dataset.records.contents import Example

SUFFIX = ".tfrecord"
HEAD_BYTES, TAIL_BYTES = 12, 4  # of a record: its length and the checksum of that; the checksum of the data


def write(folder: Path, split: str, examples: Iterable[Example]) -> str:
    """Return the name of the shard that now holds the examples: its split and a hash over its lengths and checksums.

    The shard is whole, but may still be on its way to the disk: see `settle`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    unnamed = folder / f".{split}-{uuid.uuid4().hex}.tmp"  # several are written at once, of one split too
    frames = hashlib.sha256()
    try:
        with unnamed.open("wb") as out:
            for example in examples:
                before, pixels, after = _serialize(example)
                head, tail = _frame(before, pixels, after)
                out.write(head + before)
                out.write(pixels)
                out.write(after + tail)
                frames.update(head + tail)
        name = _name(frames.hexdigest(), split)
        unnamed.replace(folder / name)
    finally:
        unnamed.unlink(missing_ok=True)
    return name


def settle(shard: Path) -> None:
    """Return when the disk has the shard: no power cut can cost it any more."""
    with shard.open("rb") as written:
        os.fsync(written.fileno())


def is_whole(file: Path) -> bool:
    """Return whether the shard is there and holds the bytes that its name promises."""
    frames = hashlib.sha256()
    try:
        with file.open("rb") as content:
            while head := content.read(HEAD_BYTES):
                length = struct.unpack("<Q", head[:8])[0] if head[8:] == checksum(head[:8]) else 0
                data, tail = content.read(length), content.read(TAIL_BYTES)
                if tail != checksum(data):
                    return False
                frames.update(head + tail)
    except FileNotFoundError:
        return False
    return file.name == _name(frames.hexdigest(), file.name.partition("-")[0])


def pixels(file: Path, size: int) -> Iterator[tuple[str, int]]:
    """Yield the SHA-256 of each record of a whole shard, and where in it the `size` bytes of its pixels begin."""
    before = len(_before(size))
    with file.open("rb") as content:
        while head := content.read(HEAD_BYTES):
            length, start = struct.unpack_from("<Q", head)[0], content.tell()
            outermost = next(1 + n for n in range(1, 10) if len(_varint(length - 1 - n)) == n)
            content.seek(start + length - 64)
            yield content.read(64).decode(), start + outermost + before
            content.seek(start + length + TAIL_BYTES)


def _name(sha256: str, split: str) -> str:
    return f"{split}-{sha256[:16]}{SUFFIX}"


def _frame(*parts: bytes) -> tuple[bytes, bytes]:
    """Return what stands before and after the data of a record, given in parts so that pixels are not copied."""
    crc = reduce(google_crc32c.extend, parts, 0)
    length = struct.pack("<Q", sum(map(len, parts)))
    return length + checksum(length), _masked(crc)


def checksum(content: bytes) -> bytes:
    """Return the masked checksum of TFRecord: CRC-32C, turned by 15 bits, plus a number."""
    return _masked(google_crc32c.value(content))


def _masked(crc: int) -> bytes:
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def _serialize(example: Example) -> tuple[bytes, bytes, bytes]:
    """Return the protobuf bytes of the example, its features sorted by name: those before, in and after the pixels."""
    pixels = example.image.tobytes()
    opened = _before(len(pixels))
    after = _label(example.label) + _feature(b"sha256", _field(1, _field(1, example.sha256.encode())))
    return _opening(1, len(opened) + len(pixels) + len(after)) + opened, pixels, after


@lru_cache
def _before(size: int) -> bytes:
    """Return what stands before the `size` bytes of the pixels, inside the outermost field."""
    inner = _opening(1, size)
    value = _opening(1, len(inner) + size) + inner
    entry = _field(1, b"image") + _opening(2, len(value) + size) + value
    return _opening(1, len(entry) + size) + entry


@lru_cache
def _label(label: int | tuple[int, ...]) -> bytes:
    numbers = label if isinstance(label, tuple) else (label,)
    return _feature(b"label", _field(3, _field(1, b"".join(map(_varint, numbers)))))


def _feature(name: bytes, value: bytes) -> bytes:
    return _field(1, _field(1, name) + _field(2, value))


def _opening(number: int, length: int) -> bytes:
    """Return what stands before the content of a length-delimited protobuf field."""
    return bytes([number << 3 | 2]) + _varint(length)


def _field(number: int, content: bytes) -> bytes:
    """Return a length-delimited protobuf field."""
    return _opening(number, len(content)) + content


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
