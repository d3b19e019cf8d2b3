"""Resizing: known answers, what holds for every size, and what a JPEG of reduced scale loses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from photos import photo, turned
from pictures import encode, grey
from PIL import Image

from assay.images import decode, resizing

RESIZES: tuple[resizing.Resize, ...] = ("stretch", "pad", "crop")
sides = st.integers(1, 90)
sizes = st.tuples(sides, sides)


def prepare(content: bytes, canvas: resizing.Size, how: resizing.Resize, colour: decode.Colour = "grey") -> np.ndarray:
    pixels = decode.prepare(content, height_px=canvas[1], width_px=canvas[0], colour=colour, resize=how)
    return pixels[..., 0] if colour == "grey" else pixels


WIDE = encode(grey([10, 20, 30, 40], [50, 60, 70, 80]))


def test_pad_keeps_every_pixel_and_leaves_black_above_and_below() -> None:
    assert prepare(WIDE, (4, 4), "pad").tolist() == [[0] * 4, [10, 20, 30, 40], [50, 60, 70, 80], [0] * 4]


def test_odd_pixel_of_the_padding_lies_below() -> None:
    assert prepare(WIDE, (4, 3), "pad").tolist() == [[10, 20, 30, 40], [50, 60, 70, 80], [0] * 4]


def test_crop_keeps_the_middle_as_it_is() -> None:
    assert prepare(WIDE, (2, 2), "crop").tolist() == [[20, 30], [60, 70]]


def test_stretch_uses_the_whole_picture() -> None:
    assert prepare(WIDE, (4, 2), "stretch").tolist() == [[10, 20, 30, 40], [50, 60, 70, 80]]
    assert prepare(encode(grey([0, 0, 200, 200])), (2, 4), "stretch")[:, 0].tolist() == pytest.approx([0] * 4, abs=30)


def test_orientation_is_applied_before_the_middle_is_taken() -> None:
    tall = prepare(encode(grey([10, 20, 30, 40], [50, 60, 70, 80]), exif=turned(6)), (2, 2), "crop")
    assert tall.tolist() == [[60, 20], [70, 30]]


@settings(max_examples=150, deadline=None)
@given(sizes, sizes, st.sampled_from(RESIZES), st.sampled_from(["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "LA"]),
       st.sampled_from(["grey", "rgb"]), st.integers(1, 8))  # fmt: skip
def test_every_image_gets_the_size_asked_for(
    size: resizing.Size, canvas: resizing.Size, how: resizing.Resize, mode: str, colour: decode.Colour, orientation: int
) -> None:
    picture = Image.frombytes(mode, size, np.random.default_rng(0).bytes(size[0] * size[1] * 4))
    content = encode(picture, "TIFF" if mode == "CMYK" else "PNG", exif=turned(orientation))
    pixels = decode.prepare(content, height_px=canvas[1], width_px=canvas[0], colour=colour, resize=how)
    assert pixels.shape == (canvas[1], canvas[0], 1 if colour == "grey" else 3)
    assert pixels.dtype == np.uint8


@given(sizes, sizes, st.sampled_from(RESIZES))
def test_plan_keeps_the_aspect_lies_inside_and_is_symmetric(
    size: resizing.Size, canvas: resizing.Size, how: resizing.Resize
) -> None:
    planned = resizing.plan(size, canvas, how)
    (left, top, right, bottom), (across, down) = planned.box, planned.inside
    assert 0 <= left < right <= size[0] + 1e-9 and 0 <= top < bottom <= size[1] + 1e-9
    assert (left, top) == pytest.approx((size[0] - right, size[1] - bottom), abs=1e-9)
    for axis in (0, 1):
        rest = canvas[axis] - planned.inside[axis] - planned.corner[axis]
        assert 0 <= rest - planned.corner[axis] <= 1
    if how == "crop":
        assert (right - left) * canvas[1] == pytest.approx((bottom - top) * canvas[0])
        assert left == 0 or top == 0
    if how == "pad":
        factor = min(canvas[0] / size[0], canvas[1] / size[1])
        assert abs(across - size[0] * factor) <= 0.5 or across == 1
        assert abs(down - size[1] * factor) <= 0.5 or down == 1
        assert across == canvas[0] or down == canvas[1]


@given(sizes, st.integers(1, 4), st.integers(1, 4))
def test_picture_of_the_canvas_shape_is_treated_alike_by_all(size: resizing.Size, over: int, under: int) -> None:
    original, canvas = (size[0] * over, size[1] * over), (size[0] * under, size[1] * under)
    plans = [resizing.plan(original, canvas, how) for how in RESIZES]
    assert {(each.inside, each.corner) for each in plans} == {(canvas, (0, 0))}
    assert all(each.box == pytest.approx((0, 0, *original), abs=1e-9) for each in plans)


@settings(max_examples=60, deadline=None)
@given(sizes, sizes, st.sampled_from(RESIZES), st.integers(0, 9))
def test_mirrored_picture_gives_the_mirrored_pixels(
    size: resizing.Size, canvas: resizing.Size, how: resizing.Resize, seed: int
) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, size[::-1], np.uint8)
    one, other = (prepare(encode(Image.fromarray(each)), canvas, how) for each in (picture, picture[:, ::-1]))
    planned = resizing.plan(size, canvas, how)
    if (canvas[0] - planned.inside[0]) % 2 == 0:
        assert np.abs(one.astype(int) - other[:, ::-1]).max() <= 1


@settings(max_examples=60, deadline=None)
@given(sizes, sizes, st.integers(1, 255))
def test_padding_is_black_and_nothing_else_is(size: resizing.Size, canvas: resizing.Size, level: int) -> None:
    pixels = prepare(encode(Image.new("L", size, level)), canvas, "pad")
    planned = resizing.plan(size, canvas, "pad")
    assert sorted(np.unique(pixels).tolist()) in ([level], [0, level])
    assert (pixels == level).sum() == planned.inside[0] * planned.inside[1]


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.integers(1, 8), st.sampled_from(RESIZES), st.tuples(st.integers(300, 420), st.integers(300, 420)))
def test_jpeg_of_reduced_scale_is_close_to_a_full_decode_however_it_is_turned(
    orientation: int, how: resizing.Resize, size: resizing.Size
) -> None:
    content = encode(photo(0, *size), "JPEG", quality=90, exif=turned(orientation))
    full = encode(decode.decode(content))
    canvas = (30, 40)
    assert resizing.jpeg_scale(resizing.plan(size, canvas, how)) > 1
    seen = np.abs(prepare(content, canvas, how, "rgb").astype(int) - prepare(full, canvas, how, "rgb"))
    assert seen.mean() <= 0.5
    assert seen.max() <= 4


@pytest.mark.parametrize("how", RESIZES)
def test_reduced_scale_loses_little_of_the_hardest_picture(how: resizing.Resize) -> None:
    squares = ((np.indices((811, 1003)) // 37).sum(axis=0) % 2 * 255).astype(np.uint8)
    content = encode(Image.fromarray(squares), "JPEG", quality=95)
    seen = np.abs(
        prepare(content, (64, 64), how).astype(int) - prepare(encode(Image.fromarray(squares)), (64, 64), how)
    )
    assert seen.mean() <= 2
    assert seen.max() <= 10


@given(st.integers(1, 4000), st.integers(1, 4000), sizes, st.sampled_from(RESIZES))
def test_reduced_scale_leaves_two_pixels_for_each_wanted_one(
    width: int, height: int, canvas: resizing.Size, how: resizing.Resize
) -> None:
    planned = resizing.plan((width, height), canvas, how)
    scale = resizing.jpeg_scale(planned)
    left, top, right, bottom = planned.box
    fits = [
        s for s in (8, 4, 2) if right - left >= s * 2 * planned.inside[0] and bottom - top >= s * 2 * planned.inside[1]
    ]
    assert scale == max(fits, default=1)


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("size", [(128, 256), (129, 255), (135, 263), (1000, 801)])
def test_pillow_decodes_at_the_scale_that_was_asked_for(scale: int, size: resizing.Size) -> None:
    with decode.opened(encode(Image.new("L", size), "JPEG")) as source:
        source.draft(None, (size[0] // scale, size[1] // scale))
        assert decode.load(source).size == tuple(-(-side // scale) for side in size)
