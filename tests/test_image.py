import io

import numpy as np
import pytest
from PIL import Image

from assay import image


def encode(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def grey(*rows: list[int]) -> Image.Image:
    return Image.fromarray(np.array(rows, np.uint8))


def prepare(content: bytes, colour: image.Colour = "grey", side_px: int = 2) -> list[object]:
    return image.prepare(content, height_px=side_px, width_px=side_px, colour=colour).squeeze().tolist()


def test_pixels_come_back_as_they_were() -> None:
    assert prepare(encode(grey([0, 255], [7, 130]))) == [[0, 255], [7, 130]]


def test_grey_and_rgb_have_one_and_three_channels() -> None:
    content = encode(grey([1, 2, 3], [4, 5, 6]))
    assert image.prepare(content, height_px=2, width_px=3, colour="grey").shape == (2, 3, 1)
    assert image.prepare(content, height_px=2, width_px=3, colour="rgb").shape == (2, 3, 3)


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # turned upside down
    assert prepare(encode(grey([0, 0], [0, 255]), exif=exif)) == [[255, 0], [0, 0]]


def test_transparency_lies_over_white() -> None:
    clear_and_black = Image.fromarray(np.array([[[0, 0, 0, 0], [0, 0, 0, 255]]] * 2, np.uint8))
    assert prepare(encode(clear_and_black)) == [[255, 0], [255, 0]]


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    deep = Image.fromarray(np.array([[0, 65535], [32768, 257]], np.uint16))
    assert prepare(encode(deep)) == [[0, 255], [128, 1]]


def test_palette_and_cmyk_become_rgb() -> None:
    red = Image.new("RGB", (2, 2), (255, 0, 0))
    assert prepare(encode(red.convert("P"), "GIF"), "rgb")[0][0] == [255, 0, 0]
    assert np.allclose(prepare(encode(red.convert("CMYK"), "JPEG", quality=100), "rgb")[0][0], [255, 0, 0], atol=6)


def test_copies_saved_in_another_way_share_their_pixels() -> None:
    picture = grey([0, 255], [7, 130])
    saved = [encode(picture), encode(picture, compress_level=0), encode(picture.convert("RGB"), "BMP")]
    assert len({image.measure(content).pixels for content in saved}) == 1


def test_same_bytes_in_another_shape_are_other_pixels() -> None:
    wide, tall = encode(grey([1, 2, 3, 4])), encode(grey([1], [2], [3], [4]))
    assert image.measure(wide).pixels != image.measure(tall).pixels


def test_size_is_that_of_the_upright_image() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    measured = image.measure(encode(grey([1, 2, 3]), "JPEG", exif=exif))
    assert (measured.width_px, measured.height_px, measured.format, measured.mode) == (1, 3, "JPEG", "L")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"<html>not found</html>", "not an image"),
        (encode(Image.new("RGB", (64, 64), "red"), "JPEG")[:-100], "truncated"),
        (encode(Image.effect_noise((64, 64), 50))[:-200], "truncated"),
        (encode(Image.new("F", (2, 2)), "TIFF"), "no known range"),
        (encode(Image.new("1", (20000, 20000)), "PNG"), "decompression bomb"),
    ],
    ids=["empty", "html", "cut jpeg", "cut png", "float", "bomb"],
)
def test_what_cannot_be_decoded_is_a_row_with_a_reason(content: bytes, reason: str) -> None:
    measured = image.measure(content)
    assert not measured.decodable
    assert reason in measured.reason.lower()
    assert measured.pixels is None


def test_every_cut_of_a_file_is_measured_and_none_raises() -> None:
    whole = encode(Image.effect_noise((24, 24), 80), "JPEG")
    assert [image.measure(whole[:length]).decodable for length in range(len(whole) - 2)] == [False] * (len(whole) - 2)
