"""Colours of embedded profiles, against the formulas of colorimetry."""

import io

import icc_profiles as profiles
import numpy as np
import pytest
from pictures import encode
from PIL import Image, ImageCms

from assay.images import colour, decode

COLOURS = [(0, 0, 0), (255, 255, 255), (128, 128, 128), (200, 120, 90), (60, 140, 80), (40, 60, 160), (220, 200, 40)]
# Two percent of the light or less is left, so black point compensation has something to do.
INKS = {
    (c, m, y, k): (max(5.0, 100 - 90 * k - 12 * (c + m) - 3 * y), 30.0 * m - 20 * c, 50.0 * y - 30 * c)
    for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)
}  # fmt: skip


def row(mode: str, colours: list[tuple[int, ...]]) -> Image.Image:
    return Image.frombytes(mode, (len(colours), 1), np.array(colours, np.uint8).tobytes())


def shown(content: bytes) -> np.ndarray:
    return np.asarray(decode.to_rgb(decode.decode(content)), np.float64)[0]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize(("primaries", "gamma"), [(profiles.ADOBE_RGB, 563 / 256), (profiles.DISPLAY_P3, 2.2)])
def test_colours_of_a_profile_are_those_of_its_primaries(kind: str, primaries: np.ndarray, gamma: float) -> None:
    content = encode(row("RGB", COLOURS), kind, icc_profile=profiles.rgb_profile(primaries, gamma), lossless=True)
    expected = [profiles.in_srgb(colour, primaries, gamma) for colour in COLOURS]
    assert np.abs(shown(content) - expected).max() <= 1.6
    assert np.abs(np.array(COLOURS) - expected).max() > 10  # to leave them as they are would show


def test_photo_in_adobe_rgb_is_converted_and_jpeg_keeps_the_profile_at_every_scale() -> None:
    profile = profiles.rgb_profile(profiles.ADOBE_RGB, 563 / 256)
    content = encode(Image.new("RGB", (640, 480), (60, 140, 80)), "JPEG", icc_profile=profile, quality=95)
    expected = profiles.in_srgb((60, 140, 80), profiles.ADOBE_RGB, 563 / 256)
    whole = decode.prepare(content, height_px=480, width_px=640, colour="rgb", resize="stretch")
    small = decode.prepare(content, height_px=8, width_px=8, colour="rgb", resize="stretch")
    assert np.abs(whole - expected).max() <= 3
    assert np.abs(small - expected).max() <= 3


def test_grey_of_another_gamma_becomes_grey_of_srgb() -> None:
    levels = [0, 30, 90, 128, 200, 255]
    content = encode(row("L", [(level,) for level in levels]), "PNG", icc_profile=profiles.grey_profile(1.0))
    expected = profiles.encoded(np.array(levels) / 255)
    assert np.abs(shown(content) - expected[:, None]).max() <= 1
    assert decode.prepare(content, height_px=1, width_px=6, colour="grey", resize="stretch")[0, :, 0] == pytest.approx(
        expected, abs=1
    )


def test_inks_are_looked_up_in_the_profile_and_black_ink_is_black() -> None:
    corners = [(0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0), (0, 0, 0, 255)]
    content = encode(row("CMYK", corners), "TIFF", icc_profile=profiles.cmyk_profile(INKS))
    white, cyan, magenta, yellow, black = shown(content)
    assert np.abs(white - 255).max() <= 2
    # Lab (88, -20, -30) and so on, by the CIE's formulas; half a level of Lab's 8 bits is about one of sRGB.
    for seen, ink in ((cyan, (1, 0, 0, 0)), (magenta, (0, 1, 0, 0)), (yellow, (0, 0, 1, 0))):
        assert np.abs(seen - lab_in_srgb(INKS[ink])).max() <= 6
    assert black.max() < lab_in_srgb(INKS[0, 0, 0, 1]).max() + 2
    assert shown(encode(row("CMYK", corners), "TIFF")).tolist() != [white.tolist(), cyan.tolist()]


def lab_in_srgb(lab: tuple[float, float, float]) -> np.ndarray:
    """Return a colour of CIE Lab (D50) in sRGB, [3] in [0, 255]."""
    light, a, b = lab
    y = (light + 16) / 116
    ratios = [t**3 if t > 6 / 29 else 3 * (6 / 29) ** 2 * (t - 4 / 29) for t in (y + a / 500, y, y - b / 200)]
    return profiles.encoded(np.linalg.inv(profiles.SRGB) @ (np.array(ratios) * profiles.WHITE))


def test_clear_parts_of_an_image_with_a_profile_are_white_and_the_rest_is_converted() -> None:
    profile = profiles.rgb_profile(profiles.ADOBE_RGB, 563 / 256)
    content = encode(row("RGBA", [(60, 140, 80, 0), (60, 140, 80, 255)]), icc_profile=profile)
    clear, solid = shown(content)
    assert clear.tolist() == [255, 255, 255]
    assert np.abs(solid - profiles.in_srgb((60, 140, 80), profiles.ADOBE_RGB, 563 / 256)).max() <= 1.6


def test_palette_with_a_profile_is_converted() -> None:
    profile = profiles.rgb_profile(profiles.ADOBE_RGB, 563 / 256)
    picture = Image.new("RGB", (2, 1), (60, 140, 80)).quantize()
    expected = profiles.in_srgb((60, 140, 80), profiles.ADOBE_RGB, 563 / 256)
    assert np.abs(shown(encode(picture, icc_profile=profile)) - expected).max() <= 1.6


def test_grey_with_alpha_keeps_its_grey_profile() -> None:
    clear, solid = shown(encode(row("LA", [(90, 0), (90, 255)]), icc_profile=profiles.grey_profile(1.0)))
    assert clear.tolist() == [255, 255, 255]
    assert solid == pytest.approx(profiles.encoded(np.full(3, 90 / 255)), abs=1)


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_srgb_under_any_name_costs_no_transform(mode: str) -> None:
    profile = SRGB if mode == "RGB" else profiles.grey_profile(2.2)
    picture = Image.effect_noise((9, 9), 80).convert(mode)
    if mode == "RGB":
        assert colour._transform(profile, mode) is None
        assert colour.to_srgb(picture, profile) is picture


@pytest.mark.parametrize(
    "profile",
    [b"", b"no profile", SRGB[:200], SRGB[:-400], bytes(4000), profiles.grey_profile(1.8), profiles.cmyk_profile(INKS)],
    ids=["empty", "text", "cut", "cut late", "zeros", "of a grey image", "of inks"],
)
def test_profile_that_is_broken_or_of_another_kind_is_passed_over(profile: bytes) -> None:
    content = encode(row("RGB", COLOURS), icc_profile=profile)
    assert shown(content).tolist() == [list(colour) for colour in COLOURS]


def test_profile_is_looked_at_once() -> None:
    colour._transform.cache_clear()
    for _ in range(5):
        shown(encode(row("RGB", COLOURS), icc_profile=profiles.rgb_profile(profiles.DISPLAY_P3, 2.2)))
    assert colour._transform.cache_info().misses == 1


def test_lab_of_a_tiff_becomes_srgb() -> None:
    picture = row("LAB", [(255, 0, 0), (136, 0, 0)])  # a and b of a file are signed
    content = io.BytesIO()
    picture.save(content, "TIFF")
    white, grey = shown(content.getvalue())
    assert np.abs(white - 255).max() <= 1
    assert np.abs(grey - grey.mean()).max() <= 2
