"""The champion, as it was released: what it said of its test images; `tagged.export` has its model.

All of it comes from the commit that its tag names, so that neither edits nor later runs take part: small files from
git, large ones from DVC's cache or remote.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from assay.errors import AssayError
from assay.labels import Task
from assay.versions import dvc_repo, tagged


@dataclass(frozen=True, kw_only=True)
class Champion:
    version: str
    task: Task
    test: pd.DataFrame  # label, predicted, probability, group: of each test image


def read() -> Champion | None:
    """Return the champion of this repository, None if there is none.

    Raises `AssayError` for a file that neither git, the cache nor a remote has.
    """
    if not tagged.has_champion():
        return None
    release = tagged.read(tagged.CHAMPION)
    predictions, manifest = (
        _content(release.paths[name], release.commit, release.version) for name in ("predictions", "manifest")
    )
    return Champion(
        version=release.version,
        task=release.candidate["task"],
        test=_test(predictions, manifest),
    )


def _content(file: Path, commit: str, version: str) -> bytes:
    found = dvc_repo.read_bytes(file, commit)
    if found is None:
        raise AssayError(f"champion {version}: {file} of {commit[:12]} is neither in DVC's cache nor in a remote")
    return found


def _test(predictions: bytes, manifest: bytes) -> pd.DataFrame:
    texts: dict[str, Any] = {"sha256": str, "label": str, "predicted": str}
    test = pd.read_csv(io.BytesIO(predictions), dtype=texts, keep_default_na=False)
    groups = pq.read_table(io.BytesIO(manifest), columns=["sha256", "group"]).to_pandas().drop_duplicates("sha256")
    found = test[["sha256", "label", "predicted", "probability"]].merge(groups, on="sha256", how="left")
    return found.drop(columns="sha256")
