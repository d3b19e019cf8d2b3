"""The manifest: one row per image of the source, in the order of `path`.

A row that could not be decoded is there too, with its `reason` and without a split: set aside, never lost.
"""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from assay import files

SPLITS = ("train", "val", "test")

SCHEMA = pa.schema(
    [
        ("path", pa.string()),  # as in the source, with "/"
        ("label", pa.string()),
        ("split", pa.string()),  # one of SPLITS; null: set aside
        ("sha256", pa.string()),  # of the file's bytes; null: it could not be read
        ("bytes", pa.int64()),
        ("decodable", pa.bool_()),
        ("reason", pa.string()),  # why it is not decodable; empty if it is
        ("format", pa.string()),  # by content: PNG, JPEG, ...
        ("width_px", pa.int64()),  # as shown, EXIF orientation applied
        ("height_px", pa.int64()),
        ("mode", pa.string()),  # Pillow's: L, RGB, RGBA, P, I;16, CMYK, ...
        ("pixels", pa.string()),  # SHA-256 of size and decoded pixels: equal for copies saved in another way
        ("batch", pa.string()),  # the tar that holds the bytes
        ("offset", pa.int64()),  # of the bytes in the tar
    ]
)


def write(file: Path, rows: pd.DataFrame) -> None:
    """Write the rows, sorted by path; equal rows give equal bytes."""
    table = pa.Table.from_pandas(rows.sort_values("path"), schema=SCHEMA, preserve_index=False)
    with files.replacing(file) as out:
        pq.write_table(table.replace_schema_metadata(None), out, compression="zstd")


def read(file: Path) -> pd.DataFrame:
    """Return the rows; columns as in `SCHEMA`, numbers that may be missing as Int64."""
    return pq.read_table(file).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
