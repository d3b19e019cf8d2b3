"""HEIC, the photos of phones: read where pillow-heif is installed, named where it is not."""

import sys
from collections.abc import Iterator

import numpy as np
import pillow_heif
import pytest
from pictures import encode
from PIL import Image

from assay.images import decode, kinds
from assay.ingestion import measure

HEAD = b"\x00\x00\x00\x18ftyp%s\x00\x00\x00\x00mif1heic"


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # to import it is an ImportError then
    kinds.reads_heic.cache_clear()
    yield
    kinds.reads_heic.cache_clear()


def photo() -> tuple[np.ndarray, bytes]:
    """Return the pixels of a picture of four colours, and its HEIC file."""
    colours = np.array([[[200, 30, 30], [30, 200, 30]], [[30, 30, 200], [220, 220, 40]]], np.uint8)
    pixels = colours.repeat(32, 0).repeat(48, 1)
    pillow_heif.register_heif_opener()
    return pixels, encode(Image.fromarray(pixels), "HEIF", quality=95)


def test_pixels_are_those_that_were_stored() -> None:
    pixels, content = photo()
    found = np.asarray(decode.to_rgb(decode.decode(content)))
    assert found.shape == (64, 96, 3)
    assert np.abs(found.astype(int) - pixels).mean() < 3


def test_it_is_measured_as_other_images_are() -> None:
    found = measure.measure(photo()[1], "IMG_1234.HEIC")
    assert (found.decodable, found.format, found.named_format) == (True, "HEIF", "HEIF")
    assert (found.width_px, found.height_px, found.orientation) == (96, 64, 1)


def test_cut_file_is_undecodable() -> None:
    content = photo()[1]
    with pytest.raises(decode.Undecodable):
        decode.decode(content[: len(content) // 2])


@pytest.mark.parametrize("brand", [b"heic", b"mif1"])
def test_it_is_named_with_the_way_to_read_it_where_it_cannot_be(absent: None, brand: bytes) -> None:
    with pytest.raises(decode.Undecodable, match=r"^HEIC, which needs pillow-heif: `pip install 'assay\[heif\]'`"):
        decode.decode(HEAD % brand)


def test_the_name_promises_the_same_whether_it_can_be_read_or_not(absent: None) -> None:
    found = measure.measure(HEAD % b"heic", "IMG_1234.HEIC")
    assert (found.decodable, found.named_format) == (False, "HEIF")
