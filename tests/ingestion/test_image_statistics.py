"""The statistics of one image, against answers worked out by hand, NumPy and Pillow."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from photos import photo
from PIL import Image, ImageFilter
from scipy.signal import convolve2d

from assay.ingestion import image_statistics

SEEDS = st.integers(0, 2**32 - 1)


def random(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.integers(1, 2000))
def test_percentiles_are_those_of_numpy(seed: int, n: int) -> None:
    values = np.random.default_rng(seed).integers(0, 256, n)
    found = image_statistics.of_levels(np.bincount(values, minlength=256)[None])
    for percent in image_statistics.PERCENTILES:
        assert found[f"p{percent}"] == [np.percentile(values, percent, method="inverted_cdf")]


@pytest.mark.parametrize("sigma", [2, 6, 20])
def test_noise_is_the_deviation_that_was_added(sigma: float) -> None:
    slope = np.add.outer(np.arange(200), np.arange(200)) / 4 + 60
    noisy = slope + np.random.default_rng(0).normal(0, sigma, slope.shape)
    assert image_statistics.noise(np.rint(noisy).astype(np.uint8)) == pytest.approx(sigma, rel=0.05)
    assert image_statistics.noise(slope.astype(np.uint8)) < 0.6  # the rounding of the slope


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(3, 20), st.integers(3, 20))
def test_noise_is_that_of_the_mask_of_the_paper(seed: int, height: int, width: int) -> None:
    grey = random(seed, height, width)
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]])
    answer = np.abs(convolve2d(grey.astype(int), mask, "valid")).sum()
    expected = np.sqrt(np.pi / 2) * answer / (6 * (height - 2) * (width - 2))
    assert image_statistics.noise(grey) == pytest.approx(expected)


def test_what_has_no_inner_pixel_has_no_noise() -> None:
    assert image_statistics.noise(random(0, 2, 50)) == image_statistics.noise(random(0, 50, 1)) == 0


def test_blocks_of_one_level_each_have_steps_on_the_grid_alone() -> None:
    board = np.kron(np.indices((4, 4)).sum(axis=0) % 2 * 9, np.ones((8, 8))).astype(np.uint8)
    assert image_statistics.blockiness(board) == 10
    assert image_statistics.blockiness(np.full((16, 16), 7, np.uint8)) == 1
    assert image_statistics.blockiness(board[:15]) is None


def test_blockiness_rises_as_the_quality_of_a_jpeg_falls() -> None:
    picture = photo(0).convert("L")

    def at(quality: int) -> float:
        content = io.BytesIO()
        picture.save(content, "JPEG", quality=quality)
        return image_statistics.blockiness(np.asarray(Image.open(content))) or 0

    assert image_statistics.blockiness(np.asarray(picture)) == pytest.approx(1, abs=0.02)
    assert at(90) < at(50) < at(30) < at(10)
    assert at(30) > 1.2


@pytest.mark.parametrize("turns", range(4))
def test_rest_of_a_picture_that_stopped_is_flat_and_black_bars_are_not(turns: int) -> None:
    levels = random(1, 50, 40)
    levels[30:] = 128
    assert image_statistics.flat_share(np.rot90(levels, turns)) == 0.4
    for level in (0, 7, 248, 255):
        levels[30:] = level
        assert image_statistics.flat_share(np.rot90(levels, turns)) == 0


def test_rest_that_begins_within_a_row_of_blocks_is_flat() -> None:
    levels = random(1, 64, 64)
    levels[40:], levels[32:40, 24:] = 128, 128
    assert image_statistics.flat_share(levels) == 24 / 64


def test_sky_is_not_cut_off() -> None:
    sky = np.full((200, 300), 180, np.uint8)
    sky[80:110, 120:180] = random(2, 30, 60)  # a bird
    assert image_statistics.flat_share(sky) == 0
    small = np.full((32, 32), 180, np.uint8)
    small[16:24, 10:22] = random(3, 8, 12)  # a third of the rows: a few blocks are flat in any sky
    assert image_statistics.flat_share(small) == 0


def test_ground_that_a_thing_was_pasted_on_is_no_rest() -> None:
    pasted = np.full((80, 100), 109, np.uint8)
    pasted[9:72] = random(4, 63, 100)  # from edge to edge: what lies beyond the ground is cut off sharply
    assert image_statistics.flat_share(pasted) == 0
    pasted[72:] = random(5, 8, 100)
    assert image_statistics.flat_share(pasted) == 9 / 80


def test_constant_image_is_no_rest() -> None:
    assert image_statistics.flat_share(np.full((40, 40), 128, np.uint8)) == 0


def test_means_of_the_channels() -> None:
    red = np.zeros((4, 5, 3), np.uint8)
    red[..., 0], red[0, 0, 2] = 200, 40
    found = image_statistics.of_colours(np.moveaxis(red, -1, 0))
    assert (found["red"], found["green"], found["blue"]) == (200, 0, 2)


def test_border_goes_clockwise_and_the_centre_has_as_many_pixels() -> None:
    small = np.arange(256, dtype=np.uint8).reshape(16, 16)
    border, centre = image_statistics.border_and_centre(np.kron(small, np.ones((2, 2), np.uint8)))
    assert len(border) == len(centre) == 60
    assert [border[at] for at in (0, 1, 15, 16, 30, 31, 45, 46, 59)] == [0, 1, 15, 31, 255, 254, 240, 224, 16]
    ring = np.ones((16, 16), bool)
    ring[1:-1, 1:-1] = False
    assert sorted(border) == sorted(small[ring])
    inner = small[4:12, 4:12].ravel()
    assert list(centre) == list(inner[[*range(1, 7), *range(8, 56), *range(57, 63)]])


def test_border_is_that_of_a_copy_of_half_the_size() -> None:
    thumbnail = random(3, 32, 32)
    small = np.asarray(Image.fromarray(thumbnail).reduce(2))
    border, _ = image_statistics.border_and_centre(thumbnail)
    assert list(border[:16]) == list(small[0])
    assert list(border[30:46]) == list(small[-1, ::-1])


@pytest.mark.parametrize("quality", [1, 5, 10, 30, 50, 75, 85, 95, 99, 100])
def test_quality_is_the_one_that_a_jpeg_was_saved_with(quality: int) -> None:
    content = io.BytesIO()
    photo(0).filter(ImageFilter.BLUR).save(content, "JPEG", quality=quality)
    tables = Image.open(content).quantization  # type: ignore[attr-defined]
    assert image_statistics.jpeg_quality(list(tables[0])) == quality


def test_pixels_are_clipped_where_any_channel_has_reached_its_end() -> None:
    pixels = np.array([[[255, 255, 255], [253, 0, 0]], [[252, 252, 252], [0, 90, 254]]], np.uint8)
    assert image_statistics.of_colours(np.moveaxis(pixels, -1, 0))["clipped_share"] == 0.75
    assert image_statistics.of_colours(np.zeros((3, 5, 4), np.uint8))["clipped_share"] == 0
