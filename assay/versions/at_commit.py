"""What a run left, as it is at a commit: from git, from DVC's cache or remote, or as it lies here."""

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from assay import params
from assay.versions import dvc_repo
from assay.versions.dvc_repo import WORKSPACE

COLUMNS = ("path", "label", "split", "group", "sha256", "batch", "offset", "bytes")
PROPERTIES = ("width_px", "height_px", "brightness", "contrast", "sharpness", "saturation", "noise", "entropy")
NO_CANDIDATE = {"errors": [], "split": {"test": None, "n_test_images": 0}}


def text(rev: str, file: Path) -> str | None:
    """Return a file's content, None where it is not to be had here."""
    if rev == WORKSPACE:
        return file.read_text() if file.exists() else None
    return dvc_repo.read(file, rev)


def content(rev: str, file: Path) -> bytes | None:
    """Return a file's bytes, None where they are not to be had here."""
    if rev == WORKSPACE:
        return file.read_bytes() if file.exists() else None
    return dvc_repo.read_bytes(file, rev)


def candidate(rev: str, paths: params.Paths) -> dict[str, Any]:
    """Return registry/candidate.json; one without errors and test images where there is none."""
    found = text(rev, paths.candidate)
    return dict(json.loads(found)) if found else dict(NO_CANDIDATE)


def predictions(rev: str, paths: params.Paths) -> pd.DataFrame | None:
    """Return label and predicted of each test image, by sha256; None where they are not to be had here."""
    found = text(rev, paths.predictions)
    if found is None:
        return None
    texts = {"sha256": str, "label": str, "predicted": str}
    rows = pd.read_csv(io.StringIO(found), dtype=texts, keep_default_na=False)
    return rows.reindex(columns=list(texts)).set_index("sha256")


def manifest(rev: str, paths: params.Paths) -> pd.DataFrame | None:
    """Return the rows of the manifest that have a split; None where it is not to be had here, or is no manifest."""
    found = content(rev, paths.manifest)
    if found is None:
        return None
    try:
        file = pq.ParquetFile(io.BytesIO(found))
    except pa.ArrowInvalid:  # another version's, or a spoilt one: all else can still be compared
        return None
    known = [name for name in (*COLUMNS, *PROPERTIES) if name in file.schema_arrow.names]  # an older one has fewer
    rows = file.read(columns=known).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return rows[rows["split"].notna()].drop_duplicates("sha256").set_index("sha256")


def pairs(rev: str, paths: params.Paths) -> pd.DataFrame:
    """Return the near-duplicates, path and partner; none where they are not to be had here."""
    found = content(rev, paths.pairs)
    try:
        return pq.read_table(io.BytesIO(found or b""), columns=["path", "partner"]).to_pandas()
    except pa.ArrowInvalid:  # none, or of another version
        return pd.DataFrame(columns=["path", "partner"])
