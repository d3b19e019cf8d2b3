"""What a run left, as it is at a commit: from git, from DVC's cache or remote, or as it lies here."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from assay import params
from assay.labels import Task
from assay.versions import dvc_repo
from assay.versions.dvc_repo import WORKSPACE

COLUMNS = ("path", "label", "split", "group", "sha256", "batch", "offset", "bytes")
PROPERTIES = ("width_px", "height_px", "brightness", "contrast", "sharpness", "saturation", "noise", "entropy")
NEEDED = {"path", "label", "split", "sha256"}  # of a manifest
NO_CANDIDATE = {"errors": [], "split": {"test": None, "n_test_images": 0}}


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of two commits that are compared."""

    rev: str
    candidate: dict[str, Any]  # what registry/candidate.json says, of what it does not say that of `NO_CANDIDATE`
    problem: str  # what that file lacks, empty if nothing
    manifest: pd.DataFrame | None  # see `manifest`


def side(rev: str, paths: params.Paths) -> Side:
    """Return what a run left at a commit, as far as it is to be had."""
    said, problem = _candidate(rev, paths)
    return Side(rev=rev, candidate=said, problem=problem, manifest=manifest(rev, paths))


def content(rev: str, file: Path) -> bytes | None:
    """Return a file's bytes, None where they are not to be had here."""
    if rev == WORKSPACE:
        return file.read_bytes() if file.exists() else None
    return dvc_repo.read_bytes(file, rev)


def _candidate(rev: str, paths: params.Paths) -> tuple[dict[str, Any], str]:
    """Return registry/candidate.json, and what is wrong with it."""
    where = f"{paths.candidate.as_posix()} of {rev}"
    found = content(rev, paths.candidate)
    if found is None:
        return dict(NO_CANDIDATE), f"{where} is not there"
    try:
        said = json.loads(found)
    except ValueError:  # what a merge left, or not even text
        return dict(NO_CANDIDATE), f"{where} is not JSON"
    if not isinstance(said, dict):
        return dict(NO_CANDIDATE), f"{where} is no JSON object"
    known = {key: said[key] for key, is_so in (_NEEDED | _MORE).items() if is_so(said.get(key))}
    lacking = [f"`{key}`" for key in _NEEDED if key not in known]
    if lacking:  # the errors say nothing without the images, nor these without the errors
        return known | NO_CANDIDATE, f"{where} has no {' and no '.join(lacking)} of the form of this version"
    return known, ""


def _is_split(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("test"), str) and type(value.get("n_test_images")) is int


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


_NEEDED = {"split": _is_split, "errors": _are_texts}
_MORE = {  # older ones have none
    "task": get_args(Task).__contains__,
    "classes": _are_texts,
    "named": _are_texts,
    "ledger": lambda value: isinstance(value, str),
}


def predictions(rev: str, paths: params.Paths) -> pd.DataFrame | None:
    """Return label, predicted and probability of each test image, by sha256; None where they are not to be had here."""
    found = content(rev, paths.predictions)
    if found is None:
        return None
    texts: dict[str, Any] = {"sha256": str, "label": str, "predicted": str}
    try:
        rows = pd.read_csv(io.BytesIO(found), dtype=texts, keep_default_na=False)
    except ValueError:  # spoilt
        return None
    if not set(rows) >= set(texts):  # another version's
        return None
    rows = rows.reindex(columns=[*texts, "probability"]).drop_duplicates("sha256").set_index("sha256")
    return rows.assign(probability=pd.to_numeric(rows["probability"], errors="coerce"))


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
    if not set(known) >= NEEDED:
        return None
    rows = file.read(columns=known).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return rows[rows["split"].notna()].drop_duplicates("sha256").set_index("sha256")


def pairs(rev: str, paths: params.Paths) -> pd.DataFrame:
    """Return the near-duplicates, path and partner; none where they are not to be had here."""
    found = content(rev, paths.pairs)
    try:
        return pq.read_table(io.BytesIO(found or b""), columns=["path", "partner"]).to_pandas()
    except pa.ArrowInvalid:  # none, or of another version
        return pd.DataFrame(columns=["path", "partner"])
