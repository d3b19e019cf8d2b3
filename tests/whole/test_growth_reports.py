"""Outputs and reports of a set that changes, beside those of a build that remembers nothing."""

import shutil
from pathlib import Path

import pytest
from checkouts import draw

from assay import files, params
from assay.sources import opening
from tasks import gate, ingest, preprocess, validate, verify

MADE = ("data", "metrics", "reports")


@pytest.fixture(autouse=True)
def in_checkout(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)


def build(images: Path) -> dict[str, str]:
    """Return the SHA-256 of all that the stages up to `verify` left."""
    p = params.load()
    files.write_json(p.paths.source, opening.snapshot(opening.open_source(f"folder:{images}")))
    for stage in (ingest, validate, gate, preprocess, verify):
        stage.main(p)
    made = [file for folder in MADE for file in Path(folder).rglob("*") if file.is_file()]
    return {str(file): files.sha256(file) for file in made}


def relabelled(images: Path) -> None:
    (images / "ape/007.png").rename(images / "bee/corrected.png")


def limited() -> None:
    suite = Path("expectations/images.yaml")
    text = suite.read_text()
    assert "max_value: 4.1" in text
    suite.write_text(text.replace("max_value: 4.1", "max_value: 0.5"))


def reordered(images: Path) -> None:
    """Give the first images of a class names by which they come last."""
    for file in sorted((images / "cow").iterdir())[:5]:
        file.rename(file.with_name(f"z{file.name}"))


@pytest.mark.slow
def test_what_remembers_leaves_what_a_clean_build_does(images: Path) -> None:
    build(images)
    draw(images, 3, first=50)
    relabelled(images)
    build(images)
    (images / "cow/003.png").unlink()
    limited()
    reordered(images)
    grown = build(images)
    for folder in ("data/records", ".assay", "reports"):
        shutil.rmtree(folder)
    for name in ("manifest.parquet", "pairs.parquet", "records.json", "verified.json", "passed.json"):
        Path("data", name).unlink()
    assert build(images) == grown
