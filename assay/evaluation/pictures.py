"""Pictures for the page of the evaluation: each small, and all together no more than `BUDGET` bytes."""

import base64
import io
from collections.abc import Iterable, Mapping

import numpy as np
from PIL import Image

BUDGET = 11 * 2**20  # bytes of all pictures in the page, of which 15 MB are allowed
SIDES_PX = (160, 96, 64)  # the longest side; smaller ones where there are too many bytes


def encode(pixels: Mapping[str, np.ndarray], uses: Iterable[str]) -> dict[str, str]:
    """Return a `data:` URI for each image, uint8 [H, W, 1] or [H, W, 3].

    `uses`: a key for each time that a picture stands in the page. The largest side of which all fit is taken.
    """
    times: dict[str, int] = {}
    for key in uses:
        times[key] = times.get(key, 0) + 1
    found: dict[str, str] = {}
    for side_px in SIDES_PX:
        found = {key: picture(pixels[key], side_px) for key in sorted(times)}
        if sum(times[key] * len(uri) for key, uri in found.items()) <= BUDGET:
            break
    return found


def picture(image: np.ndarray, side_px: int) -> str:
    """Return the `data:` URI: every pixel of a small image as PNG, else a JPEG with no side above `side_px`."""
    shown, out = Image.fromarray(image.squeeze(axis=2) if image.shape[2] == 1 else image), io.BytesIO()
    if max(shown.size) <= side_px // 2:
        shown.save(out, "PNG")
        return _uri("png", out)
    shown.thumbnail((side_px, side_px))
    shown.save(out, "JPEG", quality=80)
    return _uri("jpeg", out)


def _uri(kind: str, out: io.BytesIO) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(out.getvalue()).decode()}"
