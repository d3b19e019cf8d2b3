"""A set that grows, is corrected and shrinks: what stays where it is, and that nothing depends on how it came about."""

import io
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkouts import draw
from PIL import Image
from sklearn.datasets import load_digits

from assay import files, params
from assay.dataset import manifest, splits
from assay.sources import opening
from tasks import ingest, preprocess


@pytest.fixture(autouse=True)
def in_checkout(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)


def build(name: str) -> None:
    """Do what `ingest`, an open gate and `preprocess` do."""
    p = params.load()
    files.write_json(p.paths.source, opening.snapshot(opening.open_source(name)))
    ingest.main(p)
    files.write_json(p.paths.passed, {"gate": "open", "manifest": files.sha256(p.paths.manifest), "set_aside": []})
    preprocess.main(p)


def outputs() -> dict[str, str]:
    made = [file for file in Path("data").rglob("*") if file.is_file()]
    return {str(file): files.sha256(file) for file in made}


@pytest.mark.slow
def test_what_growth_a_label_fix_and_a_removal_leave_is_what_a_clean_build_makes(images: Path) -> None:
    build(f"folder:{images}")
    draw(images, 3, first=50)
    changes = [
        lambda: None,
        lambda: (images / "ape/007.png").rename(images / "bee/corrected.png"),
        lambda: (images / "cow/003.png").unlink(),
    ]
    for change in changes:
        change()
        build(f"folder:{images}")
        grown = outputs()
        for folder in ("data/records", ".assay"):
            shutil.rmtree(folder)
        for file in ("data/manifest.parquet", "data/pairs.parquet", "data/records.json"):
            Path(file).unlink()
        build(f"folder:{images}")
        assert outputs() == grown


def test_growth_writes_the_records_of_what_is_new_and_no_others(images: Path) -> None:
    build(f"folder:{images}")
    before = {file: file.stat().st_mtime_ns for file in Path("data/records").iterdir()}
    draw(images, 2, first=50)
    build(f"folder:{images}")
    after = {file: file.stat().st_mtime_ns for file in Path("data/records").iterdir()}
    assert before.items() <= after.items()
    assert 1 <= len(after) - len(before) <= 3  # for six images, in a shard of each split that got any


def encode(picture: Image.Image, kind: str, **options: int) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


class Growing:
    """Handwritten digits, of which a table lists more and more: some by one writer, some saved twice."""

    def __init__(self, folder: Path) -> None:
        digits = load_digits()
        order = np.random.default_rng(0).permutation(len(digits.images))
        self.folder, self.rows = folder, list[dict[str, str]]()
        self.pictures = [Image.fromarray((digits.images[i] * 255 / 16).round().astype(np.uint8)) for i in order]
        self.labels = [str(digits.target[i]) for i in order]
        self.random, self.next, self.copied = np.random.default_rng(1), 0, list[int]()
        folder.mkdir()

    def add(self, n: int) -> None:
        """Add n images: three of four are new, one of eight has a group, one of four is a copy of one that is there."""
        for _ in range(n):
            if self.next and self.random.random() < 0.25:
                number = int(self.random.integers(self.next))
                self._write(f"{number:04d}-{len(self.rows)}", number, self._copy(number))
            else:
                self._write(f"{self.next:04d}", self.next, encode(self._large(self.next), "PNG"))
                self.next += 1
        table = pd.DataFrame(self.rows)
        table.to_csv(self.folder / "all.csv", index=False)

    def _large(self, number: int) -> Image.Image:
        return self.pictures[number].resize((32, 32), Image.Resampling.BICUBIC)

    def _copy(self, number: int) -> bytes:
        self.copied.append(number)
        match self.random.integers(3):
            case 0:
                return encode(self._large(number), "JPEG", quality=85)
            case 1:
                return encode(self._large(number).resize((40, 40), Image.Resampling.BICUBIC), "PNG")
        return encode(self._large(number).point(lambda value: min(255, round(value * 1.06))), "PNG")

    def _write(self, stem: str, number: int, content: bytes) -> None:
        suffix = "jpg" if content.startswith(b"\xff\xd8") else "png"
        (self.folder / f"{stem}.{suffix}").write_bytes(content)
        writer = f"writer {number // 64}" if number % 8 == 0 and "-" not in stem else ""
        self.rows.append({"path": f"{stem}.{suffix}", "label": self.labels[number], "group": writer})


@pytest.mark.slow
def test_over_twenty_steps_no_image_moves_no_pair_is_torn_and_the_shares_hold(tmp_path: Path) -> None:
    growing, before = Growing(tmp_path / "digits"), pd.DataFrame({"path": [], "split": [], "group": []})
    growing.add(600)
    p = params.load()
    for step in range(21):
        name = f"table:{tmp_path / 'digits/all.csv'}"
        files.write_json(p.paths.source, opening.snapshot(opening.open_source(name)))
        ingest.main(p)
        rows = manifest.read(p.paths.manifest)
        had = before.merge(rows, on="path", suffixes=("_had", ""))
        assert len(had) == len(before)
        moved = had[had["split"].notna() & had["split_had"].notna() & (had["split"] != had["split_had"])]
        assert moved.empty, (step, moved[["path", "split_had", "split"]])
        check_apart(rows)
        check_shares(rows)
        before = rows[["path", "split", "group"]]
        growing.add(max(1, round(len(rows) * growing.random.uniform(0.01, 0.1))))
    found = splits.read(p.paths.ledger)
    assert found["sha256"].is_unique
    assert rows["split"].notna().mean() > 0.97


def check_apart(rows: pd.DataFrame) -> None:
    """No group, no given group, no pair of near-duplicates and no picture is in two splits."""
    used = rows[rows["split"].notna()]
    for column in ("group", "pixels", "sha256"):
        assert used.groupby(column)["split"].nunique().max() == 1, column
    split = used.set_index("path")["split"]
    pairs = pd.read_parquet("data/pairs.parquet")
    there, back = pairs["path"].map(split), pairs["partner"].map(split)
    assert ((there == back) | there.isna() | back.isna()).all()
    writers = pd.read_csv(Path(files.read_json(Path("data/source.json"))["source"].removeprefix("table:")))
    of_writer = writers.dropna(subset="group").merge(used, on="path")
    assert of_writer.groupby("group_x")["split"].nunique().max() == 1


def check_shares(rows: pd.DataFrame) -> None:
    """The share of each class in each split is within two points of its share in the whole."""
    used = rows[rows["split"].notna()]
    whole = used["label"].value_counts(normalize=True)
    for split, of_split in used.groupby("split"):
        shares = of_split["label"].value_counts(normalize=True).reindex(whole.index, fill_value=0)
        assert (shares - whole).abs().max() <= 0.02, (split, shares - whole)
