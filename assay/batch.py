"""Batches: immutable uncompressed tars of original image bytes, each member named by its SHA-256."""

import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from assay import files
from assay.errors import AssayError


def name(number: int, members: Iterable[str]) -> str:
    """Return the file name of the batch: its number and a hash over the members' SHA-256."""
    return f"{number:04d}-{hashlib.sha256(''.join(sorted(members)).encode()).hexdigest()[:12]}.tar"


def write(file: Path, members: Iterable[tuple[str, bytes]]) -> dict[str, int]:
    """Write a tar of (SHA-256, bytes) in the given order, and return what `read_offsets` finds in it.

    Equal members give equal bytes.
    """
    offsets = {}
    with files.replacing(file) as out, tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for sha256, content in members:
            member = tarfile.TarInfo(sha256)  # dated 1970, owned by nobody
            member.size = len(content)
            offsets[sha256] = tar.offset + tarfile.BLOCKSIZE  # of its header, the only one: the name is short
            tar.addfile(member, io.BytesIO(content))
    return offsets


def read_offsets(file: Path) -> dict[str, int]:
    """Return where each member's bytes begin, by SHA-256; raises `AssayError` if the tar is cut or altered."""
    return {sha256: offset for sha256, _, offset in _members(file)}


def read(file: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (SHA-256, bytes) of each member; raises `AssayError` if the tar is cut or altered."""
    return ((sha256, content) for sha256, content, _ in _members(file))


def _members(file: Path) -> Iterator[tuple[str, bytes, int]]:
    try:
        with tarfile.open(file, "r:") as tar:
            for member in tar:
                source = tar.extractfile(member)
                content = source.read() if source else b""
                if source is None or hashlib.sha256(content).hexdigest() != member.name:
                    raise AssayError(_broken(file))
                yield member.name, content, member.offset_data
    except (tarfile.TarError, EOFError):
        raise AssayError(_broken(file)) from None


def read_image(tar: BinaryIO, *, offset: int, size: int, sha256: str) -> bytes:
    """Return one image's bytes from an open batch; raises `AssayError` if they are not what was put in."""
    tar.seek(offset)
    content = tar.read(size)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise AssayError(_broken(Path(tar.name)))
    return content


def _broken(file: Path) -> str:
    return f"{file}: not the bytes that were put in; delete the file and run `dvc repro -f -s ingest`"
