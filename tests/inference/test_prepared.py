"""Files prepared for an answer are held against the records of training, pixel by pixel."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
from checkouts import ROOT
from PIL import Image

from assay import params
from assay.dataset import batches, manifest
from assay.dataset.records import contents, shard
from assay.evaluation.diagnosis import causes
from assay.inference import prepared
from assay.inference.exported import Preprocessing

P = params.load(ROOT / "params.yaml")


def png(image: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image.squeeze(2)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Records of 9 train images of 16 px in grey, in two shards, and the PNG files that they were made from."""
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (9, 16, 16, 1), dtype=np.uint8)
    files = {hashlib.sha256(content).hexdigest(): content for content in map(png, images)}
    batches.write(P.paths.raw / "0001-0.tar", files.items())
    offsets = batches.read_offsets(P.paths.raw / "0001-0.tar")
    examples = [
        contents.Example(image=image, label=n % 2, sha256=name)
        for n, (name, image) in enumerate(zip(files, images, strict=True))
    ]
    shards = tuple(shard.write(P.paths.records, "train", part) for part in (examples[:5], examples[5:]))
    splits = {"train": contents.Split(n_images=9, class_counts=(5, 4), shards=shards)}
    size = {"height_px": 16, "width_px": 16, "channels": 1}
    contents.write_index(P.paths.index, contents.Index(classes=("a", "b"), splits=splits, **size))
    rows = [
        {"path": name, "sha256": name, "batch": "0001-0.tar", "offset": offsets[name], "bytes": len(content)}
        for name, content in files.items()
    ]
    table = pd.DataFrame(rows, columns=manifest.SCHEMA.names).astype(dict.fromkeys(manifest.PIXELS, object))
    manifest.write(P.paths.manifest, table, "single_label")
    return tmp_path


def exported(side_px: int) -> None:
    size = Preprocessing(height_px=side_px, width_px=side_px, colour="grey", resize="stretch")
    tiny.write(P.paths.export, tiny.network(channels=1), preprocessing=size)


def test_export_of_the_same_preparation_is_no_finding(checkout: Path) -> None:
    exported(16)
    assert prepared.otherwise(P.paths) is None


def test_other_size_is_a_finding(checkout: Path) -> None:
    exported(8)
    found = prepared.otherwise(P.paths)
    assert found is not None
    assert found.cause in causes.TITLES
    assert "the pixels of 9 train images" in found.seen
    assert "are 255.0 grey levels apart on average; the limit is 0.5" in found.seen
    assert found.is_confident
    assert len(found.images) == 9


def test_files_that_are_darker_than_their_records_are_found(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a stage that was changed on one side alone; the mean of 0 to 255 is halved."""
    exported(16)
    pixels = prepared.Model.pixels
    monkeypatch.setattr(prepared.Model, "pixels", lambda self, item: pixels(self, item) // 2)
    found = prepared.otherwise(P.paths)
    assert found is not None
    apart = float(found.seen.partition(" are ")[2].partition(" grey")[0])
    assert apart == pytest.approx(64, abs=2)


def test_one_level_in_a_few_pixels_is_rounding(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exported(16)
    pixels = prepared.Model.pixels

    def rounded(self: prepared.Model, item: bytes) -> np.ndarray:
        found = pixels(self, item).copy()
        found[::4] ^= 1
        return found

    monkeypatch.setattr(prepared.Model, "pixels", rounded)
    assert prepared.otherwise(P.paths) is None


def test_without_an_export_there_is_nothing_to_compare(checkout: Path) -> None:
    assert prepared.otherwise(P.paths) is None
