import io
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import BROKEN, chunk, encode, grey
from PIL import Image

from assay.images import decode


def png(depth: int, colour_type: int, row: bytes, width_px: int = 2, clear: bytes = b"") -> bytes:
    """Return a PNG of one row, written by hand: Pillow writes few of those that it reads."""
    head = struct.pack(">IIBBBBB", width_px, 1, depth, colour_type, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"tRNS", clear) if clear else b"", chunk(b"IDAT", zlib.compress(b"\0" + row))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def tiff(pixels: bytes, bits: int, *, order: str = "<", sample_format: int = 1, photometric: int = 1) -> bytes:
    """Return a grey TIFF of two pixels, written by hand."""
    tags = {256: 2, 257: 1, 258: bits, 259: 1, 262: photometric, 273: 0, 277: 1, 278: 1, 279: len(pixels)}
    tags |= {339: sample_format}
    place = 8 + 2 + 12 * len(tags) + 4
    tags[273] = place
    entries = b"".join(struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in sorted(tags.items()))
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HIH", 42, 8, len(tags))
    return head + entries + bytes(4) + pixels


def rgb(content: bytes) -> list[object]:
    """Return the pixels of the first row, as they are."""
    return np.asarray(decode.to_rgb(decode.decode(content)))[0].tolist()


def greys(content: bytes) -> list[int]:
    row = np.asarray(decode.to_rgb(decode.decode(content)))[0]
    assert (row == row[:, :1]).all()
    return row[:, 0].tolist()


def prepare(content: bytes, colour: decode.Colour = "grey", side_px: int = 2) -> list[object]:
    return (
        decode.prepare(content, height_px=side_px, width_px=side_px, colour=colour, resize="stretch").squeeze().tolist()
    )


def test_pixels_come_back_as_they_were() -> None:
    assert prepare(encode(grey([0, 255], [7, 130]))) == [[0, 255], [7, 130]]


def test_grey_and_rgb_have_one_and_three_channels() -> None:
    content = encode(grey([1, 2, 3], [4, 5, 6]))
    assert decode.prepare(content, height_px=2, width_px=3, colour="grey", resize="stretch").shape == (2, 3, 1)
    assert decode.prepare(content, height_px=2, width_px=3, colour="rgb", resize="stretch").shape == (2, 3, 3)


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # turned upside down
    assert prepare(encode(grey([0, 0], [0, 255]), exif=exif)) == [[255, 0], [0, 0]]


def test_transparency_lies_over_white() -> None:
    clear_and_black = Image.fromarray(np.array([[[0, 0, 0, 0], [0, 0, 0, 255]]] * 2, np.uint8))
    assert prepare(encode(clear_and_black)) == [[255, 0], [255, 0]]


DEEP = {
    "png": (png(16, 0, struct.pack(">2H", 32768, 257)), [128, 1]),
    "png, one level clear": (png(16, 0, struct.pack(">2H", 1000, 1001), clear=struct.pack(">H", 1000)), [255, 3]),
    "png with alpha": (png(16, 4, struct.pack(">4H", 1000, 0, 1000, 65535)), [255, 3]),
    "tiff": (tiff(struct.pack("<2H", 32768, 257), 16), [128, 1]),
    "tiff, big end first": (tiff(struct.pack(">2H", 32768, 257), 16, order=">"), [128, 1]),
    "tiff, white is zero": (tiff(struct.pack("<2H", 0, 65535), 16, photometric=0), [255, 0]),
    "tiff of 12 bits": (tiff(bytes([0xFF, 0xF8, 0x00]), 12), [255, 128]),
    "tiff of 32 bits": (tiff(struct.pack("<2I", 2**32 - 1, 2**31), 32), [255, 128]),
    "tiff of floats": (tiff(struct.pack("<2f", 1.0, 0.25), 32, sample_format=3), [255, 64]),
    "tiff of floats, big end first": (tiff(struct.pack(">2f", 1.0, 0.25), 32, order=">", sample_format=3), [255, 64]),
    "pgm": (b"P5 2 1 65535 " + struct.pack(">2H", 32768, 257), [128, 1]),
    "pgm of 10 bits": (b"P5 2 1 1023 " + struct.pack(">2H", 1023, 512), [255, 128]),
    "pgm in letters": (b"P2 2 1 65535 32768 257", [128, 1]),
    "pfm": (b"Pf 2 1 -1.0 " + struct.pack("<2f", 1.0, 0.25), [255, 64]),
    "jpeg 2000": (encode(Image.fromarray(np.array([[32768, 257]], np.uint16)), "JPEG2000"), [128, 1]),
}


