import dataclasses

import numpy as np
import pytest
from checkouts import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.training import augment
from assay.training.augment import PRESETS, Strengths
from assay.training.tensors import tf


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)


def changed(images: np.ndarray, seed: int = 1, **strengths: object) -> np.ndarray:
    return np.asarray(augment.apply(tf.constant(images), tf.constant([seed, 0], tf.int64), Strengths(**strengths)))


def moved(images: np.ndarray, **how: float | bool) -> np.ndarray:
    n = len(images)
    floats = {"angle_rad": 0.0, "zoom": 1.0, "shear": 0.0, "right_px": 0.0, "down_px": 0.0} | how
    flags = {key: tf.fill([n], bool(floats.pop(key, False))) for key in ("mirror", "upend")}
    pixels = tf.constant(images.astype(np.float32))
    return np.asarray(augment.warp(pixels, **{key: tf.fill([n], value) for key, value in floats.items()}, **flags))


def tinted(images: np.ndarray, **how: object) -> np.ndarray:
    n = len(images)
    plain = {"brightness": 0.0, "contrast": 1.0, "saturation": 1.0} | how
    gains = tf.constant([plain.pop("gains", (1.0, 1.0, 1.0))] * n)
    filled = {key: tf.fill([n], value) for key, value in plain.items()}
    return np.asarray(augment.tint(tf.constant(images.astype(np.float32)), **filled, gains=gains))


def test_without_change_the_images_stay_as_they_are(images: np.ndarray) -> None:
    np.testing.assert_array_equal(changed(images), images)
    assert augment.changes_nothing(PRESETS["none"])
    assert not any(augment.changes_nothing(PRESETS[name]) for name in ("light", "medium", "strong"))


@pytest.mark.parametrize("quarters", [1, 2, -1])
def test_rotation_by_right_angles_is_that_of_numpy(images: np.ndarray, quarters: int) -> None:
    turned = moved(images, angle_rad=quarters * np.pi / 2)
    np.testing.assert_allclose(turned, np.rot90(images, quarters, axes=(1, 2)), atol=0.01)


def test_mirror_and_upend_are_the_flips_of_numpy(images: np.ndarray) -> None:
    np.testing.assert_array_equal(moved(images, mirror=True), np.flip(images, 2))
    np.testing.assert_array_equal(moved(images, upend=True), np.flip(images, 1))


def test_shift_moves_a_bright_pixel_right_and_down() -> None:
    image = np.zeros((1, 9, 9, 1), np.uint8)
    image[0, 4, 4] = 200
    shifted = moved(image, right_px=3.0, down_px=-2.0)
    assert np.argwhere(shifted[0, :, :, 0]).tolist() == [[2, 7]]
    assert shifted[0, 2, 7] == 200


def test_shift_is_never_more_than_its_share() -> None:
    image = np.zeros((50, 21, 21, 1), np.uint8)
    image[:, 10, 10] = 255
    found = np.argwhere(changed(image, shift_share=0.2)[..., 0] > 0)[:, 1:] - 10
    assert np.abs(found).max() <= np.ceil(0.2 * 21)
    assert len(np.unique(found)) > 5


def test_shift_alone_keeps_every_pixel_as_it_is() -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 20, 20, 3), dtype=np.uint8)
    found = changed(image, shift_share=0.2, flip="both")
    ways = np.concatenate([image, image[:, ::-1], image[:, :, ::-1], image[:, ::-1, ::-1]])
    for n, each in enumerate(found):
        middle = each[5:15, 5:15]
        windows = np.lib.stride_tricks.sliding_window_view(ways[n::50], (10, 10), axis=(1, 2))
        assert (windows == middle.transpose(2, 0, 1)[None, None, None]).all(axis=(3, 4, 5)).sum() == 1


