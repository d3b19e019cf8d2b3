"""The scan: every image of a source measured once, and again only when its file changes."""

import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from assay import progress
from assay.compute import backend, fingerprint, memo
from assay.dataset import lookup, manifest
from assay.images import decode
from assay.ingestion import chunk, measure
from assay.sources import opening

PART_IMAGES = 5_000  # remembered at once: what a kill costs, and what is in memory of new ones
MOST_PARTS = 400  # that a memo may have before it is written anew, as few large ones
CHUNK_IMAGES = 64  # measured by one worker at a time
LISTED = {"path", "label", "split", "group", "batch", "offset"}
FACTS = pa.schema(
    [
        ("key", pa.string()),
        *(each for each in manifest.SCHEMA if each.name not in LISTED),
        ("thumbnail", pa.binary(measure.HASH_PX**2)),
    ]
)
MEASURED = tuple(name for name in FACTS.names if name not in ("key", "thumbnail"))


def scan(
    images: opening.Source,
    remembered: Path,
    reading: decode.Reading = decode.USUAL,
    columns: Collection[str] = MEASURED,
) -> tuple[pd.DataFrame, pa.Table]:
    """Return a row per image in the order of the listing, and the facts that the column `fact` counts in.

    The rows have `label`, `given_group` and `given_split` as the source has them, and those `columns` of the manifest
    that ingest measures. Only files that `remembered` does not know as they are now are read.
    """
    made_by = fingerprint.fingerprint(chunk.CODE, reading)
    listed = _listed(images)
    known = memo.read(remembered, FACTS, made_by)["key"]
    new = np.flatnonzero(lookup.places(known, listed["key"]) < 0).tolist()
    passing = remembered / "passing"  # on the disk too, for there may be a million
    shutil.rmtree(passing, ignore_errors=True)
    for part in _measured(images, listed["key"], new, reading):
        lasting = _lasting(part, images.has_files)
        for folder, rows in ((remembered, part.filter(lasting)), (passing, part.filter(pc.invert(lasting)))):
            if len(rows):
                memo.add(folder, rows, made_by)
    tidied = _tidied(remembered, made_by, listed["key"])
    facts = pa.concat_tables([tidied, memo.read(passing, FACTS, made_by)])
    fact = lookup.places(facts["key"], listed["key"])
    rows = pa.table({**_columns(listed.drop_columns("key")), **_columns(facts.select(list(columns)).take(fact))})
    memo.unload()
    return memo.frame(rows).assign(fact=fact), facts


def taken(facts: pa.Table, name: str, fact: "pd.Series[int]") -> pa.ChunkedArray:
    """Return a column of the facts for the rows that say which `fact` is theirs; null where they say none."""
    found: pa.ChunkedArray = facts[name].take(pa.array(fact, pa.int64(), from_pandas=True))
    memo.unload()
    return found


def _columns(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    return dict(zip(table.column_names, table.columns, strict=True))


class Thumbnails:
    """Thumbnails of facts, uint8 [N, 32, 32], black where there is none; read from the disk as they are asked for."""

    def __init__(self, facts: pa.Table, rows: np.ndarray) -> None:
        """Take those of the rows [N] of `facts`, in their order."""
        self._parts = [_levels(chunk) for chunk in facts["thumbnail"].chunks]
        self._ends = np.cumsum([len(part) for part in self._parts])
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, which: slice | np.ndarray) -> np.ndarray:
        rows = self._rows[which]
        found = np.empty((len(rows), measure.HASH_PX, measure.HASH_PX), np.uint8)
        of_part = np.searchsorted(self._ends, rows, "right")
        for number in np.unique(of_part):
            is_in = of_part == number
            found[is_in] = self._parts[number][rows[is_in] - self._ends[number]]  # counted from the end of the part
        memo.unload()
        return found


def _levels(column: pa.FixedSizeBinaryArray) -> np.ndarray:
    levels = np.frombuffer(column.buffers()[1] or b"", np.uint8).reshape(-1, measure.HASH_PX, measure.HASH_PX)
    return levels[column.offset : column.offset + len(column)]


def _listed(images: opening.Source) -> pa.Table:
    listed = images.entries.table
    named = [("path", "path"), ("label", "label"), ("group", "given_group"), ("split", "given_split")]
    keys = pa.array(_keys(images), pa.string())
    return pa.table({name: listed[column] for column, name in named} | {"key": keys})


def _keys(images: opening.Source) -> Iterator[str]:
    for number, (place, problem) in enumerate(images.entries.values("place", "problem")):
        yield (memo.stamp(place) if images.has_files and not problem else "") or f"row {number}"


def _lasting(facts: pa.Table, has_files: bool) -> pa.ChunkedArray:
    """Say which facts hold for the next run: what could not be read may be readable then without a trace of it."""
    is_file = pc.and_(has_files, pc.invert(pc.starts_with(facts["key"], "row ")))
    return pc.and_(is_file, pc.is_valid(facts["sha256"]))


def _tidied(remembered: Path, made_by: str, wanted: pa.ChunkedArray) -> pa.Table:
    """Return what is remembered of the wanted keys, each once, after forgetting the rest."""
    found = memo.read(remembered, FACTS, made_by)
    kept = np.zeros(len(found) + 1, bool)
    kept[lookup.places(found["key"], wanted)] = True  # the last of what is not remembered
    kept = kept[:-1]
    if kept.all() and found["key"].num_chunks <= MOST_PARTS:
        return found
    memo.write(remembered, found, made_by, kept)
    return memo.read(remembered, FACTS, made_by)


def _measured(
    images: opening.Source, keys: pa.ChunkedArray, new: list[int], reading: decode.Reading
) -> Iterator[pa.Table]:
    """Yield the facts of the images with these numbers in the listing, some at a time."""
    some, made_by = list(backend.chunks(new, CHUNK_IMAGES, len(new))), fingerprint.fingerprint(chunk.CODE)

    def plan(numbers: tuple[int, ...]) -> chunk.Chunk:
        of = zip(keys.take(list(numbers)).to_pylist(), images.entries.at(numbers), strict=True)
        return chunk.plan(images, tuple(of), made_by, reading)

    work = backend.results(chunk.measured, map(plan, some), len(new))
    part: list[dict[str, Any]] = []
    with progress.told("measuring", len(new)) as advance:
        for numbers, rows in zip(some, work, strict=True):
            if backend.is_cluster():
                chunk.check_seen(rows, images, images.entries.at(numbers))
            part += rows
            advance(len(rows))
            if len(part) >= PART_IMAGES:
                yield pa.Table.from_pylist(part, FACTS)
                part = []
    if part:
        yield pa.Table.from_pylist(part, FACTS)
