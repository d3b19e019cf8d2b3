"""Near-duplicates of photos, from the source to the splits."""

import hashlib
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance
from sklearn.datasets import load_sample_images

from assay import files, params
from assay.compute import memo
from assay.dataset import manifest, splits
from assay.ingestion import candidates, hamming, near_duplicates, pairs, scan
from assay.sources import opening
from assay.validation import data_tables
from tasks import ingest as task

TILE_PX = 71


@pytest.fixture(autouse=True)
def in_checkout(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)


def tiles() -> list[Image.Image]:
    """Return 96 pieces of two photos."""
    found = []
    for photo in load_sample_images().images:
        found += [
            Image.fromarray(photo[top : top + TILE_PX, left : left + TILE_PX])
            for top in range(0, photo.shape[0] - TILE_PX, TILE_PX)
            for left in range(0, photo.shape[1] - TILE_PX, TILE_PX)
        ]
    return found[:96]


def save(image: Image.Image, file: Path, **options: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file, **options)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number, tile in enumerate(tiles()):
        save(tile, tmp_path / "photos" / ("ape", "bee")[number % 2] / f"{number:03d}.png")
    return tmp_path / "photos"


def ingest(name: str) -> pd.DataFrame:
    p = params.load()
    files.write_json(p.paths.source, opening.snapshot(opening.open_source(name)))
    task.main(p)
    return manifest.read(p.paths.manifest).set_index("path")


def changed(tile: Image.Image, how: str) -> tuple[Image.Image, str, dict[str, int]]:
    side = tile.width
    match how:
        case "resaved":
            return tile, "jpg", {"quality": 85}
        case "resized":
            return tile.resize((side * 2, side * 2), Image.Resampling.BICUBIC), "png", {}
        case "cropped":
            return tile.crop((1, 1, side - 1, side - 1)), "png", {}
    return ImageEnhance.Brightness(tile).enhance(1.08), "png", {}


@pytest.mark.slow
def test_copies_that_come_later_join_the_split_of_their_original(photos: Path) -> None:
    before = ingest(f"folder:{photos}")
    assert before["group"].nunique() == 96
    for number, how in enumerate(["resaved", "resized", "cropped", "brightened"] * 5):
        image, suffix, options = changed(tiles()[number], how)
        save(image, photos / ("ape", "bee")[number % 2] / f"{number:03d}-{how}.{suffix}", **options)
    after = ingest(f"folder:{photos}")
    assert after.loc[before.index, ["split", "group"]].equals(before[["split", "group"]])
    copies = after.loc[[path for path in after.index if "-" in path]]
    originals = [f"{path.partition('-')[0]}.png" for path in copies.index]
    joined = copies["group"].to_numpy() == after.loc[originals, "group"].to_numpy()
    assert joined.sum() >= 16  # of 20; what is missed is sky
    assert (copies["split"].to_numpy() == after.loc[originals, "split"].to_numpy())[joined].all()
    pairs = pd.read_parquet("data/pairs.parquet")
    assert {tuple(sorted(pair)) for pair in zip(copies.index[joined], np.array(originals)[joined], strict=True)} <= {
        tuple(sorted(pair)) for pair in zip(pairs["path"], pairs["partner"], strict=True)
    }
    assert pairs["distance"].is_monotonic_increasing
    assert not pairs["one_group"].any()  # a folder puts none in a group


def test_pair_that_the_source_puts_in_one_group_is_listed_and_not_warned_of(photos: Path) -> None:
    groups = {0: ("film 1", "film 1"), 50: ("film 2", "film 3"), 3: ("", "")}
    for number in groups:
        save(tiles()[number], photos / ("ape", "bee")[number % 2] / f"{number:03d}-resaved.jpg", quality=85)
    named = {path.relative_to(photos).as_posix(): path.parent.name for path in sorted(photos.glob("*/*"))}
    table = pd.DataFrame({"path": named.keys(), "label": named.values(), "group": ""}).set_index("path")
    for number, pair in groups.items():
        table.loc[sorted(path for path in named if f"/{number:03d}" in path), "group"] = pair
    table.to_csv(photos / "all.csv")
    rows = ingest(f"table:{photos / 'all.csv'}")
    pairs = pq.read_table("data/pairs.parquet").to_pandas()
    pairs = pairs[pairs["path"].str.contains("resaved") | pairs["partner"].str.contains("resaved")]
    by_tile = pairs.groupby(pairs["path"].str[4:7])["one_group"]
    assert by_tile.all().to_dict() == {"000": True, "003": False, "050": False}
    found = data_tables.near_duplicates(pairs, rows.reset_index())
    assert (found["in_one_split"] == ~pairs["one_group"].to_numpy()).all()
    assert not found["across_splits"].any()


