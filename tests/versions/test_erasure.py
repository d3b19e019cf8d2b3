import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from checkouts import draw, make_checkout, png, put_back, run
from dvc_data.hashfile.db import HashFileDB
from dvc_objects.fs import MemoryFileSystem

from assay import files, params, state
from assay.dataset import batches, manifest, splits
from assay.errors import AssayError
from assay.versions import erasure, lock, storage, worktree

ODD = "ape/odd.png"


@pytest.fixture(scope="module")
def preprocessed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of `images`, one of them odd, and a `checkout` after `preprocess`, pushed to a `remote`."""
    folder = tmp_path_factory.mktemp("preprocessed")
    draw(folder / "images", 50)
    (folder / "images" / ODD).write_bytes(png(5000, 50, width_px=80))
    (folder / "checkout/.dvc").mkdir(parents=True)
    checkout = make_checkout(folder / "checkout", folder / "images")
    run(checkout, "dvc", "repro", "-q", "preprocess")
    run(checkout, "dvc", "remote", "add", "-q", "-d", "store", str(folder / "remote"))
    run(checkout, "dvc", "push", "-q")
    return folder


@pytest.fixture
def beside(preprocessed: Path) -> Iterator[Path]:
    """Return the folder, put back as it was afterwards."""
    with put_back(preprocessed):
        yield preprocessed


@pytest.fixture
def done(beside: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the checkout, as the current folder; the report shows one image, an odd one."""
    monkeypatch.chdir(beside / "checkout")
    return beside / "checkout"


def holding(place: Path, needles: list[bytes]) -> set[str]:
    """Return the files below a place that hold one of the needles, but for the ledger and git's own."""
    files = (file for file in place.rglob("*") if file.is_file() and ".git" not in file.parts)
    return {
        file.relative_to(place).as_posix() for file in files if any(needle in file.read_bytes() for needle in needles)
    } - {"data/ledger.csv"}


@pytest.mark.slow
def test_forgotten_image_is_nowhere_and_all_others_stay(done: Path, beside: Path) -> None:
    rows = manifest.read(done / "data/manifest.parquet").set_index("path")
    path = ODD
    original, sha256 = (beside / "images" / path).read_bytes(), rows.loc[path, "sha256"]
    page = done / "reports/validation/index.html"
    (shown,) = set(re.findall(rf'<img src="([^"]+)" alt="" data-sha256="{sha256}">', page.read_text()))
    needles = [original, sha256.encode(), shown.encode()]
    assert len(holding(done, needles)) >= 6  # the batch, a shard and the page, here and in the cache
    p = params.load(done / "params.yaml")
    for report in (p.paths.evaluation, p.paths.verdict):  # of a model, which these stages make none of
        files.write_text(done / report / "index.html", sha256)
    assert len(holding(beside / "remote", needles)) >= 1
    before = dict(batches.read(next((done / "data/raw").iterdir())))

    said = run(done, "assay", "forget", path)
    assert "1 image forgotten: 1 batch written anew, deleted " in said
    assert re.search(r" objects in the cache, \d+ objects? in remote store; next: dvc repro", said)
    assert holding(done, needles) == set()
    assert holding(beside / "remote", needles) == set()
    (tar,) = (done / "data/raw").iterdir()
    assert dict(batches.read(tar)) == {name: content for name, content in before.items() if name != sha256}

    assert not page.exists()

    # It is still in the source: not stored again, and named.
    run(done, "dvc", "repro", "-q", "preprocess")
    after = manifest.read(done / "data/manifest.parquet").set_index("path")
    assert after.loc[path, "reason"] == "forgotten: delete it in the source too"
    assert path in page.read_text()  # renewed: its name and why, and no picture
    assert after.loc[[path], ["split", "batch", "sha256", "pixels", "brightness"]].isna().all(axis=None)
    others = rows.index.drop(path)
    assert after.loc[others, ["split", "group", "sha256"]].equals(rows.loc[others, ["split", "group", "sha256"]])
    of_source = {file.relative_to(done).as_posix() for file in (done / ".assay/contents").rglob("*.arrow")}
    assert holding(done, needles) == {".assay/images/000000001.arrow", *of_source}  # the source's file, measured

    (beside / "images" / path).unlink()
    run(done, "assay", "snapshot", str(beside / "images"))
    run(done, "dvc", "repro", "-q", "preprocess")
    assert path not in manifest.read(done / "data/manifest.parquet")["path"].tolist()
    assert holding(done, needles) == set()


