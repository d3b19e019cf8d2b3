import dataclasses
import hashlib
import io
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from checkouts import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from photos import photo, turned
from pictures import BROKEN, encode, grey
from PIL import Image, ImageEnhance
from scipy.fft import dctn

from assay.images import decode as image
from assay.ingestion.image_statistics import of_colours, sharpness
from assay.ingestion.measure import SIDE_PX, Measurements, camera, decode, measure, measurements, phashes
from assay.sources.formats import named_format
from assay.validation.profile import properties

STATISTICS = {"brightness": 255, "contrast": 127.5, "entropy": 8, "black_share": 1, "white_share": 1}
STATISTICS |= {"sharpness": 1020, "saturation": 1}


def flat(level: int, side_px: int = 16) -> Image.Image:
    return Image.new("L", (side_px, side_px), level)


def seen(picture: Image.Image, *names: str) -> list[Any]:
    measured = measure(encode(picture))
    return [getattr(measured, name) for name in names]


def distance(one: str | None, other: str | None) -> int:
    assert one is not None
    assert other is not None
    return (int(one, 16) ^ int(other, 16)).bit_count()


@pytest.mark.parametrize(("level", "black", "white"), [(0, 1, 0), (7, 1, 0), (8, 0, 0), (247, 0, 0), (248, 0, 1)])
def test_flat_image_is_its_level_and_nothing_else(level: int, black: int, white: int) -> None:
    assert seen(flat(level), *STATISTICS) == [level, 0, 0, black, white, 0, 0]


def test_two_levels_of_which_one_fills_a_quarter() -> None:
    measured = measure(encode(grey([40, 200], [40, 40])))
    assert measured.brightness == 80
    assert measured.contrast == round((0.25 * 120**2 + 0.75 * 40**2) ** 0.5, 4)
    assert measured.entropy == round(0.25 * 2 + 0.75 * np.log2(4 / 3), 4)


def test_every_level_once_has_eight_bits_of_entropy() -> None:
    assert seen(Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)), "entropy") == [8]


def test_checkerboard_is_as_sharp_as_can_be() -> None:
    board = Image.fromarray((np.indices((18, 18)).sum(axis=0) % 2 * 255).astype(np.uint8))
    assert seen(board, *STATISTICS) == [127.5, 127.5, 1, 0.5, 0.5, 1020, 0]


def test_sharpness_is_the_spread_of_the_second_derivative() -> None:
    ramp = np.arange(8, dtype=np.uint8)
    assert sharpness(np.tile(ramp, (8, 1))) == 0
    dot = np.zeros((5, 5), np.uint8)
    dot[2, 2] = 10  # in the nine inner pixels: 40 once, -10 four times, 0 four times
    assert sharpness(dot) == pytest.approx(np.std([40, -10, -10, -10, -10, 0, 0, 0, 0]))
    assert sharpness(np.zeros((2, 9), np.uint8)) == 0


def test_blur_lowers_sharpness_at_every_size() -> None:
    for size in [(500, 400), (1500, 1200)]:
        fine = np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8)
        sharp = Image.fromarray(fine).resize(size, Image.Resampling.BICUBIC)
        dull = sharp.resize((25, 20), Image.Resampling.BOX).resize(size, Image.Resampling.BICUBIC)
        assert seen(dull, "sharpness")[0] < 0.5 * seen(sharp, "sharpness")[0]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_saturation_is_that_of_hsv(seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 7, 3), np.uint8)
    # Pillow's S is a whole number of 255ths, cut off.
    theirs = np.asarray(Image.fromarray(pixels).convert("HSV"))[..., 1].mean() / 255
    assert 0 <= of_colours(np.moveaxis(pixels, -1, 0))["saturation"] - theirs <= 1 / 255


def test_saturation_of_pure_and_mixed_colours() -> None:
    pixels = np.array([[[255, 0, 0], [0, 0, 0], [90, 90, 90], [100, 50, 75]]], np.uint8)
    assert of_colours(np.moveaxis(pixels, -1, 0))["saturation"] == (1 + 0 + 0 + 0.5) / 4


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_phash_is_the_sign_of_the_lowest_frequencies_about_their_median(seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32), np.uint8)
    low = dctn(pixels.astype(float), type=2)[:8, :8].ravel()
    expected = "".join("1" if frequency > np.median(low) else "0" for frequency in low)
    # The cosines are rounded, so a frequency next to the median may fall on its other side.
    assert distance(phashes([Image.fromarray(pixels)])[0], f"{int(expected, 2):016x}") <= 2


