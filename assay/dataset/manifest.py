"""The manifest: one row per image of the source, in the order of `path`.

A row that could not be decoded is there too, with its `reason` and without a split: set aside, never lost.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from assay import files
from assay.labels import Task

SCHEMA = pa.schema(
    [
        ("path", pa.string()),  # as in the source, with "/"
        ("label", pa.string()),  # see assay/labels.py; null: not labelled
        ("split", pa.string()),  # one of SPLITS; null: set aside
        ("group", pa.string()),  # of the ledger: its images share a split; null or empty: in none
        ("sha256", pa.string()),  # of the file's bytes; null: it could not be read
        ("bytes", pa.int64()),
        ("decodable", pa.bool_()),
        ("reason", pa.string()),  # why it is not decodable or must not be used; empty if nothing is wrong
        ("named_format", pa.string()),  # what the suffix says; null: no suffix that is known
        ("format", pa.string()),  # by content: PNG, JPEG, ...
        ("width_px", pa.int64()),  # as shown, EXIF orientation applied
        ("height_px", pa.int64()),
        ("mode", pa.string()),  # Pillow's: L, RGB, RGBA, P, I;16, CMYK, ...
        ("channels", pa.int64()),  # of the mode: 1 for L and P, 4 for RGBA and CMYK
        ("bit_depth", pa.int64()),  # bits of one channel in the file
        ("orientation", pa.int64()),  # EXIF: 1 to 8; 1 where the file says none
        ("n_frames", pa.int64()),  # above 1: animated, or of several pages
        ("pixels", pa.string()),  # SHA-256 of size and decoded pixels (assay/ingestion/measure.py): equal for copies
        ("phash", pa.string()),  # perceptual hash, 16 hex digits: few bits differ between near copies
        ("brightness", pa.float64()),  # mean of grey, [0, 255]
        ("contrast", pa.float64()),  # standard deviation of grey
        ("entropy", pa.float64()),  # of grey's histogram, in bits, [0, 8]
        ("black_share", pa.float64()),  # of grey below 8, [0, 1]
        ("white_share", pa.float64()),  # of grey above 247, [0, 1]
        ("sharpness", pa.float64()),  # standard deviation of grey's Laplacian
        ("saturation", pa.float64()),  # mean of HSV's S, [0, 1]
        ("clipped_share", pa.float64()),  # of pixels with a channel above 252, [0, 1]
        *((f"p{percent}", pa.int64()) for percent in (1, 5, 50, 95, 99)),  # percentiles of grey
        ("minimum", pa.int64()),  # of all channels of all pixels, [0, 255]
        ("maximum", pa.int64()),
        *((channel, pa.float64()) for channel in ("red", "green", "blue")),  # means, [0, 255]
        ("noise", pa.float64()),  # standard deviation of what is no structure, in grey levels
        ("comb", pa.float64()),  # unevenness of grey's histogram from level to level, [0, 2]
        ("blockiness", pa.float64()),  # steps on the grid of JPEG over those off it; null: not to be seen
        ("flat_share", pa.float64()),  # of rows, or of columns, at one edge that are all one level and cut off
        ("jpeg_quality", pa.int64()),  # of the file, [1, 100]; null: no JPEG
        ("camera", pa.string()),  # EXIF make and model; null: it does not say
        ("border", pa.binary(60)),  # the outermost grey pixels of a small copy, see assay/ingestion/image_statistics.py
        ("centre", pa.binary(60)),  # and as many in its middle
        ("batch", pa.string()),  # the tar that holds the bytes
        ("offset", pa.int64()),  # of the bytes in the tar
    ]
)

PIXELS = ("border", "centre")  # much for a frame, and wanted by one
PAIRS = pa.schema(
    [
        ("path", pa.string()),
        ("partner", pa.string()),
        ("distance", pa.float64()),  # in [0, 1]: the share of contrast that they do not have in common
        ("one_group", pa.bool_()),  # the source puts both in one group
        ("turned", pa.string()),  # how the one lies beside the other, `mirrored`; empty: as it does
    ]
)


ROW_GROUP = 1 << 20  # rows that are written at once


# A column of the manifest, by its name and the `fact` of each row; null where that is.
Measured = Callable[[str, "pd.Series[int]"], pa.Array]


def write(file: Path, rows: pd.DataFrame, task: Task = "single_label", measured: Measured | None = None) -> None:
    """Write the rows, sorted by path; equal rows give equal bytes.

    What the rows do not have is what was `measured`, so that not all of it need be in memory.
    """
    if not rows["path"].is_monotonic_increasing:
        rows = rows.sort_values("path", kind="stable")
    schema = SCHEMA.with_metadata({"task": task})
    with files.replacing(file) as out, pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for start in range(0, max(len(rows), 1), ROW_GROUP):
            some = rows.iloc[start : start + ROW_GROUP]
            columns = [_column(field, some, measured) for field in schema]
            writer.write_table(pa.table(columns, schema), ROW_GROUP)


def _column(field: pa.Field, rows: pd.DataFrame, measured: Measured | None) -> pa.Array:
    """Return a column in one piece, for pages of the file end where chunks of a column do."""
    if measured and field.name not in rows:
        found = measured(field.name, rows["fact"])
    else:
        found = pa.array(rows[field.name], field.type, from_pandas=True)
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def task(file: Path) -> Task:
    """Return what the labels of the rows are."""
    found: Task = pq.read_schema(file).metadata[b"task"].decode()
    return found


def write_pairs(file: Path, pairs: pd.DataFrame) -> None:
    """Write the near-duplicates; columns as in `PAIRS`."""
    table = pa.Table.from_pandas(pairs, schema=PAIRS, preserve_index=False)
    with files.replacing(file) as out:
        pq.write_table(table.replace_schema_metadata(None).combine_chunks(), out, compression="zstd")


def read_pairs(file: Path) -> pd.DataFrame:
    """Return the near-duplicates; columns as in `PAIRS`, and none is turned where nothing looked for such yet."""
    pairs = pq.read_table(file).to_pandas()
    return pairs if "turned" in pairs else pairs.assign(turned="")


def read(file: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the rows; columns as in `SCHEMA` but `PIXELS`, or those named, numbers that may be missing as Int64."""
    chosen = list(columns or (name for name in SCHEMA.names if name not in PIXELS))
    table = pq.read_table(file, columns=chosen)
    # Each column is let go when it is made, else all are there twice.
    rows = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get, split_blocks=True, self_destruct=True)
    pa.default_memory_pool().release_unused()
    return rows


def read_pixels(file: Path) -> np.ndarray:
    """Return `border` and `centre` of each row, uint8 [N, 2, 60]; 0 where the image did not decode."""
    found = np.zeros((pq.read_metadata(file).num_rows, len(PIXELS), 60), np.uint8)
    for number, name in enumerate(PIXELS):
        start = 0
        for chunk in pq.read_table(file, columns=[name])[name].chunks:
            held = chunk.fill_null(bytes(60))
            levels = np.frombuffer(held.buffers()[1] or b"", np.uint8).reshape(-1, 60)
            found[start : start + len(held), number] = levels[held.offset :][: len(held)]
            start += len(held)
    pa.default_memory_pool().release_unused()
    return found
