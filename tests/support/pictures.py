"""Encoded images of every kind, and bytes that are none."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def encode(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def grey(*rows: list[int]) -> Image.Image:
    return Image.fromarray(np.array(rows, np.uint8))


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a part of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def black(side_px: int) -> bytes:
    """Return a PNG of one bit for a pixel, a multiple of 8 pixels wide; Pillow takes seconds to write a large one."""
    head = struct.pack(">IIBBBBB", side_px, side_px, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(side_px * (1 + side_px // 8)), 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def fits(rows: list[list[int]]) -> bytes:
    cards = {"SIMPLE": "T", "BITPIX": 16, "NAXIS": 2, "NAXIS1": len(rows[0]), "NAXIS2": len(rows)}
    head = "".join(f"{name:8}= {value!s:>20}".ljust(80) for name, value in cards.items()) + "END".ljust(80)
    return head.ljust(2880).encode() + np.array(rows, ">i2").tobytes().ljust(2880, b"\0")


BROKEN = {
    "empty": (b"", "empty file"),
    "html": (b"<html>not found</html>", "not an image"),
    "cut jpeg": (encode(Image.new("RGB", (64, 64), "red"), "JPEG")[:-100], "truncated"),
    "cut png": (encode(Image.effect_noise((64, 64), 50))[:-200], "truncated"),
    "float": (encode(Image.new("F", (2, 2), 1.5), "TIFF"), "from 1.5 to 1.5: only [0, 1] has a known range"),
    "not a number": (encode(Image.new("F", (2, 2), float("nan")), "TIFF"), "has a known range"),
    "signed": (encode(Image.new("I", (2, 2), 9), "TIFF"), "signed pixels have no known range"),
    "raw counts": (fits([[1, 2]]), "fits of mode i;16 pixels have no known range"),
    "bomb": (black(10_000), "decompression bomb: 100,000,000 pixels"),
    "huge bomb": (black(20_000), "decompression bomb"),
}