def test_every_second_image_is_neither_turned_nor_zoomed_nor_cut(images: np.ndarray) -> None:
    many = np.tile(images, (100, 1, 1, 1))
    found = changed(many, rotate_deg=30, zoom_share=0.2, shear_deg=20, crop_share=0.3)
    is_kept = (found == many).all(axis=(1, 2, 3))
    assert 0.45 < is_kept.mean() < 0.55
    assert (np.abs(found[~is_kept].astype(int) - many[~is_kept]).mean(axis=(1, 2, 3)) > 5).all()


def test_zoom_doubles_a_square() -> None:
    image = np.zeros((1, 16, 16, 1), np.uint8)
    image[0, 6:10, 6:10] = 255
    assert (moved(image, zoom=2.0) > 127).sum() == 64


def test_shear_leans_a_line_by_its_angle_and_leaves_the_middle_row() -> None:
    image = np.zeros((1, 21, 21, 1), np.uint8)
    image[0, :, 10] = 255
    leaning = moved(image, shear=1.0)[0, :, :, 0]
    columns = [int(row.argmax()) for row in leaning if row.max() > 0]
    assert int(leaning[10].argmax()) == 10
    assert set(np.diff(columns)) == {1}  # one pixel a row: 45 degrees


def test_a_crop_shows_part_of_the_image_and_nothing_of_its_border() -> None:
    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8)[None, None, :, None], (200, 64, 1, 1))
    cropped = changed(ramp, crop_share=0.5).astype(int)
    span = cropped[:, 32, -1, 0] - cropped[:, 32, 0, 0]
    assert span.min() >= 0.45 * 255  # never less than half of the side is left
    assert span.max() > 0.9 * 255
    steps = np.diff(cropped[:, 32, :, 0])
    assert (steps[:, [0, -1]] > 0).all()  # an edge that goes on would be flat
    assert cropped[:, 32, 0, 0].std() > 5  # another part each time


def test_brightness_is_one_step_for_a_whole_image_and_stops_at_the_ends() -> None:
    grey = np.full((30, 4, 4, 1), 128, np.uint8)
    shades = changed(grey, brightness_share=1.0)
    assert (shades == shades[:, :1, :1]).all()
    assert len(np.unique(shades)) > 10
    assert {0, 255} <= set(shades.ravel().tolist())


@pytest.mark.parametrize("channels", [1, 3])
def test_contrast_scales_the_deviation_and_keeps_the_mean(images: np.ndarray, channels: int) -> None:
    pixels = images[..., :channels].astype(np.float64)
    found = tinted(images[..., :channels], contrast=0.5)
    np.testing.assert_allclose(found.mean((1, 2)), pixels.mean((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(found.std((1, 2)), 0.5 * pixels.std((1, 2)), rtol=1e-4)


def test_saturation_and_gains_are_those_by_hand(images: np.ndarray) -> None:
    pixels = images.astype(np.float64)
    grey = np.repeat((pixels @ np.array(augment.GREY))[..., None], 3, axis=-1)
    np.testing.assert_allclose(tinted(images, saturation=0.0), grey, rtol=1e-4)
    np.testing.assert_allclose(tinted(images, saturation=1.5), 1.5 * pixels - 0.5 * grey, atol=1e-2)
    np.testing.assert_allclose(tinted(images, gains=(0.5, 1.0, 2.0)), pixels * [0.5, 1.0, 2.0], rtol=1e-4)
    both = pixels * 0.5
    by_hand = (both - both.mean((1, 2), keepdims=True)) * 2 + both.mean((1, 2), keepdims=True) + 7
    np.testing.assert_allclose(tinted(images, gains=(0.5,) * 3, contrast=2.0, brightness=7.0), by_hand, atol=1e-2)


def test_grey_images_have_no_colours_to_change() -> None:
    image = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), dtype=np.uint8)
    np.testing.assert_array_equal(changed(image, colour_share=1.0), image)


def test_noise_has_no_more_than_its_deviation_and_differs_between_images() -> None:
    grey = np.full((40, 32, 32, 3), 128, np.uint8)
    noise = changed(grey, noise_share=0.1).astype(int) - 128
    assert noise.std((1, 2, 3)).max() <= 0.1 * 255 * 1.05
    assert noise.std((1, 2, 3)).max() > 0.07 * 255
    assert abs(noise.mean((1, 2, 3))).max() < 2
    assert len({each.tobytes() for each in noise}) == 40


def test_cut_out_hides_a_rectangle_in_the_mean_colour() -> None:
    image = np.zeros((1, 10, 10, 1), np.float32)
    image[0, :5] = 100
    where = {"x_px": 4.0, "y_px": 4.0, "width_px": 4.0, "height_px": 2.0}
    found = np.asarray(augment.cut(tf.constant(image), **{key: tf.constant([value]) for key, value in where.items()}))
    expected = image.copy()
    expected[0, 3:5, 2:6] = 50
    np.testing.assert_array_equal(found, expected)


def test_cut_out_hides_no_more_than_its_share() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 40, 40, 1), dtype=np.uint8)
    hidden = (changed(image, cutout_share=0.5) != image).mean(axis=(1, 2, 3))
    assert hidden.max() <= 0.25
    assert hidden.max() > 0.1