@pytest.mark.parametrize(("content", "levels"), DEEP.values(), ids=DEEP.keys())
def test_more_than_eight_bits_are_scaled_and_not_clipped(content: bytes, levels: list[int]) -> None:
    assert greys(content) == levels


@given(st.lists(st.integers(0, 65535), min_size=2, max_size=2))
def test_sixteen_bits_lose_less_than_one_level_in_grey_and_in_colour_alike(levels: list[int]) -> None:
    grey_png = png(16, 0, struct.pack(">2H", *levels))
    colour_png = png(16, 2, struct.pack(">6H", *[level for level in levels for _ in range(3)]))
    assert greys(grey_png) == greys(colour_png)
    assert all(abs(seen - level / 257) < 1 for seen, level in zip(greys(grey_png), levels, strict=True))


def test_eight_bits_stretched_to_sixteen_come_back_as_they_were() -> None:
    levels = list(range(256))
    content = png(16, 0, struct.pack(">256H", *[level * 257 for level in levels]), width_px=256)
    assert greys(content) == levels


@pytest.mark.parametrize(("depth", "row", "levels"), [(1, 0b01000000, [255, 255]), (2, 0b01100000, [255, 170]),
                                                      (4, 0b00010010, [255, 34])])  # fmt: skip
def test_clear_level_of_few_bits_is_found(depth: int, row: int, levels: list[int]) -> None:
    clear = 0 if depth == 1 else 1
    assert greys(png(depth, 0, bytes([row]), clear=struct.pack(">H", clear))) == levels


def test_clear_colour_of_sixteen_bits_is_found() -> None:
    row = struct.pack(">6H", 1000, 2000, 3000, 65535, 256, 255)
    assert rgb(png(16, 2, row, clear=row[:6])) == [[255, 255, 255], [255, 1, 0]]


def test_half_clear_pixel_is_half_white() -> None:
    assert rgb(png(8, 6, bytes([0, 0, 0, 128, 200, 100, 0, 255]))) == [[127, 127, 127], [200, 100, 0]]
    assert greys(png(8, 4, bytes([0, 51, 9, 255]))) == [204, 9]


def test_palette_may_be_clear_in_one_colour_or_in_part() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putdata([0, 1])
    assert rgb(encode(palette)) == [[10, 20, 30], [40, 50, 60]]
    assert rgb(encode(palette, transparency=0)) == [[255, 255, 255], [40, 50, 60]]
    assert rgb(encode(palette, transparency=bytes([255, 0]))) == [[10, 20, 30], [255, 255, 255]]
    assert rgb(encode(palette, transparency=bytes([51, 255])))[0] == [206, 208, 210]  # 255 - (255 - 10) / 5, ...
    assert rgb(encode(palette, "GIF", transparency=1)) == [[10, 20, 30], [255, 255, 255]]


INKS = (0, 51, 204, 102)  # cyan, magenta, yellow, black
PRINTED = [153, 122, 31]  # 255 x (1 - ink) x (1 - black)


def test_inks_of_a_tiff_become_rgb() -> None:
    assert np.allclose(rgb(encode(Image.new("CMYK", (1, 1), INKS), "TIFF")), [PRINTED], atol=1)


def test_inks_of_a_jpeg_are_stored_upside_down_as_adobe_does() -> None:
    content = encode(Image.new("CMYK", (16, 16), INKS), "JPEG", quality=100)
    assert b"Adobe" in content
    assert np.allclose(rgb(content)[0], PRINTED, atol=2)


