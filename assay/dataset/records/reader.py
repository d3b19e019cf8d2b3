"""Shards read without TensorFlow, each record checked by its checksums.

See assay/dataset/records/shard.py for what a record is.
"""

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from assay.dataset.records.contents import Example, Index
from assay.dataset.records.shard import HEAD_BYTES, TAIL_BYTES, checksum


class Broken(Exception):
    """Says where a shard cannot be read, and which image is there if that can be made out."""

    def __init__(self, reason: str, sha256: str = "") -> None:
        super().__init__(reason)
        self.sha256 = sha256


def read(file: Path, index: Index) -> Iterator[Example]:
    """Yield the examples of a shard, read without TensorFlow; raises `Broken` at the first that is not as written."""
    return (example for _, example in located(file, index))


def located(file: Path, index: Index, start: int = 0) -> Iterator[tuple[int, Example]]:
    """Yield of each record from the one at the byte `start` on where it begins, and its example; raises as `read`."""
    with file.open("rb") as content:
        content.seek(start)
        for number, payload in enumerate(_payloads(content), start=1):
            try:
                example = _parse(payload, index)
            except (IndexError, KeyError, ValueError) as error:
                raise Broken(f"record {number} is no image of this set: {error}") from None
            yield start, example
            start += HEAD_BYTES + len(payload) + TAIL_BYTES


def _payloads(content: BinaryIO) -> Iterator[bytes]:
    number = 0
    while head := content.read(12):
        number += 1
        if len(head) < 12 or checksum(head[:8]) != head[8:]:
            raise Broken(f"record {number}: its length is cut or altered")
        (length,) = struct.unpack("<Q", head[:8])
        payload, crc = content.read(length), content.read(4)
        if len(payload) < length or checksum(payload) != crc:
            raise Broken(f"record {number}: its content is cut or altered", _sha256(payload))
        yield payload


def _sha256(payload: bytes) -> str:
    """Return the SHA-256 that a damaged record names, empty if that cannot be made out."""
    found = re.search(rb"sha256.{1,8}?([0-9a-f]{64})", payload, re.DOTALL)
    return found[1].decode() if found else ""


def _parse(payload: bytes, index: Index) -> Example:
    """Return the example of a serialized one; raises ValueError, KeyError or IndexError for what is none."""
    features: dict[str, bytes] = {}
    for _, entries in _fields(payload):
        for _, entry in _fields(entries):
            named = dict(_fields(entry))
            features[named[1].decode()] = dict(_fields(dict(_fields(named[2])).popitem()[1])).get(1, b"")
    pixels = np.frombuffer(features["image"], np.uint8).reshape(index.height_px, index.width_px, index.channels)
    numbers = tuple(_varints(features["label"]))
    if len(numbers) != (1 if index.task == "single_label" else len(index.classes)):
        raise ValueError(f"{len(numbers)} numbers as its label")
    label = numbers[0] if index.task == "single_label" else numbers
    return Example(image=pixels, label=label, sha256=features["sha256"].decode())


def _fields(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of each length-delimited protobuf field; raises ValueError for any other."""
    at = 0
    while at < len(content):
        if content[at] & 7 != 2:
            raise ValueError(f"protobuf's wire type {content[at] & 7}")
        number, at = content[at] >> 3, at + 1
        length, at = _read_varint(content, at)
        if at + length > len(content):
            raise ValueError("a field that is cut")
        yield number, content[at : at + length]
        at += length


def _varints(content: bytes) -> Iterator[int]:
    at = 0
    while at < len(content):
        value, at = _read_varint(content, at)
        yield value


def _read_varint(content: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins there, and where it ends."""
    value, shift = 0, 0
    while content[at] & 0x80:
        value |= (content[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | content[at] << shift, at + 1
