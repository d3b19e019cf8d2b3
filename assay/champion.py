"""The champion, as it was released: its model, how its images are prepared, and what it said of its test images.

All of it comes from the commit that its tag names, so that neither edits nor later runs take part: small files from
git, large ones from DVC's cache or remote.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import yaml
from pydantic import TypeAdapter

from assay import git, params, tracking
from assay.errors import AssayError
from assay.labels import Task
from assay.release import ARTIFACT, STAGE


@dataclass(frozen=True, kw_only=True)
class Champion:
    version: str
    classes: tuple[str, ...]  # in the order of the model's outputs
    task: Task
    threads: int  # of TensorFlow, with which it was trained
    preprocess: params.Preprocess
    model: bytes  # a .keras file
    test: pd.DataFrame  # label, predicted, probability, group: of each test image


def read() -> Champion | None:
    """Return the champion of this repository, None if there is none.

    Raises `AssayError` for a file that neither git, the cache nor a remote has.
    """
    tags = git.run("tag", "--list", f"{ARTIFACT}#{STAGE}#*", "--sort=-v:refname", about="champion").split()
    if not tags:
        return None
    commit = git.run("rev-parse", f"{tags[0]}^{{commit}}", about="champion")
    version = _version(tags[0], commit)
    # Not `params.load`: another version of Assay may have written the rest.
    content = yaml.safe_load(git.run("show", f"{commit}:{params.FILE}", about="champion"))
    paths = {name: Path(path) for name, path in content["paths"].items() if isinstance(path, str)}
    candidate = yaml.safe_load(git.run("show", f"{commit}:{paths['candidate'].as_posix()}", about="champion"))
    model, predictions, manifest = (
        _content(paths[name], commit, version) for name in ("model", "predictions", "manifest")
    )
    return Champion(
        version=version,
        classes=tuple(candidate["classes"]),
        task=candidate["task"],
        threads=content["threads"],
        preprocess=TypeAdapter(params.Preprocess).validate_python(content["preprocess"]),
        model=model,
        test=_test(predictions, manifest),
    )


def _version(tag: str, commit: str) -> str:
    """Return the version that was released as the commit of the champion's tag; raises `AssayError` if none was."""
    tags = git.run("tag", "--list", f"{ARTIFACT}@*", "--points-at", commit, about="champion").split()
    if not tags:
        raise AssayError(
            f"champion: the tag {tag} names {commit[:12]}, and no tag {ARTIFACT}@vN does; if it is only missing here, "
            "`git fetch --tags` brings it, else `assay promote` another version"
        )
    return tags[0].partition("@")[2]


def _content(file: Path, commit: str, version: str) -> bytes:
    found = tracking.read_bytes(file, commit)
    if found is None:
        raise AssayError(f"champion {version}: {file} of {commit[:12]} is neither in DVC's cache nor in a remote")
    return found


def _test(predictions: bytes, manifest: bytes) -> pd.DataFrame:
    texts: dict[str, Any] = {"sha256": str, "label": str, "predicted": str}
    test = pd.read_csv(io.BytesIO(predictions), dtype=texts, keep_default_na=False)
    groups = pq.read_table(io.BytesIO(manifest), columns=["sha256", "group"]).to_pandas().drop_duplicates("sha256")
    found = test[["sha256", "label", "predicted", "probability"]].merge(groups, on="sha256", how="left")
    return found.drop(columns="sha256")
