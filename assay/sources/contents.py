"""What the files of a source hold: the SHA-256 of each, read once, and again only when a file changes."""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from assay import progress, state
from assay.compute import memo
from assay.sources import places
from assay.sources.listing import Source

SCHEMA = pa.schema([("key", pa.string()), ("sha256", pa.string())])
MADE_BY = "SHA-256"


def hashes(source: Source) -> list[str]:
    """Return the SHA-256 of each entry's file; nothing for what is no local file, or cannot be read."""
    kept = state.CONTENTS / hashlib.sha256(source.name.encode()).hexdigest()[:12]
    stamps = list(_stamps(source))
    held = memo.read(kept, SCHEMA, MADE_BY)
    known = dict(zip(held["key"].to_pylist(), held["sha256"].to_pylist(), strict=True))
    before = known.keys() | ()
    new = [(key, each.place) for key, each in zip(stamps, source.entries, strict=True) if key and key not in known]
    with progress.told("reading", len(new)) as advance, ThreadPoolExecutor(os.cpu_count()) as threads:
        for (key, _), found in zip(new, threads.map(_hash, (place for _, place in new)), strict=True):
            known |= {key: found} if found else {}
            advance(1)
    wanted = {key: known[key] for key in stamps if key in known}
    if wanted.keys() != before:
        with suppress(FileNotFoundError):  # another look at the source writes it at this moment
            memo.write(kept, pa.table([list(wanted), list(wanted.values())], SCHEMA), MADE_BY)
    return [wanted.get(key, "") for key in stamps]


def _stamps(source: Source) -> Iterator[str]:
    for each in source.entries:
        is_file = source.has_files and not each.problem and not places.is_url(each.place)
        yield memo.stamp(each.place) if is_file else ""


def _hash(place: str) -> str:
    try:
        if not Path(place).is_file():  # a pipe would wait for its writer
            return ""
        with open(place, "rb") as content:  # noqa: PTH123
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError:
        return ""