def test_train_image_that_shows_a_given_test_image_is_set_aside_and_named(photos: Path, tmp_path: Path) -> None:
    for number, file in enumerate(sorted(photos.rglob("*.png"))):
        split = ("test", "train", "val", "train")[number % 4]
        (tmp_path / "given" / split / file.parent.name).mkdir(parents=True, exist_ok=True)
        file.rename(tmp_path / "given" / split / file.parent.name / file.name)
    shown = sorted((tmp_path / "given/test/ape").iterdir())[:2]
    with Image.open(shown[0]) as image:
        save(image, tmp_path / "given/train/ape/again.jpg", quality=90)
    (tmp_path / "given/train/ape/same.png").write_bytes(shown[1].read_bytes())
    found = ingest(f"folder:{tmp_path / 'given'}")
    aside = found[found["split"].isna()]
    assert aside["reason"].to_dict() == {
        "train/ape/again.jpg": f"near-duplicate of test/ape/{shown[0].name}, which is in test",
        "train/ape/same.png": "given train, but the same file is in test",
    }
    assert aside["decodable"].all()


@pytest.mark.slow
def test_limit_stays_while_the_set_grows_and_is_measured_anew_when_it_has_doubled(photos: Path, tmp_path: Path) -> None:
    kept = sorted(photos.rglob("*.png"), key=lambda file: file.name)
    for file in kept[30:]:
        (tmp_path / "later" / file.parent.name).mkdir(parents=True, exist_ok=True)
        file.rename(tmp_path / "later" / file.parent.name / file.name)
    limits = []
    for n in (30, 50, 60, 96):
        for file in kept[:n]:
            if not file.exists():
                (tmp_path / "later" / file.parent.name / file.name).rename(file)
        ingest(f"folder:{photos}")
        limits.append(pairs.read_limit(params.load().paths.near_limit))
    assert [limit["n_images"] for limit in limits] == [30, 30, 60, 60]
    assert limits[0] == limits[1]


def test_fresh_clone_finds_the_same(photos: Path, checkout: Path) -> None:
    save(tiles()[3], photos / "ape/again.jpg", quality=90)
    ingest(f"folder:{photos}")
    first = {file: files.sha256(checkout / file) for file in ("data/ledger.csv", "data/near_limit.json")}
    made = {file: files.sha256(checkout / file) for file in ("data/manifest.parquet", "data/pairs.parquet")}
    for file in made:
        (checkout / file).unlink()
    shutil.rmtree(checkout / ".assay")
    ingest(f"folder:{photos}")
    assert {file: files.sha256(checkout / file) for file in first} == first
    assert {file: files.sha256(checkout / file) for file in made} == made


def test_images_without_one_that_decodes_have_no_pairs(tmp_path: Path) -> None:
    for name in ("ape", "bee"):
        (tmp_path / "broken" / name).mkdir(parents=True)
        (tmp_path / "broken" / name / "a.png").write_bytes(f"broken {name}".encode())
    assert ingest(f"folder:{tmp_path / 'broken'}")["split"].isna().all()
    assert len(pd.read_parquet("data/pairs.parquet")) == 0
    assert len(splits.read(params.load().paths.ledger)) == 2


def test_thumbnails_are_gathered_from_all_parts_of_the_memo_in_the_order_asked_for(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (7, 32, 32), np.uint8)
    for part in (slice(0, 3), slice(3, 4), slice(4, 7)):
        facts = [{"key": str(number), "thumbnail": levels[number].tobytes()} for number in range(7)[part]]
        memo.add(tmp_path / "memo", pa.Table.from_pylist(facts, scan.FACTS), "this code")
    order = np.array([6, 0, 3, 3, 5])
    gathered = scan.Thumbnails(memo.read(tmp_path / "memo", scan.FACTS, "this code"), order)
    assert len(gathered) == 5
    assert (gathered[1:4] == levels[order[1:4]]).all()
    assert (gathered[::2] == levels[order[::2]]).all()
    assert (gathered[np.array([4, 0])] == levels[[5, 6]]).all()
    assert gathered[5:].shape == (0, 32, 32)


