"""Images: encoded bytes in, decoded images or uint8 pixels out. Nothing else in the project decodes an image.

`Pixels` are uint8 [H, W, 3] (rgb) or [H, W, 1] (grey), in [0, 255]: EXIF orientation applied, transparency laid over
white, 16 bits scaled to 8, the first frame of an animation.
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
from PIL import Image, ImageFile, ImageOps

Colour = Literal["grey", "rgb"]


class Undecodable(Exception):
    """Says why the bytes are no image that can be used."""


def decode(content: bytes) -> Image.Image:
    """Return the whole decoded image in its own mode, upright.

    Raises `Undecodable` for whatever Pillow cannot read to the last pixel, and for what has no known range.
    """
    with opened(content) as source:
        return load(source)


@contextmanager
def opened(content: bytes) -> Iterator[ImageFile.ImageFile]:
    """Yield the image with its header read and its pixels not; the block may ask it anything.

    Raises `Undecodable` in place of all that goes wrong here and in the block.
    """
    if not content:
        raise Undecodable("empty file")
    try:
        # A filter of warnings belongs to all threads at once, so nothing but silence may hang on this one.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source = Image.open(io.BytesIO(content))
            _check_area(source)
            yield source
    except Undecodable:
        raise
    except Exception as error:  # Pillow's decoders raise anything from struct.error to SyntaxError on broken files
        raise Undecodable(_reason(error)) from None


def load(source: ImageFile.ImageFile) -> Image.Image:
    """Return the pixels of an opened image in its own mode, upright."""
    source.load()
    upright = ImageOps.exif_transpose(source)
    if upright.mode == "F":
        raise Undecodable("floating-point pixels have no known range")
    return upright


def _check_area(source: Image.Image) -> None:
    limit, area = Image.MAX_IMAGE_PIXELS, source.width * source.height
    if limit is not None and area > limit:
        raise Undecodable(f"decompression bomb: {area:,} pixels, at most {limit:,}")


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
