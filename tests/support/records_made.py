"""A batch and a manifest, and the shards that `preprocess` makes of them."""

import hashlib
from pathlib import Path

import pandas as pd
import pytest
from checkouts import ROOT, png

from assay import files, params
from assay.dataset import batches, manifest
from assay.images import decode
from assay.labels import Task

P = params.Preprocess(height_px=4, width_px=6, colour="rgb", resize="stretch", shard_images=3)
PREPARED = decode.preparation(P, params.load(ROOT / "params.yaml").ingest)


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> params.Paths:
    """Ten images of two classes in two batches, and the pass for them."""
    monkeypatch.chdir(tmp_path)
    paths = params.load(ROOT / "params.yaml").paths
    images = {number: png(number) for number in range(10)}
    rows = []
    for number, content in images.items():
        sha256 = hashlib.sha256(content).hexdigest()
        split = "train" if number < 7 else "val" if number < 8 else "test"
        rows.append({"path": f"{number}.png", "label": "ab"[number % 2], "split": split, "sha256": sha256,
                     "bytes": len(content), "decodable": True, "reason": "", "batch": "12"[number > 4]})  # fmt: skip
    table = pd.DataFrame(rows).sort_values("sha256")
    contents = {hashlib.sha256(content).hexdigest(): content for content in images.values()}
    for name, members in table.groupby("batch"):
        file = paths.raw / str(name)
        batches.write(file, [(sha256, contents[sha256]) for sha256 in members["sha256"]])
        offsets = batches.read_offsets(file)
        table.loc[members.index, "offset"] = members["sha256"].map(offsets)
    write(paths, table)
    return paths


def write(paths: params.Paths, rows: pd.DataFrame, task: Task = "single_label") -> None:
    manifest.write(
        paths.manifest, rows.reindex(columns=manifest.SCHEMA.names).astype({"border": object, "centre": object}), task
    )
    files.write_json(paths.passed, {"gate": "open", "manifest": files.sha256(paths.manifest), "set_aside": []})


def set_aside(paths: params.Paths, *names: str) -> None:
    files.write_json(paths.passed, files.read_json(paths.passed) | {"set_aside": names})
