"""A checkout that takes its images in."""

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from assay import files, params
from assay.dataset import manifest
from assay.sources import opening
from tasks import ingest as task


@pytest.fixture(autouse=True)
def in_checkout(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)


def take_snapshot(checkout: Path, images: Path) -> None:
    taken = opening.snapshot(opening.open_source(f"folder:{images}"))
    files.write_json(checkout / "data/source.json", taken)


def ingest(checkout: Path, images: Path) -> None:
    take_snapshot(checkout, images)
    task.main(params.load())


def rows(checkout: Path) -> pd.DataFrame:
    return manifest.read(checkout / "data/manifest.parquet").set_index("path")


def hashes(checkout: Path) -> dict[str, str]:
    made = [*(checkout / "data").rglob("*"), checkout / "metrics/data.json"]
    return {str(f.relative_to(checkout)): hashlib.sha256(f.read_bytes()).hexdigest() for f in made if f.is_file()}
