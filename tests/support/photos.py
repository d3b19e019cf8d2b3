"""Pictures with the statistics of photos."""

import numpy as np
from PIL import Image

ORIENTATION = 0x0112


def photo(seed: int, width_px: int = 500, height_px: int = 400) -> Image.Image:
    """Return smooth colours in a middling range, with fine grain."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(30, 200, (6, 8, 3), np.uint8))
    smooth = np.asarray(coarse.resize((width_px, height_px), Image.Resampling.BICUBIC)).astype(np.int16)
    return Image.fromarray((smooth + rng.integers(-9, 10, smooth.shape)).clip(0, 255).astype(np.uint8))


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif
