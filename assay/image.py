"""Images: encoded bytes in, measurements or uint8 pixels out. Nothing else in the project decodes an image.

`Pixels` are uint8 [H, W, 3] (rgb) or [H, W, 1] (grey), in [0, 255]: EXIF orientation applied, transparency laid over
white, 16 bits scaled to 8, the first frame of an animation.
"""

import hashlib
import io
import re
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

Colour = Literal["grey", "rgb"]


class Undecodable(Exception):
    """Says why the bytes are no image that can be used."""


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """What the manifest says of one image; without pixels all but `decodable` and `reason` are None."""

    decodable: bool
    reason: str = ""
    format: str | None = None
    width_px: int | None = None
    height_px: int | None = None
    mode: str | None = None
    pixels: str | None = None


def measure(content: bytes) -> Measurements:
    """Return the measurements of an encoded image; bytes that cannot be decoded are measured too, not raised."""
    try:
        image = decode(content)
    except Undecodable as error:
        return Measurements(decodable=False, reason=str(error))
    shown = to_rgb(image)
    pixels = hashlib.sha256(f"{shown.width}x{shown.height}".encode() + shown.tobytes())
    return Measurements(
        decodable=True,
        format=image.format,
        width_px=image.width,
        height_px=image.height,
        mode=image.mode,
        pixels=pixels.hexdigest(),
    )


def decode(content: bytes) -> Image.Image:
    """Return the whole decoded image in its own mode, upright; its `format` is kept.

    Raises `Undecodable` for whatever Pillow cannot read to the last pixel, and for what has no known range.
    """
    if not content:
        raise Undecodable("empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", category=UserWarning)
            opened = Image.open(io.BytesIO(content))
            opened.load()
            upright = ImageOps.exif_transpose(opened)
    except Exception as error:  # Pillow's decoders raise anything from struct.error to SyntaxError on broken files
        raise Undecodable(_reason(error)) from None
    if upright.mode == "F":
        raise Undecodable("floating-point pixels have no known range")
    upright.format = opened.format
    return upright


def _reason(error: Exception) -> str:
    """Return Pillow's complaint as one line that is the same in every process."""
    if type(error).__name__ == "UnidentifiedImageError":
        return "not an image"
    text = re.sub(r"<[^>]* at 0x[0-9a-f]+>", "the file", " ".join(str(error).split()))
    return text or type(error).__name__


def prepare(content: bytes, *, height_px: int, width_px: int, colour: Colour) -> np.ndarray:
    """Return the `Pixels` [height_px, width_px, C] of an encoded image, stretched to that size.

    Raises `Undecodable`.
    """
    shown = to_rgb(decode(content))
    coloured = shown if colour == "rgb" else shown.convert("L")
    resized = coloured.resize((width_px, height_px), Image.Resampling.BILINEAR)
    return np.asarray(resized).reshape(height_px, width_px, -1)


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the image in mode RGB, whatever its own mode."""
    if image.mode.startswith("I"):
        wide = np.asarray(image).astype(np.int64)
        image = Image.fromarray(np.clip(wide >> 8, 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        above = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", above.size, "white"), above)
    return image if image.mode == "RGB" else image.convert("RGB")
