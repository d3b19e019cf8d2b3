"""Mirrored and turned copies are found in every turn, and what is symmetric is no copy of itself."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter

from assay import files, params
from assay.dataset import manifest
from assay.ingestion import candidates, near_duplicates, turns
from assay.sources import opening
from tasks import ingest

BY_PILLOW = {  # an implementation that is not ours
    1: Image.Transpose.FLIP_LEFT_RIGHT,
    2: Image.Transpose.FLIP_TOP_BOTTOM,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.TRANSPOSE,
    5: Image.Transpose.ROTATE_270,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
}


def picture(seed: int) -> Image.Image:
    """Return a photo-like picture: smooth random shapes, 96 x 96 px."""
    shapes = gaussian_filter(np.random.default_rng(seed).normal(size=(96, 96)), 6)
    return Image.fromarray((127 + 60 * shapes / shapes.std()).clip(0, 230).astype(np.uint8))


def thumbnail(shown: Image.Image) -> np.ndarray:
    return np.asarray(shown.resize((32, 32), Image.Resampling.BILINEAR))


def resaved(shown: Image.Image) -> Image.Image:
    content = io.BytesIO()
    shown.save(content, "JPEG", quality=75)
    return Image.open(content)


def found(thumbnails: np.ndarray, folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    search = candidates.in_turns(thumbnails, turns.look(thumbnails))
    return candidates.candidates(search, [f"{n:016x}" for n in range(len(thumbnails))], folder)


@pytest.mark.parametrize("turn", BY_PILLOW)
def test_a_turn_is_what_pillow_makes_of_it_and_its_copy_is_found(turn: int, tmp_path: Path) -> None:
    shown = [picture(seed) for seed in range(40)]
    copies = [resaved(each.transpose(BY_PILLOW[turn])) for each in shown]
    assert np.array_equal(turns.turned(np.asarray(shown[0]), turn), np.asarray(shown[0].transpose(BY_PILLOW[turn])))
    thumbnails = np.stack([thumbnail(each) for each in shown + copies])
    limit = near_duplicates.calibrate(thumbnails, seed=0) / turns.STRICTER
    pairs, distance, how = found(thumbnails, tmp_path)
    near = distance <= limit
    assert pairs[near].tolist() == [[n, 40 + n] for n in range(40)]
    assert set(how[near]) == {{5: 6, 6: 5}.get(turn, turn)}  # the second is turned back to lie as the first


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 7))
def test_what_is_hashed_is_the_same_in_every_turn(seed: int, turn: int) -> None:
    shown = np.random.default_rng(seed).integers(0, 256, (3, 32, 32), np.uint8)
    as_is, after = (turns.unturned(near_duplicates.spectrum(each)) for each in (shown, turns.turned(shown, turn)))
    assert after == pytest.approx(as_is, abs=1e-4)


def test_symmetric_pictures_are_no_copies_of_themselves_or_of_each_other(tmp_path: Path) -> None:
    pictures = [np.asarray(picture(seed), float) for seed in range(40)]
    symmetric = [np.mean([turns.turned(each, turn) for turn in range(8)], axis=0) for each in pictures]
    thumbnails = np.stack([thumbnail(Image.fromarray(each.astype(np.uint8))) for each in symmetric])
    pairs, distance, _ = found(thumbnails, tmp_path)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert not (distance <= near_duplicates.calibrate(thumbnails, seed=0) / turns.STRICTER).any()


def test_what_was_found_is_remembered_with_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = [picture(seed) for seed in range(10)]
    copies = [each.transpose(Image.Transpose.ROTATE_90) for each in shown]
    thumbnails = np.stack([thumbnail(each) for each in shown + copies])
    measured: list[int] = []
    distance = near_duplicates.distance
    monkeypatch.setattr(near_duplicates, "distance", lambda *a: (measured.append(len(a[1])), distance(*a))[1])
    first = found(thumbnails, tmp_path)
    n_first = sum(measured)
    for one, other in zip(first, found(thumbnails, tmp_path), strict=True):
        assert np.array_equal(one, other)
    assert 10 <= n_first == sum(measured)


def test_turned_copies_share_a_split_and_those_of_two_labels_are_none(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout)
    p, source = params.load(), tmp_path / "photos"
    for seed in range(40):
        (source / "left").mkdir(parents=True, exist_ok=True)
        picture(seed).save(source / f"left/{seed:02}.png")
    (source / "right").mkdir()
    for seed, turn in enumerate([1, 2, 3, 4, 5, 6, 7]):
        resaved(picture(seed).transpose(BY_PILLOW[turn])).save(source / f"left/{seed:02}-copy.jpg")
        picture(10 + seed).transpose(BY_PILLOW[turn]).save(source / f"right/{seed:02}.png")
    files.write_json(p.paths.source, opening.snapshot(opening.open_source(f"folder:{source}")))
    ingest.main(p)
    pairs, rows = pd.read_parquet(p.paths.pairs), manifest.read(p.paths.manifest).set_index("path")
    found = {frozenset(pair) for pair in pairs[["path", "partner"]].itertuples(index=False)}
    assert found == {frozenset((f"left/{n:02}.png", f"left/{n:02}-copy.jpg")) for n in range(7)}
    said = dict(zip(pairs["path"].str[5:7], pairs["turned"], strict=True))
    assert [said[f"{n:02}"] for n in range(7)] == [turns.NAMES[turn] for turn in range(1, 8)]
    copies = [f"left/{n:02}-copy.jpg" for n in range(7)]
    originals = [path.replace("-copy.jpg", ".png") for path in copies]
    assert rows.loc[copies, "group"].tolist() == rows.loc[originals, "group"].tolist()
    assert rows.loc[copies, "split"].tolist() == rows.loc[originals, "split"].tolist()


def test_a_limit_of_before_keeps_its_pairs_and_learns_to_look_for_turned_ones(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout)
    p = params.load()
    for seed in range(20):
        (tmp_path / f"photos/{seed % 2}").mkdir(parents=True, exist_ok=True)
        picture(seed).save(tmp_path / f"photos/{seed % 2}/{seed:02}.png")
    files.write_json(p.paths.source, opening.snapshot(opening.open_source(f"folder:{tmp_path / 'photos'}")))
    ingest.main(p)
    after = files.read_json(p.paths.near_limit)
    files.write_json(p.paths.near_limit, {name: each for name, each in after.items() if name != "turned"})
    ingest.main(p)
    assert files.read_json(p.paths.near_limit) == after
