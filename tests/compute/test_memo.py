"""A memo spares work and stands in nobody's way: on a disk that takes nothing the work goes on."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from listings import fill

from assay import files
from assay.compute import memo
from assay.ingestion import scan
from assay.sources import opening

SCHEMA = pa.schema([("key", pa.string()), ("n", pa.int64())])


def rows(*numbers: int) -> pa.Table:
    return pa.table({"key": [str(n) for n in numbers], "n": list(numbers)}, SCHEMA)


def numbers(folder: Path, made_by: str = "code") -> list[int]:
    return sorted(memo.read(folder, SCHEMA, made_by)["n"].to_pylist())


@pytest.fixture(autouse=True)
def _as_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, empty in (("_refused", []), ("_held", {}), ("_replaced", set())):
        monkeypatch.setattr(memo, name, empty)


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own without a free byte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk]).returncode:
        pytest.skip("only root may mount a disk of its own")
    memo.write(disk / "memo", rows(1, 2), "code")
    with pytest.raises(OSError, match="No space left"), (disk / "filler").open("wb", buffering=0) as out:
        while True:
            out.write(b"x" * 512)
    yield disk / "memo"
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_what_a_full_disk_does_not_take_is_there_all_the_same_and_people_are_told_once(
    full: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    memo.add(full, rows(3), "code")
    memo.add(full / "passing", rows(4), "code")
    assert (numbers(full), numbers(full / "passing"), numbers(full, "other code")) == ([1, 2, 3], [4], [])
    memo.write(full, rows(1, 3, 5), "code", np.array([True, False, True]))
    memo.add(full, rows(6), "code")
    assert numbers(full) == [1, 5, 6]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("No space left on device; the work goes on, and the next run does it again")
    files_left = [file.name for file in full.rglob("*") if file.is_file()]
    assert files_left == ["000000001.arrow"]  # of the last run, whole


def test_after_a_refusal_nothing_more_is_written(full: Path) -> None:
    """Else new hashes would lie beside old pairs, and the next run take them for those of one search."""
    memo.write(full, rows(7), "code")
    (full.parent / "filler").unlink()
    memo.write(full / "hashes", rows(8), "code")
    assert numbers(full / "hashes") == [8]
    assert not (full / "hashes").exists()


def test_scan_is_the_same_on_a_full_disk(full: Path, tmp_path: Path) -> None:
    images = opening.open_source(f"folder:{fill(tmp_path / 'images', 'cat/1.png', 'dog/2.png', 'dog/3.png')}")
    here, facts = scan.scan(images, tmp_path / "memo")
    on_full, full_facts = scan.scan(images, full)
    assert on_full.equals(here)
    assert full_facts.equals(facts)


def test_another_fault_is_no_refusal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def breaks(_: Path) -> None:
        raise FileNotFoundError(2, "gone")

    monkeypatch.setattr(files, "replacing", breaks)
    with pytest.raises(FileNotFoundError):
        memo.add(tmp_path, rows(1), "code")


def test_rows_whose_pages_were_let_go_are_read_again(tmp_path: Path) -> None:
    memo.add(tmp_path, rows(1, 2), "code")
    memo.add(tmp_path, rows(3), "code")
    held = memo.read(tmp_path, SCHEMA, "code")
    memo.unload()
    assert held["n"].to_pylist() == [1, 2, 3]


def test_empty_part_is_a_broken_one(tmp_path: Path) -> None:
    memo.add(tmp_path, rows(1), "code")
    (tmp_path / "000000002.arrow").touch()
    assert numbers(tmp_path) == [1]
