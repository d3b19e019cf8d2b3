import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from conftest import CLASSES, draw, png, run

from assay import batch, files, ledger, manifest, memo, params, places, source
from assay.errors import AssayError
from tasks import ingest as task


@pytest.fixture(autouse=True)
def in_checkout(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)


def take_snapshot(checkout: Path, images: Path) -> None:
    taken = source.snapshot(source.open_source(f"folder:{images}"))
    files.write_json(checkout / "data/source.json", taken)


def ingest(checkout: Path, images: Path) -> None:
    take_snapshot(checkout, images)
    task.main(params.load())


def rows(checkout: Path) -> pd.DataFrame:
    return manifest.read(checkout / "data/manifest.parquet").set_index("path")


def hashes(checkout: Path) -> dict[str, str]:
    made = [*(checkout / "data").rglob("*"), checkout / "metrics/data.json"]
    return {str(f.relative_to(checkout)): hashlib.sha256(f.read_bytes()).hexdigest() for f in made if f.is_file()}


def test_every_image_is_a_row_and_its_bytes_are_kept(checkout: Path, images: Path) -> None:
    ingest(checkout, images)
    found = rows(checkout)
    assert len(found) == 150
    assert found["split"].value_counts().to_dict() == {"train": 105, "val": 15, "test": 30}
    for path in ("ape/000.png", "cow/049.png"):
        row = found.loc[path]
        with (checkout / "data/raw" / row["batch"]).open("rb") as tar:
            kept = batch.read_image(tar, offset=row["offset"], size=row["bytes"], sha256=row["sha256"])
        assert kept == (images / path).read_bytes()
        assert row["label"] == path[:3]
        assert row[["width_px", "height_px", "format", "mode"]].tolist() == [12, 12, "PNG", "L"]


def test_metrics_count_what_is_there(checkout: Path, images: Path) -> None:
    (images / "ape/copy.png").write_bytes((images / "ape/000.png").read_bytes())
    (images / "ape/broken.png").write_bytes(b"broken")
    ingest(checkout, images)
    counted = json.loads((checkout / "metrics/data.json").read_text())["data"]
    assert sum(counted.pop("split").values()) == 151
    assert counted == {
        "n_images": 152, "n_set_aside": 1, "n_copies": 1, "n_near_duplicates": 0, "n_classes": 3,
        "imbalance": 1.02,
        "class": {"ape": 51, "bee": 50, "cow": 50},
    }  # fmt: skip


def test_odd_files_are_rows_with_a_reason_and_nothing_else_suffers(checkout: Path, images: Path) -> None:
    (images / "ape/empty.png").write_bytes(b"")
    (images / "ape/page.jpg").write_bytes(b"<html>")
    (images / "ape/cut.png").write_bytes(png(1)[:-40])
    (images / "ape/circle.png").symlink_to("circle.png")
    (images / "stray.png").write_bytes(png(2))
    ingest(checkout, images)
    found = rows(checkout)
    aside = found[found["split"].isna()]
    assert dict(zip(aside.index, aside["reason"], strict=True)) == {
        "ape/circle.png": "cannot be read: Too many levels of symbolic links",
        "ape/cut.png": found.loc["ape/cut.png", "reason"],
        "ape/empty.png": "empty file",
        "ape/page.jpg": "not an image",
        "stray.png": "",
    }
    assert found.loc["ape/cut.png", "reason"] != ""
    assert found["split"].notna().sum() == 150


