"""The store: the same batches whoever writes them, begun before they are asked for, and only of what was measured."""

import dataclasses
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import pandas as pd
import pytest
from checkouts import ROOT, draw

from assay.compute import backend
from assay.dataset import batches, splits
from assay.errors import AssayError
from assay.ingestion import store
from assay.sources import opening

BATCH_BYTES = 8000  # some batches


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> opening.Source:
    draw(tmp_path / "images", 30)
    monkeypatch.setattr(splits, "BATCH_BYTES", BATCH_BYTES)
    monkeypatch.setattr(store, "PART_BYTES", 9000)  # of some parts each
    return opening.open_source(f"folder:{tmp_path}/images")


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes live on for the next test, for each takes seconds to start; tests/compute has how they end."""
    monkeypatch.setattr("joblib.externals.loky.get_reusable_executor", lambda **_: Mock())


@pytest.fixture(params=["by this process", "by processes"])
def writer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "by processes":
        monkeypatch.setattr(backend, "PROCESSES_FROM", 0)
    return str(request.param)


def measured(images: opening.Source) -> pd.DataFrame:
    contents = [images.read(entry) for entry in images.entries]
    return pd.DataFrame(
        {
            "path": [entry.path for entry in images.entries],
            "sha256": [hashlib.sha256(content).hexdigest() for content in contents],
            "bytes": [len(content) for content in contents],
        }
    )


def stored(images: opening.Source, rows: pd.DataFrame, folder: Path) -> pd.DataFrame:
    known = splits.with_new(splits.read(folder / "absent.csv"), rows)
    with store.writing(images, rows, known, folder / "raw", folder / "memo") as storing:
        return store.finish(storing, folder / "raw", folder / "memo")


def test_each_image_lies_where_it_is_said_to(images: opening.Source, writer: str, tmp_path: Path) -> None:
    rows = measured(images)
    places = stored(images, rows, tmp_path).merge(rows, on="sha256")
    assert len(places) == len(rows["sha256"].unique()) == 90
    assert places["batch"].nunique() > 2
    for place in places.itertuples():
        with (tmp_path / "raw" / place.batch).open("rb") as tar:
            content = batches.read_image(tar, offset=place.offset, size=place.bytes, sha256=place.sha256)
        assert content == (tmp_path / "images" / place.path).read_bytes()


def test_whoever_writes_makes_the_same_bytes(
    images: opening.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = measured(images)
    ours = stored(images, rows, tmp_path / "here")
    monkeypatch.setattr(backend, "PROCESSES_FROM", 0)
    pd.testing.assert_frame_equal(stored(images, rows, tmp_path / "there"), ours)
    here, there = (
        {file.name: file.read_bytes() for file in (tmp_path / of / "raw").iterdir()} for of in ("here", "there")
    )
    assert here == there


def test_image_that_changed_since_it_was_measured_is_named_and_not_stored(
    images: opening.Source, writer: str, tmp_path: Path
) -> None:
    rows = measured(images)
    (tmp_path / "images" / rows["path"][7]).write_bytes(b"another")
    with pytest.raises(AssayError, match=f"{rows['path'][7]}: changed while it was read; run it again"):
        stored(images, rows, tmp_path)
    changed = rows["sha256"][7]
    assert all(changed not in batches.read_offsets(file) for file in (tmp_path / "raw").iterdir())


def test_image_that_is_gone_since_it_was_measured_is_named(images: opening.Source, writer: str, tmp_path: Path) -> None:
    rows = measured(images)
    (tmp_path / "images" / rows["path"][7]).unlink()
    with pytest.raises(AssayError, match=rf"{rows['path'][7]}: could be read .*: No such file or directory; run it"):
        stored(images, rows, tmp_path)
    assert not list((tmp_path / "raw").glob(".*"))


def test_whole_batches_stay_as_they_are_and_what_is_no_batch_goes(
    images: opening.Source, writer: str, tmp_path: Path
) -> None:
    rows = measured(images)
    before = stored(images, rows, tmp_path)
    files = sorted((tmp_path / "raw").iterdir())
    stamps = [file.stat().st_mtime_ns for file in files]
    files[1].write_bytes(files[1].read_bytes()[:-2000])
    (tmp_path / "raw/.0009-left-by-a-kill.tar.tmp").write_bytes(b"half")
    pd.testing.assert_frame_equal(stored(images, rows, tmp_path), before)
    assert sorted((tmp_path / "raw").iterdir()) == files
    assert [file.stat().st_mtime_ns == stamp for file, stamp in zip(files, stamps, strict=True)][:3] == [
        True,
        False,
        True,
    ]


def is_whole(file: Path) -> bool:
    try:
        return bool(batches.read_offsets(store._unfinished(file)))
    except AssayError:
        return False


def test_writing_begins_before_it_is_asked_for(
    images: opening.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "PROCESSES_FROM", 0)
    rows = measured(images)
    known = splits.with_new(splits.read(tmp_path / "absent.csv"), rows)
    with store.writing(images, rows, known, tmp_path / "raw", tmp_path / "memo") as storing:
        until = time.monotonic() + 60
        while not all(map(is_whole, storing.parts)):
            assert time.monotonic() < until
            time.sleep(0.05)
        assert len(storing.parts) > len(set(storing.parts))
        assert len(store.finish(storing, tmp_path / "raw", tmp_path / "memo")) == 90


def test_nothing_is_left_of_batches_that_nobody_waited_for(images: opening.Source, writer: str, tmp_path: Path) -> None:
    rows = measured(images)
    known = splits.with_new(splits.read(tmp_path / "absent.csv"), rows)
    raw = tmp_path / "raw"
    with pytest.raises(AssayError), store.writing(images, rows, known, raw, tmp_path / "memo"):
        assert list(raw.iterdir())
        raise AssayError("the splits contradict each other")
    assert not list(raw.iterdir())


@pytest.mark.slow
def test_two_runs_at_once_leave_whole_batches_and_one_is_told(
    images: opening.Source, writer: str, tmp_path: Path
) -> None:
    rows, raw = measured(images), tmp_path / "raw"
    known = splits.with_new(splits.read(tmp_path / "absent.csv"), rows)
    with store.writing(images, rows, known, raw, tmp_path / "memo") as storing:
        # The other run is another process; this one's name must not be its own.
        asked = "import sys, test_store; test_store.main(*sys.argv[1:])"
        more = os.environ | {"PYTHONPATH": str(ROOT / "tests/support")}
        command = [sys.executable, "-c", asked, tmp_path]
        subprocess.run(command, cwd=Path(__file__).parent, env=more, check=True)
        with pytest.raises(AssayError, match="another `ingest` ended here meanwhile; run it again, one at a time"):
            store.finish(storing, raw, tmp_path / "memo")
    assert not list(raw.glob(".*"))
    found = [sha256 for file in raw.iterdir() for sha256 in batches.read_offsets(file)]
    assert sorted(found) == sorted(rows["sha256"])


def main(folder: str) -> None:
    """Be the other run."""
    splits.BATCH_BYTES = BATCH_BYTES
    images = opening.open_source(f"folder:{folder}/images")
    stored(images, measured(images), Path(folder))


def test_images_of_this_process_alone_are_stored_by_it(
    images: opening.Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "PROCESSES_FROM", 0)
    readers = set()

    def read(entry: opening.Entry) -> bytes:  # cannot be pickled
        readers.add(os.getpid())
        return images.read(entry)

    own = dataclasses.replace(images, read=read)
    assert len(stored(own, measured(images), tmp_path)) == 90
    assert readers == {os.getpid()}
