"""Outliers are images that are unlike their set; a set that is odd as a whole has none."""

import dataclasses
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import encode
from PIL import Image, ImageFilter

from assay.dataset import manifest
from assay.ingestion.measure import measure
from assay.validation.profile import outliers

LIMITS = {"dark": 6, "bright": 5, "clipped": 5, "washed_out": 4.5, "low_entropy": 5.5, "blurred": 4, "noisy": 4.5}
LIMITS |= dict.fromkeys(["blocky", "partial", "odd_aspect"], 5) | {"odd_size": 6}


def scene(seed: int) -> Image.Image:
    """Return blobs and grain of one camera: 96 x 80 px, rgb, exposed a little differently each time."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(20, 235, (10, 12, 3), np.uint8)).resize((96, 80), Image.Resampling.BICUBIC)
    grain = rng.normal(0, 2, (80, 96, 3))
    return Image.fromarray((np.asarray(coarse) * rng.normal(0.9, 0.05) + grain).clip(0, 255).astype(np.uint8))


def levels(image: Image.Image, gain: float, offset: float | np.ndarray = 0) -> Image.Image:
    return Image.fromarray((np.asarray(image, float) * gain + offset).clip(0, 255).astype(np.uint8))


def half_grey(image: Image.Image) -> Image.Image:
    pixels = np.array(image)
    pixels[48:] = 128
    return Image.fromarray(pixels)


def noisy(image: Image.Image) -> Image.Image:
    return levels(image, 1, np.random.default_rng(0).normal(0, 60, np.asarray(image).shape))


def table(contents: list[bytes]) -> pd.DataFrame:
    return pd.DataFrame([measured(content) for content in contents]).reindex(columns=manifest.SCHEMA.names)


@cache
def measured(content: bytes) -> dict[str, Any]:
    """Return what is measured of an image, once for all sets that it is in."""
    return dataclasses.asdict(measure(content, "a.png"))


SOUND = [encode(scene(seed)) for seed in range(120)]
FAULTS = {
    "dark": lambda image: levels(image, 0.15),
    "bright": lambda image: levels(image, 3, 100),
    "clipped": lambda image: levels(image, 3),
    "washed_out": lambda image: levels(image, 0.1, 150),
    "low_entropy": lambda image: Image.new("RGB", image.size, (90, 90, 90)),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(7)),
    "noisy": noisy,
    "blocky": lambda image: Image.fromarray(np.kron(np.array(image.resize((12, 10))), np.ones((8, 8, 1), np.uint8))),
    "partial": half_grey,
    "odd_aspect": lambda image: image.resize((480, 80)),
    "odd_size": lambda image: image.resize((24, 20)),
}


@cache
def faulty(name: str, seed: int) -> bytes:
    return encode(FAULTS[name](scene(seed)))


@pytest.mark.parametrize("name", FAULTS)
def test_faulty_image_is_an_outlier_and_no_other_is(name: str) -> None:
    wrong = [faulty(name, seed) for seed in range(3)]
    found = outliers.outliers(table([*wrong, *SOUND]))
    assert (found[name].iloc[:3] > LIMITS[name]).all(), found[name].head(3)
    assert (found.iloc[3:] <= pd.Series(LIMITS)).all().all()


def test_set_of_which_every_image_is_so_has_no_outliers() -> None:
    for name in ("dark", "blurred", "noisy", "partial"):
        found = outliers.outliers(table([faulty(name, seed) for seed in range(60)]))
        assert (found <= pd.Series(LIMITS)).all().all(), name


@pytest.mark.parametrize("share", [0.09, 0.3, 0.38])
@pytest.mark.parametrize("name", FAULTS)
def test_faulty_images_are_outliers_though_they_are_many(name: str, share: float) -> None:
    n = round(share / (1 - share) * len(SOUND))
    wrong = [faulty(name, seed) for seed in range(n)]
    found = outliers.outliers(table([*wrong, *SOUND])) > pd.Series(LIMITS)
    assert found.iloc[:n].any(axis=1).mean() >= 0.9, found.iloc[:n].mean()
    assert not found.iloc[n:].any(axis=None)


def test_set_of_two_kinds_has_no_outliers() -> None:
    for name in FAULTS:
        kinds = [*SOUND[:60], *(faulty(name, seed) for seed in range(60))]
        assert (outliers.outliers(table(kinds))[name] <= LIMITS[name]).all(), name


def test_images_are_held_against_the_approved_ones_however_many_they_are() -> None:
    dark = [faulty("dark", seed) for seed in range(300)]
    rows = table([*dark, *SOUND])
    is_approved = np.arange(len(rows)) >= len(dark)
    assert (outliers.outliers(rows)["dark"] <= LIMITS["dark"]).all()  # most are so
    assert (outliers.outliers(rows, is_approved)["dark"].iloc[: len(dark)] > LIMITS["dark"]).all()
    few = is_approved & (np.arange(len(rows)) < len(dark) + outliers.FEWEST - 1)
    assert outliers.outliers(rows, few).equals(outliers.outliers(rows))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["normal", "uniform", "standard_exponential"]), st.floats(-3, 5))
def test_no_tail_of_one_distribution_is_another_kind(seed: int, shape: str, beyond: float) -> None:
    known = np.sort(getattr(np.random.default_rng(seed), shape)(size=5000))
    assert outliers.another_kind(known, 0.1, beyond) is None


@pytest.mark.parametrize(("n_between", "is_kind"), [(4, True), (6, False)])
def test_another_kind_has_next_to_nothing_between(n_between: int, is_kind: bool) -> None:
    """Of 1,000 photos 24 showed hardly more than sky, and 6 lay just before them: the end of a tail."""
    usual = np.linspace(-0.3, 0.3, 1000 - 24 - n_between)
    known = np.concatenate([usual, np.full(n_between, 2.5), np.linspace(2.7, 5, 24)])
    assert (outliers.another_kind(known, 0.1, 2.6) is not None) == is_kind


def test_grain_that_nobody_sees_is_not_noisy() -> None:
    """Faces that were enlarged to one size are smooth, and one in forty was not enlarged."""
    rows = table(SOUND).assign(noise=np.linspace(0.2, 0.6, len(SOUND)))
    rows.loc[:2, "noise"] = [1.6, 2.0, 2.2]
    assert (outliers.outliers(rows)["noisy"] <= LIMITS["noisy"]).all()
    rows.loc[:2, "noise"] = 10.0
    assert (outliers.outliers(rows)["noisy"].iloc[:3] > LIMITS["noisy"]).all()


@pytest.mark.parametrize(("n_white", "is_kind"), [(25, False), (35, True)])
def test_a_few_things_before_white_are_not_clipped(n_white: int, is_kind: bool) -> None:
    """Of 1,000 photos of anything 25 were taken before white; ten times exposed too long is another matter."""
    shares = np.concatenate([np.linspace(0, 0.27, 1000 - n_white), np.full(n_white, 0.6)])
    rows = pd.DataFrame({"decodable": True, "clipped_share": shares})
    assert (outliers.outliers(rows)["clipped"].to_numpy()[-n_white:] > LIMITS["clipped"]).all() == is_kind


def test_middle_is_that_of_the_densest_half() -> None:
    scores = np.sort(np.concatenate([np.random.default_rng(0).normal(0, 1, 700), np.full(300, 9.0)]))
    assert abs(outliers.middle(scores)) < 0.4
    assert np.median(scores) > 0.5


def test_night_with_all_that_is_lit_burnt_out_is_clipped_though_it_is_not_bright() -> None:
    burnt = [np.array(levels(scene(seed), 3)) for seed in range(3)]
    for pixels in burnt:
        pixels[40:] //= 16
    found = outliers.outliers(table([*(encode(Image.fromarray(pixels)) for pixels in burnt), *SOUND])).head(3)
    assert (found["bright"] <= LIMITS["bright"]).all()
    assert (found["clipped"] > LIMITS["clipped"]).all(), found["clipped"]


def test_set_before_white_has_none_that_are_clipped() -> None:
    white = [Image.new("RGB", (96, 80), "white") for _ in range(60)]
    for seed, canvas in enumerate(white):
        canvas.paste(scene(seed).resize((30 + seed // 2, 40)), (20, 20))
    assert (outliers.outliers(table([encode(each) for each in white]))["clipped"] <= LIMITS["clipped"]).all()


def test_letterbox_is_not_partial() -> None:
    pixels = np.array(scene(0))
    pixels[:20] = pixels[-20:] = 0
    assert outliers.outliers(table([encode(Image.fromarray(pixels)), *SOUND]))["partial"].iloc[0] == 0


def test_what_does_not_decode_is_no_outlier_and_nothing_is_missing() -> None:
    found = outliers.outliers(table([b"", *SOUND[:5]]))
    assert not found.iloc[0].any()
    assert found.notna().all().all()
    assert not outliers.outliers(table([b""])).to_numpy().any()
    assert outliers.outliers(table([])).empty


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=60))
def test_distance_does_not_depend_on_order_scale_or_origin(scores: list[float]) -> None:
    known = np.array(scores)
    order = np.random.default_rng(len(scores)).permutation(len(scores))
    found = outliers.distance(known, 0.5, known)
    assert (found >= 0).all()
    assert (found[order] == outliers.distance(known[order], 0.5, known)).all()
    assert outliers.distance(known * 4 + 100, 2.0, known * 4 + 100) == pytest.approx(found, abs=1e-6)


def test_distances_of_a_normal_distribution_are_its_standard_deviations() -> None:
    scores = np.random.default_rng(0).normal(7, 3, 200_000)
    assert outliers.distance(scores, 0.1, scores) == pytest.approx(np.maximum(scores - 7, 0) / 3, abs=0.1)


def test_heavy_tail_widens_the_spread() -> None:
    scores = np.random.default_rng(0).standard_t(2, 10_000)
    assert (outliers.distance(scores, 0.1, scores) > 5).sum() < (np.abs(scores - np.median(scores)) > 5).sum()
