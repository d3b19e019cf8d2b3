import io
import struct
from concurrent.futures import ThreadPoolExecutor

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


BROKEN = {
    "empty": (b"", "empty file"),
    "html": (b"<html>not found</html>", "not an image"),
    "cut jpeg": (encode(Image.new("RGB", (64, 64), "red"), "JPEG")[:-100], "truncated"),
    "cut png": (encode(Image.effect_noise((64, 64), 50))[:-200], "truncated"),
    "float": (encode(Image.new("F", (2, 2)), "TIFF"), "no known range"),
    "bomb": (encode(Image.new("1", (10000, 10000)), "PNG"), "decompression bomb: 100,000,000 pixels"),
    "huge bomb": (encode(Image.new("1", (20000, 20000)), "PNG"), "decompression bomb"),
}


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_what_cannot_be_decoded_raises_and_says_why(content: bytes, reason: str) -> None:
    with pytest.raises(image.Undecodable) as raised:
        image.decode(content)
    assert reason in str(raised.value).lower()


def test_bomb_is_refused_in_every_thread() -> None:
    bomb, sound = BROKEN["bomb"][0], encode(Image.new("L", (500, 500)))
    with ThreadPoolExecutor(8) as threads:
        refused = list(threads.map(is_refused, [bomb, sound] * 40))
    assert refused == [True, False] * 40


def is_refused(content: bytes) -> bool:
    try:
        image.decode(content)
    except image.Undecodable:
        return True
    return False


def test_whatever_goes_wrong_while_an_image_is_open_is_undecodable() -> None:
    with pytest.raises(image.Undecodable, match="no such tag"), image.opened(encode(grey([1]))):
        raise struct.error("no such tag")


def test_image_is_opened_without_decoding_its_pixels() -> None:
    with image.opened(BROKEN["cut png"][0]) as source:
        assert source.size == (64, 64)
