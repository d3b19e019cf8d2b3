"""`ingest` of images that are in several classes or in none."""

import json
from pathlib import Path

import pandas as pd
import pytest
from ingests import in_checkout, rows

from assay import files, params
from assay import labels as assay_labels
from assay.dataset import manifest
from assay.sources import opening
from tasks import ingest as task

__all__ = ["in_checkout"]  # fixtures


class TestMultiLabel:
    """150 images, of which every second is in class `b`, every fifth in `c` and every seventh in none."""

    @pytest.fixture
    def labels(self, images: Path) -> dict[str, str | None]:
        named: dict[str, str | None] = {}
        for number, file in enumerate(sorted(images.rglob("*.png"))):
            classes = ["a", *(["b"] if number % 2 == 0 else []), *(["c"] if number % 5 == 0 else [])]
            named[file.relative_to(images.parent).as_posix()] = "" if number % 7 == 0 else "|".join(classes)
        return named

    def ingest(self, checkout: Path, images: Path, labels: dict[str, str | None]) -> pd.DataFrame:
        """Return the manifest after the table said these labels, as lists."""
        table = images.parent / "t.jsonl"
        lists = {path: None if label is None else label.split("|") for path, label in labels.items()}
        table.write_text("".join(json.dumps({"path": path, "tags": tags}) + "\n" for path, tags in lists.items()))
        taken = opening.snapshot(opening.open_source(f"table:{table}", {"labels": "tags"}))
        files.write_json(checkout / "data/source.json", taken)
        task.main(params.load())
        assert manifest.task(checkout / "data/manifest.parquet") == "multi_label"
        return rows(checkout)

    def test_labels_are_kept_and_every_class_counts(
        self, checkout: Path, images: Path, labels: dict[str, str | None]
    ) -> None:
        labels["images/ape/001.png"] = None
        found = self.ingest(checkout, images, labels)
        assert found["label"].astype(object).where(found["label"].notna(), None).to_dict() == labels
        assert pd.isna(found.loc["images/ape/001.png", "split"])
        counted = json.loads((checkout / "metrics/data.json").read_text())["data"]
        held = [label.split("|") if label else [] for label in labels.values() if label is not None]
        assert counted["class"] == {name: sum(name in names for names in held) for name in "abc"}
        assert counted["n_in_no_class"] == held.count([])
        assert counted["classes_per_image"] == round(sum(map(len, held)) / 149, 4)
        assert counted["n_classes"] == 3

    def test_every_class_is_in_every_split_by_its_share(
        self, checkout: Path, images: Path, labels: dict[str, str | None]
    ) -> None:
        found = self.ingest(checkout, images, labels)
        for name in "abc":
            own = found.loc[[name in label.split("|") for label in found["label"]], "split"]
            shares = own.value_counts(normalize=True).to_dict()
            assert shares == pytest.approx({"train": 0.7, "val": 0.1, "test": 0.2}, abs=0.04)

    def test_corrected_removed_and_returned_images_keep_their_split_and_group(
        self, checkout: Path, images: Path, labels: dict[str, str | None]
    ) -> None:
        fixed = ["split", "group", "batch", "offset", "sha256"]
        before = self.ingest(checkout, images, labels)
        corrected = {path: "d" if label == "" else "" if label == "a" else label for path, label in labels.items()}
        after = self.ingest(checkout, images, corrected)
        assert after["label"].to_dict() == corrected != labels
        assert after[fixed].equals(before[fixed])
        fewer = dict(list(corrected.items())[::3])
        less = self.ingest(checkout, images, fewer)
        assert less.loc[list(fewer), fixed].equals(before.loc[list(fewer), fixed])
        unlisted = less.drop(list(fewer))
        assert (unlisted["reason"] == assay_labels.UNLISTED).all()
        assert unlisted["split"].isna().all()
        assert self.ingest(checkout, images, labels)[fixed].equals(before[fixed])

    def test_image_that_loses_its_labels_is_set_aside_and_comes_back_to_its_split(
        self, checkout: Path, images: Path, labels: dict[str, str | None]
    ) -> None:
        before = self.ingest(checkout, images, labels)
        without = self.ingest(checkout, images, labels | {"images/ape/005.png": None})
        assert pd.isna(without.loc["images/ape/005.png", "split"])
        assert without.drop("images/ape/005.png").equals(before.drop("images/ape/005.png"))
        assert self.ingest(checkout, images, labels).equals(before)
