"""The scan: every image of a source measured once, and again only when its file changes."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from assay import progress
from assay.compute import backend, fingerprint, memo
from assay.dataset import manifest
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


def scan(
    images: opening.Source, remembered: Path, reading: decode.Reading = decode.USUAL
) -> tuple[pd.DataFrame, pa.Table]:
    """Return a row per image in the order of the listing, and the facts that the column `fact` counts in.

    The rows have the columns of the manifest that ingest measures, and `label`, `given_group` and `given_split` as the
    source has them. Only files that `remembered` does not know as they are now are read.
    """
    made_by = fingerprint.fingerprint(chunk.CODE, reading)
    listed = _listed(images)
    known = set(memo.read(remembered, FACTS, made_by)["key"].to_pylist())
    new = [(key, entry) for key, entry in zip(listed["key"], images.entries, strict=True) if key not in known]
    passing = remembered / "passing"  # on the disk too, for there may be a million
    shutil.rmtree(passing, ignore_errors=True)
    for part in _measured(images, new, reading):
        lasting = _lasting(part, images.has_files)
        for folder, rows in ((remembered, part.filter(lasting)), (passing, part.filter(pc.invert(lasting)))):
            if len(rows):
                memo.add(folder, rows, made_by)
    tidied = _tidied(remembered, made_by, pa.array(listed["key"]))
    facts = pa.concat_tables([tidied, memo.read(passing, FACTS, made_by)])
    measured = memo.frame(facts.drop_columns("thumbnail")).assign(fact=range(len(facts)))
    return listed.merge(measured, on="key", how="left").drop(columns="key"), facts


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
        return found


def _levels(column: pa.FixedSizeBinaryArray) -> np.ndarray:
    levels = np.frombuffer(column.buffers()[1] or b"", np.uint8).reshape(-1, measure.HASH_PX, measure.HASH_PX)
    return levels[column.offset : column.offset + len(column)]


def _listed(images: opening.Source) -> pd.DataFrame:
    has_stamp = [images.has_files and not entry.problem for entry in images.entries]
    stamps = (memo.stamp(entry.place) if may else "" for may, entry in zip(has_stamp, images.entries, strict=True))
    return pd.DataFrame(
        {
            "path": [entry.path for entry in images.entries],
            "label": [entry.label for entry in images.entries],
            "given_group": [entry.group for entry in images.entries],
            "given_split": [entry.split for entry in images.entries],
            "key": [stamp or f"row {number}" for number, stamp in enumerate(stamps)],
        }
    )


def _lasting(facts: pa.Table, has_files: bool) -> pa.ChunkedArray:
    """Say which facts hold for the next run: what could not be read may be readable then without a trace of it."""
    is_file = pc.and_(has_files, pc.invert(pc.starts_with(facts["key"], "row ")))
    return pc.and_(is_file, pc.is_valid(facts["sha256"]))


def _tidied(remembered: Path, made_by: str, wanted: pa.Array) -> pa.Table:
    """Return what is remembered of the wanted keys, after forgetting the rest."""
    found = memo.read(remembered, FACTS, made_by)
    is_wanted = pc.is_in(found["key"], value_set=wanted).to_numpy()
    kept = is_wanted & ~found["key"].to_pandas().duplicated().to_numpy()
    if kept.all() and found["key"].num_chunks <= MOST_PARTS:
        return found
    memo.write(remembered, found, made_by, kept)
    return memo.read(remembered, FACTS, made_by)


def _measured(
    images: opening.Source, new: list[tuple[str, opening.Entry]], reading: decode.Reading
) -> Iterator[pa.Table]:
    some, made_by = list(backend.chunks(new, CHUNK_IMAGES, len(new))), fingerprint.fingerprint(chunk.CODE)
    work = backend.results(chunk.measured, (chunk.plan(images, each, made_by, reading) for each in some), len(new))
    part: list[dict[str, Any]] = []
    with progress.told("measuring", len(new)) as advance:
        for each, rows in zip(some, work, strict=True):
            if backend.is_cluster():
                chunk.check_seen(rows, images, tuple(entry for _, entry in each))
            part += rows
            advance(len(rows))
            if len(part) >= PART_IMAGES:
                yield pa.Table.from_pylist(part, FACTS)
                part = []
    if part:
        yield pa.Table.from_pylist(part, FACTS)
