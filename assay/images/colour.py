"""Colour profiles: from what an embedded ICC profile says the numbers mean to sRGB.

A profile that moves no colour by more than NEAR_LEVELS is sRGB under one of its many names, and costs nothing. One that
is broken, or for another kind of image than the one it stands in, is passed over, as browsers do: the picture is sound.
"""

import io
import itertools
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

NEAR_LEVELS = 2  # of 255: sRGB profiles differ by so much among themselves
STEPS = 9  # colours of a channel that a profile is tried on


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return an image of mode L, RGB or CMYK as sRGB, in mode RGB; relative colorimetric, black to black."""
    transform = _transform(profile, image.mode) if profile else None
    if transform is None:
        return image if image.mode == "RGB" else image.convert("RGB")
    return transform.apply(image)


@lru_cache(maxsize=64)  # a set of images has few profiles, and a transform takes longer to make than to use
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    try:
        transform = ImageCms.ImageCmsTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        tried = _every_colour(mode)
        moved = np.asarray(transform.apply(tried), np.int16) - np.asarray(tried.convert("RGB"), np.int16)
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
        return None
    return None if np.abs(moved).max() <= NEAR_LEVELS else transform


def _every_colour(mode: str) -> Image.Image:
    """Return STEPS levels of each channel with those of every other, as an image."""
    levels = np.linspace(0, 255, STEPS).round().astype(np.uint8)
    colours = np.array(list(itertools.product(levels, repeat=len(Image.new(mode, (1, 1)).getbands()))), np.uint8)
    return Image.frombytes(mode, (len(colours), 1), colours.tobytes())