def test_phash_of_flat_images_is_no_noise() -> None:
    sides = [flat(level, side_px) for level in (1, 99, 255) for side_px in (1, 5, 96)]
    assert phashes([*sides, flat(0)]) == ["8" + "0" * 15] * 9 + ["0" * 16]


@pytest.mark.parametrize("seed", range(5))
def test_phash_of_near_copies_differs_in_few_bits(seed: int) -> None:
    picture = photo(seed)
    known = measure(encode(picture)).phash
    copies = {
        "smaller": encode(picture.resize((250, 200))),
        "larger": encode(picture.resize((900, 720))),
        "jpeg": encode(picture, "JPEG", quality=60),
        "brighter": encode(ImageEnhance.Brightness(picture).enhance(1.2)),
        "grey": encode(picture.convert("L")),
    }
    assert {name: distance(known, measure(copy).phash) for name, copy in copies.items()} == {
        name: pytest.approx(0, abs=6) for name in copies
    }
    assert distance(known, measure(encode(photo(seed + 100))).phash) > 16


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "LA"]),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["noise", "white", "black"]),
)
def test_every_image_has_every_measurement_in_its_range(mode: str, size: tuple[int, int], seed: int, of: str) -> None:
    bytes_of = {"noise": np.random.default_rng(seed).bytes, "white": lambda n: b"\xff" * n, "black": bytes}[of]
    picture = Image.frombytes(mode, size, bytes_of(size[0] * size[1] * 4))
    measured = dataclasses.asdict(measure(encode(picture, "TIFF" if mode == "CMYK" else "PNG"), "a.png"))
    unknown = {name for name, value in measured.items() if value is None}
    assert unknown <= {"jpeg_quality", "camera"} | ({"blockiness"} if min(size) < 16 else set())
    assert all(0 <= measured[name] <= most for name, most in STATISTICS.items())
    assert (measured["width_px"], measured["height_px"]) == size


def test_statistics_of_a_jpeg_are_those_of_its_lossless_copy() -> None:
    for quality, size in [(95, (500, 400)), (95, (1600, 1200))]:
        content = encode(photo(3, *size), "JPEG", quality=quality)
        jpeg, png = measure(content), measure(encode(Image.open(io.BytesIO(content))))
        for name, most in STATISTICS.items():
            assert getattr(jpeg, name) == pytest.approx(getattr(png, name), abs=0.02 * most), name


@pytest.mark.parametrize(
    ("make", "model", "expected"),
    [
        ("Canon", "Canon EOS 80D", "Canon EOS 80D"),
        ("NIKON CORPORATION", "NIKON D90", "NIKON CORPORATION NIKON D90"),
        ("Apple\0", "iPhone  12 \n", "Apple iPhone 12"),
        (None, "X100", "X100"),
        ("Leica", None, "Leica"),
        (None, None, None),
        ("", " ", None),
        (b"x", 3, "b'x' 3"),
        ("a" * 99, None, "a" * 64),
    ],
)
def test_camera_is_what_exif_says(make: object, model: object, expected: str | None) -> None:
    assert camera(make, model) == expected


def test_camera_and_quality_of_a_jpeg_are_measured() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "Canon EOS 80D"
    measured = measure(encode(photo(0), "JPEG", quality=85, exif=exif))
    assert (measured.camera, measured.jpeg_quality) == ("Canon EOS 80D", 85)
    assert measure(encode(photo(0))).jpeg_quality is None


def test_smallest_and_largest_value_are_those_of_any_channel() -> None:
    pixels = np.full((300, 300, 3), 90, np.uint8)
    pixels[7, 8] = 3, 90, 200
    assert seen(Image.fromarray(pixels), "minimum", "maximum") == [3, 200]
    assert seen(Image.fromarray(np.eye(300, dtype=np.uint8)), "minimum", "maximum") == [0, 1]


