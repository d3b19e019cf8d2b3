"""Packing: one shard made of its images, in whichever process of whichever machine."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from joblib import Parallel, delayed

from assay import backend, batch, code, icc, image, records, resize
from assay.errors import AssayError

CODE = (icc, image, records, resize)


@dataclass(frozen=True)
class Member:
    offset: int  # of the original bytes in the batch
    bytes: int
    sha256: str
    label: int | tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Shard:
    """What a shard holds, and where it goes."""

    made_by: str  # the fingerprint of the code that must make it
    batch: Path
    members: tuple[Member, ...]
    height_px: int
    width_px: int
    colour: image.Colour
    resize: resize.Resize
    folder: Path
    split: str


def write(shard: Shard, threads: int = 1) -> str:
    """Return the name of the shard that was written; raises `AssayError` if the batch is not what was put in."""
    code.check(shard.made_by, CODE)
    backend.keep_memory()
    return records.write(shard.folder, shard.split, _examples(shard, threads))


def _examples(shard: Shard, threads: int) -> Iterator[records.Example]:
    try:
        tar = shard.batch.open("rb")
    except FileNotFoundError:
        raise AssayError(f"{shard.batch}: not there for a worker; all of them must see this folder") from None
    with tar:
        contents = (
            (batch.read_image(tar, offset=each.offset, size=each.bytes, sha256=each.sha256), each)
            for each in shard.members
        )
        if threads == 1:  # joblib would cost a twentieth of a small image
            yield from (_example(content, member, shard) for content, member in contents)
            return
        # Pillow works outside the interpreter's lock, so threads use as many cores.
        yield from Parallel(n_jobs=threads, prefer="threads", return_as="generator")(
            delayed(_example)(content, member, shard) for content, member in contents
        )


def _example(content: bytes, member: Member, shard: Shard) -> records.Example:
    pixels = image.prepare(
        content, height_px=shard.height_px, width_px=shard.width_px, colour=shard.colour, resize=shard.resize
    )
    return records.Example(image=pixels, label=member.label, sha256=member.sha256)
