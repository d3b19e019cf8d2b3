"""Image files that decoders quarrel about, made in code: EXIF orientations, alpha, palettes, profiles, depths, sizes.

They hold no picture of anybody's data, so they may go wherever an export goes.
"""

import io
import struct
from typing import Any

import numpy as np
from PIL import ExifTags, Image

SIDE_PX = 96
HUGE_PX = (4000, 3000)  # width, height
D50 = (0.9642, 1.0, 0.8249)
# Adobe RGB (1998) version 2005-05, 4.3.1, adapted to D50: red, green, blue in XYZ; its gamma is 2 + 51/256.
ADOBE_RGB = {
    "rXYZ": (0.60974, 0.31111, 0.01947),
    "gXYZ": (0.20528, 0.62567, 0.06087),
    "bXYZ": (0.14919, 0.06322, 0.74457),
}


def files() -> dict[str, bytes]:
    """Return the encoded bytes of each file by its name."""
    picture = drawn(SIDE_PX, SIDE_PX * 3 // 4)
    flipped = picture.transpose(Image.Transpose.ROTATE_180)
    return {
        **{f"exif_{turned}.jpg": _turned(picture, turned) for turned in range(1, 9)},
        "progressive.jpg": _saved(picture, "JPEG", progressive=True, quality=80),
        "quality_30.jpg": _saved(picture, "JPEG", quality=30, subsampling=2),
        "grey.jpg": _saved(picture.convert("L"), "JPEG", quality=90),
        "cmyk.jpg": _saved(picture.convert("CMYK"), "JPEG", quality=90),
        "adobe_rgb.jpg": _saved(picture, "JPEG", quality=90, icc_profile=adobe_rgb()),
        "alpha.png": _saved(_with_alpha(picture), "PNG"),
        "grey_alpha.png": _saved(_with_alpha(picture).convert("LA"), "PNG"),
        "palette.png": _saved(picture.quantize(16), "PNG"),
        "palette_clear.png": _saved(picture.quantize(16), "PNG", transparency=3),
        "bits_16.png": _saved(_deep(picture), "PNG"),
        "bits_16.tif": _saved(_deep(picture), "TIFF"),
        "bits_1.png": _saved(picture.convert("1"), "PNG"),
        "rgb.tif": _saved(picture, "TIFF", compression="tiff_lzw"),
        "rgb.gif": _saved(picture, "GIF"),
        "animated.gif": _saved(picture, "GIF", save_all=True, append_images=[flipped]),
        "rgb.webp": _saved(picture, "WEBP", quality=80),
        "rgb.bmp": _saved(picture, "BMP"),
        "tiny.png": _saved(drawn(1, 1), "PNG"),
        "narrow.png": _saved(drawn(3, 200), "PNG"),
        "huge.jpg": _saved(picture.resize(HUGE_PX), "JPEG", quality=30),
    }


def drawn(width_px: int, height_px: int) -> Image.Image:
    """Return a picture with edges, gradients and colours that no turn, flip or cut leaves the same."""
    across, down = np.linspace(0, 1, width_px)[None], np.linspace(0, 1, height_px)[:, None]
    red = 255 * across * np.ones_like(down)
    green = 127.5 * (1 + np.sin(9 * down + 4 * across**2))
    blue = np.where((across - 0.3) ** 2 + (down - 0.6) ** 2 < 0.04, 230, 255 * down * (1 - across))
    return Image.fromarray(np.stack([red, green, blue], -1).round().astype(np.uint8))


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _turned(image: Image.Image, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return _saved(image, "JPEG", quality=90, exif=exif)


def _with_alpha(image: Image.Image) -> Image.Image:
    alpha = np.linspace(0, 255, image.width).astype(np.uint8)[None].repeat(image.height, 0)
    above = image.copy()
    above.putalpha(Image.fromarray(alpha))
    return above


def _deep(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def adobe_rgb() -> bytes:
    """Return an ICC profile, version 2 (ICC.1:2001-04), with the primaries and the gamma of Adobe RGB."""
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round((2 + 51 / 256) * 256))
    tags = {
        "desc": b"desc\0\0\0\0" + struct.pack(">I", 10) + b"Adobe RGB\0" + bytes(78),
        "cprt": b"text\0\0\0\0none\0",
        "wtpt": _xyz(D50),
        **{name: _xyz(colour) for name, colour in ADOBE_RGB.items()},
        **dict.fromkeys(("rTRC", "gTRC", "bTRC"), curve),
    }
    place, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        table += name.encode() + struct.pack(">II", place + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s", place + len(data), b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _fixed(D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def _xyz(colour: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(colour)


def _fixed(values: tuple[float, ...]) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))