def test_blockiness_is_not_seen_in_a_reduced_decode() -> None:
    saved = [encode(photo(0, *size), "JPEG", quality=20) for size in [(150, 120), (400, 400)]]
    small, large = (measure(content).blockiness for content in saved)
    assert small is not None and small > 1.1
    assert large is None


def test_copies_saved_in_another_way_share_their_pixels() -> None:
    picture = photo(1)
    ways = [encode(picture), encode(picture, compress_level=0), encode(picture, "BMP"), encode(picture, "TIFF")]
    assert len({measure(content).pixels for content in ways}) == 1
    marked = np.array(picture)
    marked[399, 499, 2] ^= 1
    assert measure(encode(Image.fromarray(marked))).pixels != measure(ways[0]).pixels


@pytest.mark.parametrize("size", [(150, 120), (500, 400)])
def test_jpegs_with_the_same_coefficients_share_their_pixels(size: tuple[int, int]) -> None:
    first = encode(photo(2, *size), "JPEG", quality=85)
    tables = {"qtables": Image.open(io.BytesIO(first)).quantization, "subsampling": "4:2:0"}  # type: ignore[attr-defined]
    picture = photo(2, *size)
    ways = [{"progressive": True}, {"optimize": True}, {"comment": "ours"}, {"exif": turned(1)}]
    others = [measure(encode(picture, "JPEG", **tables, **way)).pixels for way in ways]
    assert others == [measure(first).pixels] * len(ways)
    assert measure(encode(picture, "JPEG", quality=84)).pixels != measure(first).pixels


def test_pixels_of_a_small_jpeg_are_those_of_its_lossless_copy() -> None:
    content = encode(photo(2, 180, 150), "JPEG")
    decoded = image.decode(content)
    assert measure(content).pixels == measure(encode(decoded)).pixels
    assert measure(content).pixels == hashlib.sha256(b"180x150" + decoded.tobytes()).hexdigest()


def test_same_bytes_in_another_shape_are_other_pixels() -> None:
    wide, tall = grey([1, 2, 3, 4]), grey([1], [2], [3], [4])
    assert seen(wide, "pixels") != seen(tall, "pixels")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_is_that_of_the_upright_image(kind: str, orientation: int) -> None:
    measured = measure(encode(Image.new("RGB", (401, 200)), kind, exif=turned(orientation)))
    assert measured.orientation == orientation
    assert (measured.width_px, measured.height_px) == ((401, 200) if orientation < 5 else (200, 401))


def test_orientation_that_is_none_of_the_eight_is_one() -> None:
    assert measure(encode(grey([1, 2]), "JPEG", exif=turned(9))).orientation == 1


ODD: dict[str, tuple[bytes, dict[str, Any]]] = {
    "animation": (
        encode(flat(9), "GIF", save_all=True, append_images=[flat(90), flat(200)]),
        {"format": "GIF", "n_frames": 3, "brightness": 9},
    ),
    "two pages": (encode(flat(9), "TIFF", save_all=True, append_images=[flat(90)]), {"n_frames": 2, "brightness": 9}),
    "two pictures in a jpeg": (
        encode(photo(0), "MPO", save_all=True, append_images=[photo(1)]),
        {"format": "JPEG", "n_frames": 2, "width_px": 500},
    ),
    "cmyk": (
        encode(Image.new("CMYK", (300, 300), (0, 255, 255, 0)), "JPEG"),
        {"mode": "CMYK", "channels": 4, "bit_depth": 8, "width_px": 300},
    ),
    "16 bits": (
        encode(Image.fromarray(np.full((4, 4), 32768, np.uint16))),
        {"mode": "I;16", "channels": 1, "bit_depth": 16, "brightness": 128},
    ),
    "16 bits tiff": (encode(Image.fromarray(np.full((4, 4), 32768, np.uint16)), "TIFF"), {"bit_depth": 16}),
    "1 bit": (encode(Image.new("1", (9, 9), 1)), {"mode": "1", "bit_depth": 1, "white_share": 1}),
    "1 bit tiff": (encode(Image.new("1", (9, 9), 1), "TIFF"), {"bit_depth": 1}),
    "2 bits": (encode(flat(0).convert("P"), bits=2), {"mode": "P", "channels": 1, "bit_depth": 2}),
    "palette with a clear colour": (
        encode(Image.new("P", (4, 4), 0), "PNG", transparency=0),
        {"mode": "P", "brightness": 255, "white_share": 1},
    ),
    "clear": (encode(Image.new("RGBA", (4, 4), (0, 0, 0, 0))), {"channels": 4, "brightness": 255}),
    "one pixel": (encode(grey([77])), {"width_px": 1, "height_px": 1, "brightness": 77, "entropy": 0}),
    "one row": (encode(Image.new("L", (5000, 1), 3), "JPEG"), {"width_px": 5000, "height_px": 1, "brightness": 3}),
    "huge": (encode(Image.new("1", (9000, 9000))), {"decodable": True, "width_px": 9000, "black_share": 1}),
}