def test_inks_of_a_jpeg_may_be_stored_as_luma_and_chroma() -> None:
    upside_down = [255 - ink for ink in INKS]
    luma_and_chroma = Image.new("RGB", (1, 1), tuple(255 - each for each in upside_down[:3])).convert("YCbCr")
    # libjpeg takes 255 - RGB for the first three, and Pillow turns all four over.
    stored = (*luma_and_chroma.getpixel((0, 0)), upside_down[3])
    content = encode(Image.new("CMYK", (16, 16), tuple(255 - each for each in stored)), "JPEG", quality=100)
    place = content.index(b"Adobe") + 11
    ycck = content[:place] + b"\2" + content[place + 1 :]
    assert Image.open(io.BytesIO(ycck)).info["adobe_transform"] == 2
    assert np.allclose(rgb(ycck)[0], PRINTED, atol=3)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_first_frame_is_the_picture(kind: str) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "lime", "blue")]
    content = encode(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
    assert Image.open(io.BytesIO(content)).n_frames == 3  # type: ignore[attr-defined]
    assert rgb(content)[0] == [255, 0, 0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(kind: str, orientation: int) -> None:
    upright = Image.fromarray(np.kron(np.array([[0, 80, 160], [200, 240, 40]], np.uint8), np.ones((16, 16), np.uint8)))
    turns = Image.Transpose
    undo = {1: None, 2: turns.FLIP_LEFT_RIGHT, 3: turns.ROTATE_180, 4: turns.FLIP_TOP_BOTTOM, 5: turns.TRANSPOSE,
            6: turns.ROTATE_90, 7: turns.TRANSVERSE, 8: turns.ROTATE_270}[orientation]  # fmt: skip
    stored = upright if undo is None else upright.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    extra = {"quality": 95} if kind == "JPEG" else {"lossless": True}
    seen = decode.to_rgb(decode.decode(encode(stored, kind, exif=exif, **extra))).convert("L")
    assert seen.size == (48, 32)
    assert np.abs(np.asarray(seen, int) - np.asarray(upright, int)).max() <= 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "exif", [b"garbage, and more of it", b"", b"II*\0\x08\0\0\0\x05\0\x12\x01", b"II*\0\xff\xff\0\0"]
)
def test_exif_that_cannot_be_read_is_passed_over(kind: str, exif: bytes) -> None:
    content = encode(Image.new("RGB", (4, 2), "white"), kind, exif=b"Exif\0\0" + exif)
    assert rgb(content) == [[255, 255, 255]] * 4


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_what_cannot_be_decoded_raises_and_says_why(content: bytes, reason: str) -> None:
    with pytest.raises(decode.Undecodable) as raised:
        decode.decode(content)
    assert reason in str(raised.value).lower()


def test_common_formats_are_tried_first_whatever_was_asked_before() -> None:
    ask = "from assay.sources import formats; formats.named_format('a.jpg'); from PIL import Image; print(*Image.ID)"
    tried = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout.split()
    assert {"JPEG", "PNG", "GIF", "BMP"} <= set(tried[:6])
    assert "TGA" in tried


def test_bomb_is_refused_in_every_thread() -> None:
    bomb, sound = BROKEN["bomb"][0], encode(Image.new("L", (500, 500)))
    with ThreadPoolExecutor(8) as threads:
        refused = list(threads.map(is_refused, [bomb, sound] * 40))
    assert refused == [True, False] * 40


def is_refused(content: bytes) -> bool:
    try:
        decode.decode(content)
    except decode.Undecodable:
        return True
    return False


def test_whatever_goes_wrong_while_an_image_is_open_is_undecodable() -> None:
    with pytest.raises(decode.Undecodable, match="no such tag"), decode.opened(encode(grey([1]))):
        raise struct.error("no such tag")


def test_image_is_opened_without_decoding_its_pixels() -> None:
    with decode.opened(BROKEN["cut png"][0]) as source:
        assert source.size == (64, 64)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\xff\x0a" + bytes(20), "JPEG XL"),
        (bytes(128) + b"DICM", "DICOM"),
        (b"8BPS" + bytes(40), "PSD"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "EPS"),
    ],
)
def test_pictures_of_formats_that_are_not_read_are_called_by_their_name(content: bytes, kind: str) -> None:
    with pytest.raises(decode.Undecodable, match=f"^{kind}, which is not read: convert it to JPEG, PNG or TIFF$"):
        decode.decode(content)


