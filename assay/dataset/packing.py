"""Packing: one shard made of its images, in whichever process of whichever machine."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from joblib import Parallel, delayed

from assay.compute import backend, fingerprint
from assay.dataset import batches
from assay.dataset.records import contents
from assay.dataset.records import shard as shards
from assay.errors import AssayError
from assay.images import colour, decode, depth, kinds, resizing

CODE = (colour, contents, decode, depth, resizing, kinds, shards)


@dataclass(frozen=True)
class Member:
    offset: int  # of the original bytes in the batch
    bytes: int
    sha256: str
    label: int | tuple[int, ...]
    kept: tuple[Path, int] | None = None  # an older shard, and where in it the pixels stand


@dataclass(frozen=True, kw_only=True)
class Shard:
    """What a shard holds, and where it goes."""

    made_by: str  # the fingerprint of the code that must make it
    batch: Path
    members: tuple[Member, ...]
    preparation: decode.Preparation
    folder: Path
    split: str


def write(shard: Shard, threads: int = 1) -> str:
    """Return the name of the shard that was written; raises `AssayError` if the batch is not what was put in."""
    fingerprint.check(shard.made_by, CODE)
    backend.keep_memory()
    return shards.write(shard.folder, shard.split, _examples(shard, threads))


def _examples(shard: Shard, threads: int) -> Iterator[contents.Example]:
    try:
        tar = shard.batch.open("rb")
    except FileNotFoundError:
        raise AssayError(f"{shard.batch}: not there for a worker; all of them must see this folder") from None
    with tar:
        contents = ((_content(tar, each, shard), each) for each in shard.members)
        if threads == 1:  # joblib would cost a twentieth of a small image
            yield from (_example(content, member, shard) for content, member in contents)
            return
        # Pillow works outside the interpreter's lock, so threads use as many cores.
        yield from Parallel(n_jobs=threads, prefer="threads", return_as="generator")(
            delayed(_example)(content, member, shard) for content, member in contents
        )


def _content(tar: BinaryIO, member: Member, shard: Shard) -> bytes | np.ndarray:
    """Return the encoded image, or the pixels that were made of it before."""
    if member.kept is None:
        return batches.read_image(tar, offset=member.offset, size=member.bytes, sha256=member.sha256)
    file, start = member.kept
    p = shard.preparation
    shape = (p.height_px, p.width_px, contents.CHANNELS[p.colour])
    return np.fromfile(file, np.uint8, math.prod(shape), offset=start).reshape(shape)


def _example(content: bytes | np.ndarray, member: Member, shard: Shard) -> contents.Example:
    pixels = content if isinstance(content, np.ndarray) else decode.prepare(content, **vars(shard.preparation))
    return contents.Example(image=pixels, label=member.label, sha256=member.sha256)