def test_memo_is_written_anew_in_pieces_without_what_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo, "PIECE", 2)
    rows = pa.Table.from_pylist([{"key": str(number)} for number in range(7)], pa.schema([("key", pa.string())]))
    memo.write(tmp_path / "memo", rows, "this code", np.array([True, False, False, False, True, True, True]))
    assert memo.read(tmp_path / "memo", rows.schema, "this code")["key"].to_pylist() == ["0", "4", "5", "6"]
    assert len(list((tmp_path / "memo").iterdir())) == 1


BLANK, SAME = 3, 4  # thumbnails of one hash
RANDOM = np.random.default_rng(0)
LIKE = RANDOM.integers(0, 256, (2, 32, 32)).repeat(7, axis=0)
THUMBNAILS = np.concatenate(
    [
        (LIKE + RANDOM.normal(0, 20, LIKE.shape)).clip(0, 255).astype(np.uint8),
        *(np.full((1, 32, 32), level, np.uint8) for level in (0, 9, 255)),
        np.random.default_rng(1).integers(0, 256, (1, 32, 32), np.uint8).repeat(4, axis=0),
    ]
)
PIXELS = [hashlib.sha256(bytes([number])).hexdigest() for number in range(len(THUMBNAILS))]
LOOK = near_duplicates.Look((0.01,) * 64, 9)  # a tenth of the time that 26 bits take


def found_of(members: list[int], remembered: Path, how: near_duplicates.Look = LOOK) -> tuple[np.ndarray, np.ndarray]:
    search = candidates.upright(THUMBNAILS[members], how)
    return candidates.candidates(search, [PIXELS[number] for number in members], remembered)[:2]


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.lists(st.sets(st.integers(0, len(THUMBNAILS) - 1)), min_size=2, max_size=5), st.data())
def test_candidates_after_any_changes_are_those_of_a_search_without_memory(
    steps: list[set[int]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(hamming, "LISTED", 2)
        for step in steps:
            members = data.draw(st.permutations(sorted(step)))
            pairs, distance = found_of(members, Path(folder))
            assert pairs.tolist() == near_duplicates.candidates(THUMBNAILS[members], LOOK).tolist()
            assert distance == pytest.approx(near_duplicates.distance(THUMBNAILS[members], pairs), abs=1e-6)


def test_sets_of_this_test_have_many_candidates_and_stars() -> None:
    everything = list(range(len(THUMBNAILS)))
    pairs = near_duplicates.candidates(THUMBNAILS, LOOK)
    assert 40 < len(pairs) < len(everything) * (len(everything) - 1) / 2
    hashes = near_duplicates.codes(THUMBNAILS, np.array(everything), LOOK.middle)[0]
    assert sorted(np.unique(hashes, return_counts=True)[1])[-2:] == [BLANK, SAME]


def test_only_new_images_are_hashed_and_only_new_pairs_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[int] = []
    measured: list[int] = []
    codes, distance = near_duplicates.codes, near_duplicates.distance
    monkeypatch.setattr(near_duplicates, "codes", lambda *a, **k: (hashed.append(len(a[1])), codes(*a, **k))[1])
    monkeypatch.setattr(near_duplicates, "distance", lambda *a: (measured.append(len(a[1])), distance(*a))[1])
    first, everything = list(range(15)), list(range(len(THUMBNAILS)))
    some, _ = found_of(first, tmp_path)
    every, _ = found_of(everything, tmp_path)
    found_of(everything, tmp_path)
    found_of(everything[5:], tmp_path)
    assert hashed == [15, 6, 0, 0]
    assert measured == [len(some), len(every) - len(some), 0, 0]
    found_of(everything, tmp_path, replace(LOOK, radius=8))
    assert hashed[-1] == len(everything)


def test_hashes_beside_other_pairs_than_were_found_with_them_are_not_used(tmp_path: Path) -> None:
    everything = list(range(len(THUMBNAILS)))
    found_of(everything, tmp_path / "all")
    found_of(everything[:9], tmp_path / "some")
    shutil.copytree(tmp_path / "all/hashes", tmp_path / "some/hashes", dirs_exist_ok=True)
    pairs, _ = found_of(everything, tmp_path / "some")
    assert pairs.tolist() == near_duplicates.candidates(THUMBNAILS, LOOK).tolist()


def test_kill_while_hashes_are_written_leaves_no_two_sets_that_were_never_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(folder: Path, rows: pa.Table, made_by: str) -> None:
        memo.add(folder, rows, made_by)
        raise KeyboardInterrupt

    found_of([17], tmp_path)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(memo, "write", killed)
        found_of([18], tmp_path)
    assert found_of([17, 18], tmp_path)[0].tolist() == [[0, 1]]