@pytest.mark.parametrize(
    "tags", [{50706: b"\x01\x04\x00\x00"}, {254: 1, 330: 8}], ids=["DNG", "a preview before the real picture"]
)
def test_raw_file_of_a_camera_is_not_taken_for_its_preview(tags: dict[int, object]) -> None:
    out = io.BytesIO()
    Image.new("RGB", (16, 12)).save(out, "TIFF", tiffinfo=tags)
    with pytest.raises(decode.Undecodable, match="a raw file of a camera: only its preview could be read"):
        decode.decode(out.getvalue())


@pytest.mark.parametrize("tags", [{}, {254: 0}, {254: 2}, {254: 1}])
def test_plain_tiff_is_no_raw_file(tags: dict[int, object]) -> None:
    out = io.BytesIO()
    Image.new("RGB", (16, 12)).save(out, "TIFF", tiffinfo=tags)
    assert decode.decode(out.getvalue()).size == (16, 12)


# A declared white level: 4,095 is what a camera of 12 bits calls white.


@pytest.mark.parametrize(
    "content",
    [
        png(16, 0, struct.pack(">4H", 0, 2048, 4095, 60000), width_px=4),
        tiff(struct.pack("<2H", 2048, 4095), 16),
        tiff(struct.pack(">2H", 2048, 4095), 16, order=">"),
    ],
)
def test_grey_of_sixteen_bits_is_scaled_to_the_declared_white(content: bytes) -> None:
    levels = np.asarray(decode.decode(content, decode.Reading(white_level=4095)))[0].tolist()
    assert levels in ([0, 128, 255, 255], [128, 255])


@given(st.integers(256, 65535), st.lists(st.integers(0, 65535), min_size=1, max_size=64))
def test_levels_below_white_are_within_half_a_level_and_the_others_white(white: int, levels: list[int]) -> None:
    content = png(16, 0, struct.pack(f">{len(levels)}H", *levels), width_px=len(levels))
    found = np.asarray(decode.decode(content, decode.Reading(white_level=white)))[0]
    assert np.abs(found - np.minimum(levels, white) / white * 255).max() <= 0.5


@pytest.mark.parametrize(
    "content",
    [
        b"P5\n3 1\n4095\n" + struct.pack(">3H", 0, 2048, 4095),
        b"P5\n3 1\n65535\n" + struct.pack(">3H", 0, 32768, 65535),
        encode(Image.fromarray(np.array([[0, 32768, 65535]], np.uint16)), "JPEG2000"),
    ],
)
def test_what_says_itself_what_is_white_is_not_scaled_again(content: bytes) -> None:
    assert np.asarray(decode.decode(content, decode.Reading(white_level=4095)))[0].tolist() == [0, 128, 255]


def test_eight_bits_are_as_they_are_whatever_is_white() -> None:
    for content in (encode(grey([1, 200])), png(8, 0, bytes([1, 200])), tiff(bytes([1, 200]), 8)):
        assert np.asarray(decode.decode(content, decode.Reading(white_level=4095)))[0].tolist() == [1, 200]


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_colour_of_sixteen_bits_is_refused_where_white_is_declared(colour_type: int, channels: int) -> None:
    content = png(16, colour_type, struct.pack(f">{2 * channels}H", *[4095] * 2 * channels))
    assert decode.decode(content).size == (2, 1)
    with pytest.raises(decode.Undecodable, match=r"16 bits.*4,095 \(params\.yaml: ingest\.white_level\)"):
        decode.decode(content, decode.Reading(white_level=4095))


def test_prepared_pixels_are_those_of_the_declared_white() -> None:
    content = png(16, 0, struct.pack(">2H", 2048, 4095))
    found = decode.prepare(content, height_px=1, width_px=2, colour="grey", resize="stretch", white_level=4095)
    assert found.ravel().tolist() == [128, 255]
