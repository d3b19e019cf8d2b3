import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from checkouts import CLASSES, draw, png, run, set_params
from ingests import hashes, in_checkout, ingest, rows, take_snapshot

from assay import files, params
from assay.compute import memo
from assay.dataset import batches, splits
from assay.sources import opening, places
from tasks import ingest as task

__all__ = ["in_checkout"]  # fixtures


def test_every_image_is_a_row_and_its_bytes_are_kept(checkout: Path, images: Path) -> None:
    ingest(checkout, images)
    found = rows(checkout)
    assert len(found) == 150
    assert found["split"].value_counts().to_dict() == {"train": 105, "val": 15, "test": 30}
    for path in ("ape/000.png", "cow/049.png"):
        row = found.loc[path]
        with (checkout / "data/raw" / row["batch"]).open("rb") as tar:
            kept = batches.read_image(tar, offset=row["offset"], size=row["bytes"], sha256=row["sha256"])
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


def test_odd_files_are_rows_with_a_reason_and_nothing_else_suffers(
    checkout: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (images / "ape/empty.png").write_bytes(b"")
    (images / "ape/page.jpg").write_bytes(b"<html>")
    (images / "ape/cut.png").write_bytes(png(1)[:-40])
    (images / "ape/circle.png").symlink_to("circle.png")
    (images / "stray.png").write_bytes(png(2))
    with (images / "ape/dump.img").open("wb") as dump:
        dump.truncate(6_000_000)
    set_params(checkout, ingest={"max_file_mb": 5})
    read = counted(monkeypatch)
    ingest(checkout, images)
    assert "cut.png" in read
    assert "dump.img" not in read  # of some gigabytes it would fill the memory
    found = rows(checkout)
    aside = found[found["split"].isna()]
    assert dict(zip(aside.index, aside["reason"], strict=True)) == {
        "ape/circle.png": "cannot be read: Too many levels of symbolic links",
        "ape/cut.png": found.loc["ape/cut.png", "reason"],
        "ape/dump.img": "not read: a file of 6 MB, the limit is 5 (params.yaml: ingest.max_file_mb)",
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
    read = counted(monkeypatch)
    ingest(checkout, images)
    tar = next((checkout / "data/raw").iterdir())
    read.clear()
    draw(images, 1, first=70)
    (images / "ape/001.png").write_bytes(png(77, 60))
    monkeypatch.setattr(batches, "read_offsets", refusing(batches.read_offsets, tar))
    ingest(checkout, images)
    assert set(read) == {"070.png", "001.png"}
    monkeypatch.undo()
    monkeypatch.chdir(checkout)
    first = hashes(checkout)
    shutil.rmtree(checkout / ".assay")
    task.main(params.load())
    assert hashes(checkout) == first


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which the name of each file comes that is read whole."""
    read: list[str] = []
    places_read = places.read

    def counting(place: str) -> bytes:
        read.append(Path(place).name)
        return places_read(place)

    monkeypatch.setattr(places, "read", counting)
    return read


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


@pytest.mark.slow
def test_read_only_folder_is_named_and_nothing_is_lost(checkout: Path, images: Path) -> None:
    ingest(checkout, images)
    draw(images, 1, first=99)
    take_snapshot(checkout, images)
    first = hashes(checkout)
    # Root may write anywhere, unless that right is taken away; a warm process would still have it.
    humbly = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    (checkout / "data/raw").chmod(0o500)
    try:
        printed = run(checkout, *humbly, sys.executable, "-m", "tasks.ingest", code=1)
    finally:
        (checkout / "data/raw").chmod(0o700)
    assert "data/raw/" in printed
    assert "Permission denied" in printed
    assert "Traceback" not in printed
    assert hashes(checkout) == first


@pytest.mark.slow
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
    found = splits.read(checkout / "data/ledger.csv")
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


def test_image_that_is_given_another_split_than_it_has_is_refused_and_keeps_it(
    checkout: Path, images: Path, tmp_path: Path
) -> None:
    ingest(checkout, images)
    before = (checkout / "data/ledger.csv").read_text()
    given = "\n".join(f"images/{path},{row.label},test" for path, row in rows(checkout).iterrows())
    (tmp_path / "all.csv").write_text(f"path,label,split\n{given}\n")
    taken = opening.snapshot(opening.open_source(f"table:{tmp_path / 'all.csv'}"))
    files.write_json(checkout / "data/source.json", taken)
    task.main(params.load())
    found = rows(checkout)
    refused = found[found["split"].isna()]
    assert len(refused) == 120
    assert refused["reason"].str.match("split refused: given test, but in (train|val) with group ").all()
    assert (checkout / "data/ledger.csv").read_text() == before


def test_group_that_is_given_two_splits_is_refused_until_the_source_says_one(
    checkout: Path, images: Path, tmp_path: Path
) -> None:
    paths = sorted(path.relative_to(tmp_path).as_posix() for path in images.rglob("*.png"))

    def give(second: str) -> pd.DataFrame:
        splits = ["val", "val"] + ["train", second] * 74
        lines = [f"{path},{Path(path).parent.name},g{n // 2},{splits[n]}" for n, path in enumerate(paths)]
        (tmp_path / "all.csv").write_text("\n".join(["path,label,group,split", *lines]) + "\n")
        files.write_json(
            checkout / "data/source.json", opening.snapshot(opening.open_source(f"table:{tmp_path / 'all.csv'}"))
        )
        task.main(params.load())
        return rows(checkout)

    torn = give("test")
    assert torn["split"].fillna("").value_counts().to_dict() == {"": 148, "val": 2}
    torn = torn[torn["split"].isna()]
    said = torn["reason"].str.replace(r"g\d+", "g", regex=True).value_counts().to_dict()
    assert said == {
        "split refused: given train, but in test with group g": 74,
        "split refused: in test, but its group g is given another split too": 74,
    }
    assert give("train")["split"].notna().all()