@pytest.mark.parametrize(("flip", "axes"), [("horizontal", [2]), ("vertical", [1]), ("both", [1, 2, (1, 2)])])
def test_a_flip_leaves_or_turns_each_image(images: np.ndarray, flip: str, axes: list[int]) -> None:
    many = np.tile(images, (8, 1, 1, 1))
    flipped = changed(many, flip=flip)
    ways = [(flipped == way).all(axis=(1, 2, 3)) for way in (many, *(np.flip(many, axis) for axis in axes))]
    assert (np.sum(ways, axis=0) == 1).all()
    assert all(way.any() for way in ways)


def test_the_seed_decides_the_changes(images: np.ndarray) -> None:
    strong = dataclasses.asdict(PRESETS["strong"])
    one, two, other = changed(images, **strong), changed(images, **strong), changed(images, 2, **strong)
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(one, two)
    assert not (one == other).all()


SHARES = ("shift_share", "zoom_share", "crop_share", "brightness_share", "contrast_share", "colour_share")
ANY = {
    "flip": st.sampled_from(["none", "horizontal", "vertical", "both"]),
    "rotate_deg": st.sampled_from([0, 30]),
    "shear_deg": st.sampled_from([0, 20]),
    **dict.fromkeys((*SHARES, "noise_share", "cutout_share"), st.sampled_from([0.0, 0.1, 0.5])),
}


@settings(max_examples=20, deadline=None)
@given(st.fixed_dictionaries(ANY))
def test_any_strengths_give_images_of_the_same_kind(strengths: dict[str, object]) -> None:
    for channels in (1, 3):
        image = np.full((3, 7, 9, channels), 90, np.uint8)
        found = changed(image, **strengths)
        assert (found.dtype, found.shape) == (np.uint8, image.shape)
        if not any(strengths[name] for name in ("brightness_share", "colour_share", "noise_share")):
            np.testing.assert_array_equal(found, image)  # a flat image has nothing that could move or be hidden


def test_an_image_that_is_changed_in_graph_mode_is_the_same(images: np.ndarray) -> None:
    seed = tf.constant([1, 0], tf.int64)
    batches = tf.data.Dataset.from_tensors(tf.constant(images))
    (found,) = batches.map(lambda batch: augment.apply(batch, seed, PRESETS["strong"]))
    np.testing.assert_array_equal(found, changed(images, **dataclasses.asdict(PRESETS["strong"])))


def test_the_guide_has_the_strengths_of_the_presets() -> None:
    rows = [line.split("|") for line in (ROOT / "docs/training.md").read_text().splitlines()]
    wanted = [row for row in rows if len(row) == 7 and row[1].strip().endswith(("_share`", "_deg`"))]
    said = {row[1].strip(" `"): [float(cell) for cell in row[2:5]] for row in wanted}
    for number, name in enumerate(("light", "medium", "strong")):
        strengths = dataclasses.asdict(PRESETS[name])
        assert strengths.pop("flip") == "none"
        assert {key: values[number] for key, values in said.items()} == strengths
