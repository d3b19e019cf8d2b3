"""The manifest: one row per image of the source, in the order of `path`.

A row that could not be decoded is there too, with its `reason` and without a split: set aside, never lost.
"""

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


def write(file: Path, rows: pd.DataFrame, task: Task = "single_label") -> None:
    """Write the rows, sorted by path; equal rows give equal bytes."""
    _write(file, rows.sort_values("path", kind="stable"), SCHEMA.with_metadata({"task": task}))


def task(file: Path) -> Task:
    """Return what the labels of the rows are."""
    found: Task = pq.read_schema(file).metadata[b"task"].decode()
    return found


def write_pairs(file: Path, pairs: pd.DataFrame) -> None:
    """Write the near-duplicates; columns as in `PAIRS`."""
    _write(file, pairs, PAIRS)


def read_pairs(file: Path) -> pd.DataFrame:
    """Return the near-duplicates; columns as in `PAIRS`, and none is turned where nothing looked for such yet."""
    pairs = pq.read_table(file).to_pandas()
    return pairs if "turned" in pairs else pairs.assign(turned="")


def _write(file: Path, rows: pd.DataFrame, schema: pa.Schema) -> None:
    table = pa.Table.from_pandas(rows, schema=schema, preserve_index=False)
    with files.replacing(file) as out:
        # In one piece, for pages of the file end where chunks of a column do, and chunks where parts of the memo do.
        whole = table.replace_schema_metadata(schema.metadata).combine_chunks()
        pq.write_table(whole, out, compression="zstd")


def read(file: Path) -> pd.DataFrame:
    """Return the rows; columns as in `SCHEMA` but `PIXELS`, numbers that may be missing as Int64."""
    columns = [name for name in SCHEMA.names if name not in PIXELS]
    return pq.read_table(file, columns=columns).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)


def read_pixels(file: Path) -> np.ndarray:
    """Return `border` and `centre` of each row, uint8 [N, 2, 60]; 0 where the image did not decode."""
    table = pq.read_table(file, columns=list(PIXELS))
    columns = [column.combine_chunks().fill_null(bytes(60)) for column in table.columns]
    levels = [np.frombuffer(column.buffers()[1] or b"", np.uint8).reshape(-1, 60) for column in columns]
    return np.stack(
        [each[column.offset :][: len(column)] for each, column in zip(levels, columns, strict=True)], axis=1
    )