def test_growth_is_a_new_batch_and_old_batches_and_splits_stay(
    checkout: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ingest(checkout, images)
    before, old = rows(checkout), {f.name: f.stat().st_mtime_ns for f in (checkout / "data/raw").iterdir()}
    draw(images, 10, first=50)
    ingest(checkout, images)
    assert "180 images in 3 classes, 30 new contents" in capsys.readouterr().out
    after = rows(checkout)
    assert after.loc[before.index, ["split", "batch", "offset"]].equals(before[["split", "batch", "offset"]])
    assert {f.name: f.stat().st_mtime_ns for f in (checkout / "data/raw").iterdir() if f.name in old} == old
    assert after["batch"].nunique() == 2


def test_moved_label_keeps_split_and_batch(checkout: Path, images: Path) -> None:
    ingest(checkout, images)
    before = rows(checkout).loc["ape/007.png"]
    (images / "ape/007.png").rename(images / "bee/corrected.png")
    ingest(checkout, images)
    after = rows(checkout).loc["bee/corrected.png"]
    assert after["label"] == "bee"
    assert after[["split", "batch", "offset", "sha256"]].equals(before[["split", "batch", "offset", "sha256"]])


def test_moved_and_removed_images_keep_their_split_and_group_also_when_they_come_back(
    checkout: Path, images: Path
) -> None:
    ingest(checkout, images)
    before = rows(checkout).set_index("sha256")[["split", "group", "batch", "offset"]]
    for number in range(20):
        (images / f"ape/{number:03d}.png").rename(images / f"bee/of_ape{number:03d}.png")
    (images.parent / "kept").mkdir()
    for file in sorted((images / "cow").iterdir())[:30]:
        file.rename(images.parent / "kept" / file.name)
    ingest(checkout, images)
    found = rows(checkout).set_index("sha256")
    assert found["label"].value_counts().to_dict() == {"bee": 70, "ape": 30, "cow": 20}
    assert found[list(before)].equals(before.loc[found.index])
    for file in (images.parent / "kept").iterdir():
        file.rename(images / "ape" / f"of_cow{file.name}")
    ingest(checkout, images)
    found = rows(checkout).set_index("sha256")
    assert found["label"].value_counts().to_dict() == {"bee": 70, "ape": 60, "cow": 20}
    assert found[list(before)].equals(before.loc[found.index])


def test_second_run_and_a_run_from_the_ledger_alone_give_equal_bytes(checkout: Path, images: Path) -> None:
    ingest(checkout, images)
    draw(images, 10, first=50)
    ingest(checkout, images)
    first = hashes(checkout)
    task.main(params.load())
    assert hashes(checkout) == first
    shutil.rmtree(checkout / "data/raw")
    (checkout / "data/manifest.parquet").unlink()
    task.main(params.load())
    assert hashes(checkout) == first


def test_only_new_files_are_read_and_the_bytes_are_those_of_a_run_without_memory(
    checkout: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    places_read = places.read

    def counting(place: str) -> bytes:
        read.append(Path(place).name)
        return places_read(place)

    monkeypatch.setattr(places, "read", counting)
    ingest(checkout, images)
    tar = next((checkout / "data/raw").iterdir())
    read.clear()
    draw(images, 1, first=70)
    (images / "ape/001.png").write_bytes(png(77, 60))
    monkeypatch.setattr(batch, "read_offsets", refusing(batch.read_offsets, tar))
    ingest(checkout, images)
    assert set(read) == {"070.png", "001.png"}
    monkeypatch.undo()
    monkeypatch.chdir(checkout)
    first = hashes(checkout)
    shutil.rmtree(checkout / ".assay")
    task.main(params.load())
    assert hashes(checkout) == first


def refusing(read_offsets: Callable[[Path], dict[str, int]], old: Path) -> Callable[[Path], dict[str, int]]:
    """Return a `read_offsets` that fails on the batch that was checked before."""

    def read(file: Path) -> dict[str, int]:
        assert file.name != old.name
        return read_offsets(file)

    return read


def test_file_that_could_not_be_read_is_tried_again(checkout: Path, images: Path) -> None:
    (images / "ape/later.png").symlink_to(images / "somewhere.png")
    ingest(checkout, images)
    assert not rows(checkout).loc["ape/later.png", "decodable"]
    (images.parent / "kept.png").write_bytes(png(5))
    (images / "somewhere.png").symlink_to(images.parent / "kept.png")
    ingest(checkout, images)
    assert rows(checkout).loc["ape/later.png", "decodable"]


@pytest.mark.parametrize("name", ["images", "batches"])
def test_broken_memo_is_no_memo(checkout: Path, images: Path, name: str) -> None:
    ingest(checkout, images)
    first = hashes(checkout)
    for part in (checkout / ".assay" / name).iterdir():
        part.write_bytes(part.read_bytes()[:-100])
    task.main(params.load())
    assert hashes(checkout) == first


def test_memo_of_other_code_is_not_believed(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([{"key": "a", "n": 1}], pa.schema([("key", pa.string()), ("n", pa.int64())]))
    memo.write(tmp_path / "memo", table, "this code")
    assert memo.read(tmp_path / "memo", table.schema, "this code").equals(table)
    assert memo.read(tmp_path / "memo", table.schema, "other code").num_rows == 0
    assert memo.read(tmp_path / "memo", pa.schema([("key", pa.string())]), "this code").num_rows == 0


def test_broken_batch_is_written_again(checkout: Path, images: Path) -> None:
    ingest(checkout, images)
    first = hashes(checkout)
    tar = next((checkout / "data/raw").iterdir())
    tar.write_bytes(tar.read_bytes()[:5000])
    task.main(params.load())
    assert hashes(checkout) == first


def test_changed_source_is_refused_and_nothing_is_touched(checkout: Path, images: Path) -> None:
    ingest(checkout, images)
    first = hashes(checkout)
    draw(images, 1, first=99)
    printed = run(checkout, "python", "-m", "tasks.ingest", code=1)
    assert "now holds 153 images, not 150" in printed
    assert f"assay snapshot folder:{images}" in printed
    assert "Traceback" not in printed
    assert hashes(checkout) == first


def test_missing_source_is_named(checkout: Path, images: Path) -> None:
    shutil.rmtree(images)
    printed = run(checkout, "python", "-m", "tasks.ingest", code=1)
    assert printed.strip() == f"ingest: folder:{images}: no such folder"


def test_read_only_folder_is_named_and_nothing_is_lost(checkout: Path, images: Path) -> None:
    ingest(checkout, images)
    draw(images, 1, first=99)
    take_snapshot(checkout, images)
    first = hashes(checkout)
    # Root may write anywhere, unless that right is taken away.
    humbly = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    (checkout / "data/raw").chmod(0o500)
    try:
        printed = run(checkout, *humbly, "python", "-m", "tasks.ingest", code=1)
    finally:
        (checkout / "data/raw").chmod(0o700)
    assert "data/raw/" in printed
    assert "Permission denied" in printed
    assert "Traceback" not in printed
    assert hashes(checkout) == first


def test_full_disk_is_said_and_leaves_no_half_file(checkout: Path, images: Path) -> None:
    ingest(checkout, images)
    draw(images, 20, first=50)
    take_snapshot(checkout, images)
    first = hashes(checkout)
    # A limit on the size of a file stops a writer as a full disk does, with another number.
    limited = "import resource, signal, runpy; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (30000, 30000));"
    limited += "runpy.run_module('tasks.ingest', run_name='__main__')"
    printed = run(checkout, "python", "-c", limited, code=1)
    assert "File too large" in printed
    assert "Traceback" not in printed
    assert hashes(checkout) == first


def test_ledger_names_every_stored_content_once(checkout: Path, images: Path) -> None:
    (images / "ape/broken.png").write_bytes(b"broken")
    (images / "bee/copy.png").write_bytes((images / "bee/000.png").read_bytes())
    ingest(checkout, images)
    found = ledger.read(checkout / "data/ledger.csv")
    assert len(found) == 151
    assert found["sha256"].is_unique
    assert sorted({entry.parent.name for entry in images.rglob("*.png")}) == list(CLASSES)


def test_given_splits_are_kept(checkout: Path, images: Path, tmp_path: Path) -> None:
    for split, first, last in (("train", 0, 30), ("validation", 30, 38), ("test", 38, 50)):
        for name in CLASSES:
            (tmp_path / "given" / split / name).mkdir(parents=True)
            for number in range(first, last):
                (images / name / f"{number:03d}.png").rename(tmp_path / "given" / split / name / f"{number:03d}.png")
    ingest(checkout, tmp_path / "given")
    found = rows(checkout)
    assert found["split"].value_counts().to_dict() == {"train": 90, "val": 24, "test": 36}
    assert found.loc["test/ape/040.png", ["label", "split"]].tolist() == ["ape", "test"]


def test_image_that_is_given_another_split_than_it_has_stops_it(checkout: Path, images: Path, tmp_path: Path) -> None:
    ingest(checkout, images)
    before = hashes(checkout)
    given = "\n".join(f"images/{path},{row.label},test" for path, row in rows(checkout).iterrows())
    (tmp_path / "all.csv").write_text(f"path,label,split\n{given}\n")
    taken = source.snapshot(source.open_source(f"table:{tmp_path / 'all.csv'}"))
    files.write_json(checkout / "data/source.json", taken)
    with pytest.raises(AssayError, match=r"(?s)120 images are given a split .*\n  images/ape/.*given test"):
        task.main(params.load())
    assert {name: value for name, value in hashes(checkout).items() if name != "data/source.json"} == {
        name: value for name, value in before.items() if name != "data/source.json"
    }


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
        taken = source.snapshot(source.open_source(f"table:{table}", {"labels": "tags"}))
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
        assert (unlisted["reason"] == manifest.UNLISTED).all()
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