@pytest.mark.slow
def test_name_that_nobody_has_touches_nothing(done: Path) -> None:
    before = contents(done)
    said = run(done, "assay", "forget", "ape/007.png", "ape/none.png", code=1)
    assert "no image is called 'ape/none.png'; a name is a path as in data/manifest.parquet" in said
    assert "Traceback" not in said
    assert contents(done) == before


def contents(place: Path) -> dict[str, str]:
    return {str(file): files.sha256(file) for file in place.rglob("*") if file.is_file() and file.suffix != ".pyc"}


@pytest.mark.slow
def test_killed_half_way_it_can_be_called_again(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    p = params.load()
    sha256 = manifest.read(p.paths.manifest)["sha256"][3]
    for place in ((splits, "write"), (erasure, "_drop"), (erasure, "_drop_kept"), (erasure, "_purge")):
        with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
            broken.setattr(*place, interrupt)
            erasure.forget([sha256], p)
    erasure.forget([sha256], p)
    assert holding(done, [sha256.encode()]) == {"data/manifest.parquet"} & holding(done, [sha256.encode()])
    assert len(batches.read_offsets(next(p.paths.raw.iterdir()))) == 150
    assert erasure.forget([sha256], p).startswith("1 image forgotten: 0 batches")


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
def test_batch_that_is_not_here_is_not_lost(done: Path) -> None:
    shutil.rmtree(done / "data/raw")
    before = sorted((done / ".dvc/cache").rglob("*"))
    with pytest.raises(AssayError, match=r"data/raw/0001-.*tar is not here, and the rest of it would be lost"):
        erasure.forget(["ape/007.png"], params.load())
    assert sorted((done / ".dvc/cache").rglob("*")) == before
    run(done, "dvc", "checkout", "-q", "data/raw")
    assert erasure.forget(["ape/007.png"], params.load()).startswith("1 image forgotten: 1 batch written")


@pytest.mark.slow
def test_whole_batch_can_be_forgotten(done: Path) -> None:
    p = params.load()
    assert "151 images forgotten: 1 batch " in erasure.forget(manifest.read(p.paths.manifest)["path"].tolist(), p)
    assert list(p.paths.raw.iterdir()) == []
    assert (splits.read(p.paths.ledger)["split"] == splits.FORGOTTEN).all()


@pytest.mark.slow
def test_remote_that_cannot_be_listed_stops_before_anything_is_touched(
    done: Path, beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (beside / "file").write_text("no folder")
    (beside / "mount").mkdir()  # as a share that is not mounted leaves it
    before = kept(done, beside)
    for url, said in {
        "../gone": f"{beside}/gone is not there",
        "../gone/below": f"{beside}/gone is not there",
        "../file": f"{beside}/file is no folder",
        "../mount": f"{beside}/mount/files is not there",
        "s3://bucket/dvc": "s3 is supported, but requires 'dvc-s3' to be installed",
        "http://127.0.0.1:9/dvc": "DVC cannot list what lies over http, so erase it there by other means",
    }.items():
        run(done, "dvc", "remote", "add", "-f", "-q", "nas", url)
        with pytest.raises(AssayError, match=f"^forget: remote 'nas': {re.escape(said)}; mount it, .* nothing was t"):
            erasure.forget([ODD], params.load())
    said = run(done, "assay", "forget", ODD, code=1)
    assert said.startswith("assay: forget: remote 'nas': ")
    assert said.endswith("(`dvc push -r nas`), or `dvc remote remove nas`; nothing was touched\n")
    assert "Traceback" not in said
    run(done, "dvc", "remote", "remove", "nas")

    # DVC passes over a folder that it may not read.
    (closed, *_) = (beside / "remote/files/md5").iterdir()
    with monkeypatch.context() as broken, pytest.raises(AssayError, match=r"'store': .*Permission denied.*; mount it"):
        broken.setattr(os, "scandir", closed_to(closed))
        erasure.forget([ODD], params.load())
    assert kept(done, beside) == before

    run(done, "dvc", "config", "cache.dir", str(beside / "share/cache"))
    with pytest.raises(AssayError, match=rf"^forget: the cache: {beside}/share is not there; mount it, or fill"):
        erasure.forget([ODD], params.load())
    run(done, "dvc", "config", "--unset", "cache.dir")
    assert kept(done, beside) == before


def kept(done: Path, beside: Path) -> list[dict[str, str]]:
    return [contents(place) for place in (done / "data", done / "reports", done / ".dvc/cache", beside / "remote")]


def closed_to(place: Path) -> Any:
    scandir = os.scandir

    def closed(folder: str) -> Iterator[os.DirEntry[str]]:
        if Path(folder) == place:
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    return closed


def test_remote_that_is_no_folder_is_listed_and_one_without_objects_is_not_empty() -> None:
    memory = MemoryFileSystem()
    store = HashFileDB(memory, "/bucket/files/md5")
    with pytest.raises(AssayError, match=r"^/bucket/files/md5 is not there$"):
        storage._listing(store)
    memory.fs.pipe_file("/bucket/files/md5/ab/cd", b"")
    assert list(storage._listing(store).all()) == ["abcd"]


def test_remote_that_ends_meanwhile_is_named() -> None:
    class Ended:
        def all(self) -> list[str]:
            raise ConnectionError("reset by\npeer")

    with pytest.raises(AssayError, match=r"^forget: remote nas: reset by peer; it may still hold the images: for"):
        erasure._purge("remote nas", Ended(), {"0" * 64})


@pytest.mark.slow
def test_kept_reports_memos_and_worktrees_go_too(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    p = params.load()
    sha256 = manifest.read(p.paths.manifest).set_index("path").loc[ODD, "sha256"]
    page = p.paths.validation / "index.html"
    assert sha256 in page.read_text()
    reports = done / state.LOOKS / "reports"
    naming = [done / state.RUNS / "named/validation", reports / "named"]
    others = [done / state.RUNS / "other/validation", reports / "other", done / state.LOOKS / "seen"]
    for folder in [*naming, *others, done / state.LOOKS / "memo"]:
        folder.mkdir(parents=True)
        (folder / "index.html").write_text(page.read_text() if folder in naming else "page")
        (folder / "images.png").write_bytes(b"thumbnails")
    files.write_text(p.paths.memo.proofs / "000000001.arrow", sha256)
    run(done, "git", "add", "-A")
    run(done, "git", "commit", "-qm", "preprocessed")
    tree = worktree.ready("main")
    shutil.copytree(p.paths.raw, tree.folder / p.paths.raw, dirs_exist_ok=True)
    (tree.folder / ".assay/images").mkdir()
    stage = done / state.STAGES / "checkout"
    run(done, "git", "worktree", "add", "-q", "--detach", str(stage))
    shutil.copytree(p.paths.raw, stage / p.paths.raw, dirs_exist_ok=True)

    for home, said in ((Path(), "a retraining has this checkout"), (state.STAGES, "a stage runs in .assay/stages")):
        with lock.taken("a run", home), pytest.raises(AssayError, match=f"^forget: {said}.*wait for its end"):
            erasure.forget([ODD], p)
        assert tree.folder.exists()
        assert (splits.read(p.paths.ledger)["split"] != splits.FORGOTTEN).all()

    erasure.forget([ODD], p)
    gone = [done / state.RUNS / "named", reports / "named", done / state.LOOKS / "memo"]
    assert [place for place in [*gone, tree.folder, stage, done / state.MEMO] if place.exists()] == []
    assert all((place / "images.png").exists() for place in others)
    assert holding(done, [sha256.encode()]) == set()
    assert len(run(done, "git", "worktree", "list").splitlines()) == 1
    assert not worktree.ready("main").continued  # begun anew


def test_kept_report_is_found_again_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sha256, report = "ab" * 32, state.RUNS / "1"
    for name, text in {"evaluation/images.png": "thumbnails", "validation/index.html": sha256, "z.png": "more"}.items():
        files.write_text(report / name, text)
    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(shutil, "rmtree", interrupt)
        erasure._drop_kept({sha256})
    assert [file for file in report.rglob("*") if file.is_file()] == [report / "validation/index.html"]
    erasure._drop_kept({sha256})
    assert not report.exists()
