"""The scan: every image of a source measured once, and again only when its file changes."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from joblib import Parallel, delayed
from tqdm import tqdm

from assay import icc, image, manifest, measure, memo, resize, source, statistics

PART_IMAGES = 5_000  # remembered at once: what a kill costs, and what is in memory of new ones
LISTED = {"path", "label", "split", "group", "batch", "offset"}
FACTS = pa.schema(
    [
        ("key", pa.string()),
        *(each for each in manifest.SCHEMA if each.name not in LISTED),
        ("thumbnail", pa.binary(measure.HASH_PX**2)),
    ]
)


def scan(images: source.Source, remembered: Path) -> tuple[pd.DataFrame, pa.Table]:
    """Return a row per image in the order of the listing, and the facts that the column `fact` counts in.

    The rows have the columns of the manifest that ingest measures, and `label`, `given_group` and `given_split` as the
    source has them. Only files that `remembered` does not know as they are now are read.
    """
    made_by = memo.code([icc, image, measure, resize, statistics])
    listed = _listed(images)
    known = set(memo.read(remembered, FACTS, made_by)["key"].to_pylist())
    new = [(key, entry) for key, entry in zip(listed["key"], images.entries, strict=True) if key not in known]
    passing = [FACTS.empty_table()]
    for part in _measured(images, new):
        lasting = _lasting(part, images.has_files)
        passing.append(part.filter(pc.invert(lasting)))
        if pc.any(lasting).as_py():
            memo.add(remembered, part.filter(lasting), made_by)
    facts = pa.concat_tables([_tidied(remembered, made_by, set(listed["key"])), *passing])
    rows = memo.frame(facts.drop_columns("thumbnail")).assign(fact=range(len(facts)))
    return listed.merge(rows, on="key", how="left").drop(columns="key"), facts


def thumbnails(facts: pa.Table) -> np.ndarray:
    """Return those of the facts, uint8 [N, 32, 32], read from the disk as they are used; black where there is none."""
    column = facts["thumbnail"].combine_chunks()
    levels = np.frombuffer(column.buffers()[1] or b"", np.uint8).reshape(-1, measure.HASH_PX, measure.HASH_PX)
    return levels[column.offset : column.offset + len(column)]


def _listed(images: source.Source) -> pd.DataFrame:
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


def _tidied(remembered: Path, made_by: str, wanted: set[str]) -> pa.Table:
    """Return what is remembered of the wanted keys, after forgetting the rest."""
    found = memo.read(remembered, FACTS, made_by)
    keys = found["key"].to_pandas()
    kept = keys.isin(wanted) & ~keys.duplicated()
    if kept.all() and found["key"].num_chunks < 2:
        return found
    memo.write(remembered, found.filter(pa.array(kept)), made_by)
    return memo.read(remembered, FACTS, made_by)


def _measured(images: source.Source, new: list[tuple[str, source.Entry]]) -> Iterator[pa.Table]:
    # Pillow works outside the interpreter's lock, so threads use all cores and share what they read.
    work = Parallel(n_jobs=-1, prefer="threads", return_as="generator")(
        delayed(_measure)(images, key, entry) for key, entry in new
    )
    rows = iter(tqdm(work, "measuring", len(new), unit=" images", disable=None))
    while part := list(islice(rows, PART_IMAGES)):
        yield pa.Table.from_pylist(part, FACTS)


def _measure(images: source.Source, key: str, entry: source.Entry) -> dict[str, Any]:
    row: dict[str, Any] = {"key": key, "bytes": entry.bytes, "sha256": None}
    try:
        content = images.read(entry)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        return row | asdict(
            measure.Measurements(decodable=False, reason=reason, named_format=measure.named_format(entry.path))
        )
    row |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return row | asdict(measure.measure(content, entry.path))