@pytest.mark.parametrize(("content", "expected"), ODD.values(), ids=ODD.keys())
def test_odd_image_is_a_row_that_says_what_it_is(content: bytes, expected: dict[str, Any]) -> None:
    measured = dataclasses.asdict(measure(content))
    assert {name: measured[name] for name in expected} == expected


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_what_cannot_be_decoded_is_a_row_with_a_reason(content: bytes, reason: str) -> None:
    measured = measure(content, "a.jpg")
    assert reason in measured.reason.lower()
    assert measured == Measurements(decodable=False, reason=measured.reason, named_format="JPEG")


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("side_px", [24, 8 * SIDE_PX])
def test_no_cut_jpeg_is_decodable(side_px: int, progressive: bool) -> None:
    whole = encode(Image.effect_noise((24, 24), 80).resize((side_px, side_px)), "JPEG", progressive=progressive)
    end = len(whole) - 2  # the marker of the end, without which nothing is lost
    lengths = range(end) if side_px == 24 else [*range(0, end, end // 40), *range(end - 20, end)]
    assert [length for length in lengths if measure(whole[:length]).decodable] == []


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_rotten_jpeg_is_decodable_when_a_full_decode_is(seed: int, progressive: bool) -> None:
    rng, rotten = np.random.default_rng(seed), bytearray(encode(photo(0, 220, 200), "JPEG", progressive=progressive))
    for place in rng.integers(0, len(rotten), 3):
        rotten[place] ^= 1 << int(rng.integers(8))
    try:
        image.decode(bytes(rotten))
    except image.Undecodable as error:
        assert measure(bytes(rotten)).reason == str(error)
    else:
        assert measure(bytes(rotten)).decodable


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("cat/1.jpg", "JPEG"), ("A.JPEG", "JPEG"), ("a.mpo", "JPEG"), ("a.jpg.png", "PNG"), ("a.tif", "TIFF"),
        ("a.webp", "WEBP"), ("a", None), ("", None), ("a.txt", None), (".jpg", None), ("jpg/a", None),
    ],
)  # fmt: skip
def test_suffix_says_the_format(name: str, kind: str | None) -> None:
    assert named_format(name) == kind


def test_wrong_extension_shows() -> None:
    measured = measure(encode(grey([1])), "cat/1.jpg")
    assert (measured.named_format, measured.format) == ("JPEG", "PNG")


def test_images_measured_together_are_each_what_it_is_alone() -> None:
    contents = [encode(photo(1), "JPEG"), b"broken", encode(flat(7), "PNG"), b"", encode(photo(2, 40, 300), "PNG")]
    together = measurements([decode(content, "a.jpg") for content in contents])
    assert together == [measure(content, "a.jpg") for content in contents]
    assert [each.decodable for each in together] == [True, False, True, False, True]
    assert measurements([]) == []


def test_another_process_measures_the_same() -> None:
    content = encode(photo(7), "JPEG")
    told = "import sys; from assay.ingestion.measure import measure; print(measure(sys.stdin.buffer.read(), 'a.jpg'))"
    done = subprocess.run([sys.executable, "-c", told], input=content, capture_output=True, cwd=ROOT, check=True)
    assert done.stdout.decode().strip() == str(measure(content, "a.jpg"))


def test_every_property_has_words_for_people() -> None:
    assert set(properties.WORDS) == set(properties.NAMES)
