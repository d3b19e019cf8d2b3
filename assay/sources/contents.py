"""What the files of a source hold: the SHA-256 of each, read once, and again only when a file changes."""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from assay import progress, state
from assay.compute import memo
from assay.sources import places
from assay.sources.listing import Source

SCHEMA = pa.schema([("key", pa.string()), ("sha256", pa.string())])
MADE_BY = "SHA-256"
PIECE = 10_000  # files whose hashes are objects at once: there may be ten million


def hashes(source: Source) -> Iterator[str]:
    """Yield the SHA-256 of each entry's file; nothing for what is no local file, or cannot be read."""
    kept = state.CONTENTS / hashlib.sha256(source.name.encode()).hexdigest()[:12]
    stamps = pa.array(_stamps(source), pa.string())
    held = memo.read(kept, SCHEMA, MADE_BY)
    known = pa.concat_tables([held, _hashed(source, stamps, held["key"])])
    at = pc.index_in(stamps, value_set=known["key"])
    wanted = at.unique().drop_null()
    if len(wanted) != len(held) or len(known) != len(held):
        with suppress(FileNotFoundError):  # another look at the source writes it at this moment
            memo.write(kept, known.take(wanted), MADE_BY)
    found = known["sha256"].take(at).fill_null("")
    return (sha256 for piece in _pieces(found) for sha256 in piece.to_pylist())


def _hashed(source: Source, stamps: pa.Array, known: pa.ChunkedArray) -> pa.Table:
    """Return the hashes of the files that are not known, those that can be read."""
    is_known = pc.or_(pc.is_in(stamps, value_set=known), pc.equal(stamps, ""))
    new = pc.indices_nonzero(pc.invert(is_known))
    found = [SCHEMA.empty_table()]
    with progress.told("reading", len(new)) as advance, ThreadPoolExecutor(os.cpu_count()) as threads:
        for some in _pieces(new):
            sha256 = []
            for each in threads.map(_hash, (entry.place for entry in source.entries.at(some.to_pylist()))):
                sha256.append(each)
                advance(1)
            rows = pa.table([stamps.take(some), pa.array(sha256, pa.string())], SCHEMA)
            found.append(rows.filter(pc.not_equal(rows["sha256"], "")))
    return pa.concat_tables(found)


def _pieces(column: pa.Array | pa.ChunkedArray) -> Iterator[pa.Array | pa.ChunkedArray]:
    return (column.slice(start, PIECE) for start in range(0, len(column), PIECE))


def _stamps(source: Source) -> Iterator[str]:
    for place, problem in source.entries.values("place", "problem"):
        is_file = source.has_files and not problem and not places.is_url(place)
        yield memo.stamp(place) if is_file else ""


def _hash(place: str) -> str:
    try:
        if not Path(place).is_file():  # a pipe would wait for its writer
            return ""
        with open(place, "rb") as content:  # noqa: PTH123
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError:
        return ""
