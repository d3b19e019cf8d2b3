import re
import shutil
from pathlib import Path

import pytest
from conftest import png, run

from assay import batch, files, forget, ledger, manifest, params
from assay.errors import AssayError

ODD = "ape/odd.png"


@pytest.fixture
def done(checkout: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout after `preprocess`, pushed to a remote; the report shows one image, an odd one."""
    (images / ODD).write_bytes(png(5000, 50, width_px=80))
    run(checkout, "assay", "snapshot", str(images))
    run(checkout, "dvc", "repro", "-q", "preprocess")
    run(checkout, "dvc", "remote", "add", "-q", "-d", "store", str(tmp_path / "remote"))
    run(checkout, "dvc", "push", "-q")
    monkeypatch.chdir(checkout)
    return checkout


def holding(place: Path, needles: list[bytes]) -> set[str]:
    """Return the files below a place that hold one of the needles, but for the ledger and git's own."""
    files = (file for file in place.rglob("*") if file.is_file() and ".git" not in file.parts)
    return {
        file.relative_to(place).as_posix() for file in files if any(needle in file.read_bytes() for needle in needles)
    } - {"data/ledger.csv"}


def test_forgotten_image_is_nowhere_and_all_others_stay(done: Path, images: Path, tmp_path: Path) -> None:
    rows = manifest.read(done / "data/manifest.parquet").set_index("path")
    path = ODD
    original, sha256 = (images / path).read_bytes(), rows.loc[path, "sha256"]
    page = done / "reports/validation/index.html"
    (shown,) = set(re.findall(rf'<img src="([^"]+)" alt="" data-sha256="{sha256}">', page.read_text()))
    needles = [original, sha256.encode(), shown.encode()]
    assert len(holding(done, needles)) >= 6  # the batch, a shard and the page, here and in the cache
    assert len(holding(tmp_path / "remote", needles)) >= 1
    before = dict(batch.read(next((done / "data/raw").iterdir())))

    said = run(done, "assay", "forget", path)
    assert "1 images forgotten: 1 batches written anew" in said
    assert "remote store" in said
    assert holding(done, needles) == set()
    assert holding(tmp_path / "remote", needles) == set()
    (tar,) = (done / "data/raw").iterdir()
    assert dict(batch.read(tar)) == {name: content for name, content in before.items() if name != sha256}

    assert not page.exists()

    # It is still in the source: not stored again, and named.
    run(done, "dvc", "repro", "-q", "preprocess")
    after = manifest.read(done / "data/manifest.parquet").set_index("path")
    assert after.loc[path, "reason"] == "forgotten: delete it in the source too"
    assert path in page.read_text()  # renewed: its name and why, and no picture
    assert after.loc[[path], ["split", "batch", "sha256", "pixels", "brightness"]].isna().all(axis=None)
    others = rows.index.drop(path)
    assert after.loc[others, ["split", "group", "sha256"]].equals(rows.loc[others, ["split", "group", "sha256"]])
    assert holding(done, needles) == {".assay/images/000000001.arrow"}  # the source's file, measured

    (images / path).unlink()
    run(done, "assay", "snapshot", str(images))
    run(done, "dvc", "repro", "-q", "preprocess")
    assert path not in manifest.read(done / "data/manifest.parquet")["path"].tolist()
    assert holding(done, needles) == set()


def test_name_that_nobody_has_touches_nothing(done: Path) -> None:
    before = contents(done)
    said = run(done, "assay", "forget", "ape/007.png", "ape/none.png", code=1)
    assert "no image is called 'ape/none.png'; a name is a path as in data/manifest.parquet" in said
    assert "Traceback" not in said
    assert contents(done) == before


def contents(place: Path) -> dict[str, str]:
    return {str(file): files.sha256(file) for file in place.rglob("*") if file.is_file() and file.suffix != ".pyc"}


def test_killed_half_way_it_can_be_called_again(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    p = params.load()
    sha256 = manifest.read(p.paths.manifest)["sha256"][3]
    for place in ((ledger, "write"), (forget, "_drop"), (forget, "_purge")):
        with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
            broken.setattr(*place, interrupt)
            forget.forget([sha256], p)
    forget.forget([sha256], p)
    assert holding(done, [sha256.encode()]) == {"data/manifest.parquet"} & holding(done, [sha256.encode()])
    assert len(batch.read_offsets(next(p.paths.raw.iterdir()))) == 150
    assert forget.forget([sha256], p).startswith("1 images forgotten: 0 batches")


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_batch_that_is_not_here_is_not_lost(done: Path) -> None:
    shutil.rmtree(done / "data/raw")
    before = sorted((done / ".dvc/cache").rglob("*"))
    with pytest.raises(AssayError, match=r"data/raw/0001-.*tar is not here, and the rest of it would be lost"):
        forget.forget(["ape/007.png"], params.load())
    assert sorted((done / ".dvc/cache").rglob("*")) == before
    run(done, "dvc", "checkout", "-q", "data/raw")
    assert forget.forget(["ape/007.png"], params.load()).startswith("1 images forgotten: 1 batches")


def test_whole_batch_can_be_forgotten(done: Path) -> None:
    p = params.load()
    assert "1 batches" in forget.forget(manifest.read(p.paths.manifest)["path"].tolist(), p)
    assert list(p.paths.raw.iterdir()) == []
    assert (ledger.read(p.paths.ledger)["split"] == ledger.FORGOTTEN).all()
