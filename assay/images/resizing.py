"""Resizing as asked: which part of a picture goes where, and the pixels of it.

`stretch` uses the whole picture and gives up its aspect. `pad` keeps both and leaves black (0) around it, half on
either side, the odd pixel to the right and below. `crop` keeps the aspect and leaves out what is too much, half on
either side. Sizes are (width, height) in px, boxes (left, top, right, bottom).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

Resize = Literal["stretch", "pad", "crop"]
Size = tuple[int, int]
Box = tuple[float, float, float, float]

SPARE = 2  # decoded pixels that a JPEG of reduced scale keeps at least for each side of a wanted one
FROM_RIGHT, FROM_BELOW = (
    (2, 3, 6, 7),
    (3, 4, 7, 8),
)  # the EXIF orientations whose first column, row is last when upright


@dataclass(frozen=True)
class Plan:
    box: Box  # of the upright picture: what is used
    inside: Size  # what it becomes; the rest of the canvas is black
    corner: Size  # where it lies on the canvas


def plan(size: Size, canvas: Size, resize: Resize) -> Plan:
    """Return how a picture of a size is brought to that of the canvas."""
    width, height = size
    if resize == "stretch":
        return Plan((0, 0, width, height), canvas, (0, 0))
    if resize == "pad":
        factor = min(canvas[0] / width, canvas[1] / height)
        inside = max(1, round(width * factor)), max(1, round(height * factor))
        return Plan((0, 0, width, height), inside, ((canvas[0] - inside[0]) // 2, (canvas[1] - inside[1]) // 2))
    used = min(width, canvas[0] * height / canvas[1]), min(height, canvas[1] * width / canvas[0])
    left, top = (width - used[0]) / 2, (height - used[1]) / 2
    return Plan((left, top, width - left, height - top), canvas, (0, 0))


def jpeg_scale(planned: Plan) -> int:
    """Return 8, 4, 2 or 1: a JPEG may be decoded at one part in so many of its size.

    SPARE pixels for each wanted one are left, so that hardly anything is lost: beside a full decode the pixels of
    photos differ by 0.3 levels of 255 on average and by 2 at most, those of black and white squares by 1.4 and by 5.
    """
    left, top, right, bottom = planned.box
    ratio = min((right - left) / planned.inside[0], (bottom - top) / planned.inside[1])
    return next(scale for scale in (8, 4, 2, 1) if scale == 1 or ratio >= scale * SPARE)


def reduced(box: Box, size: Size, scale: int, decoded: Size, orientation: int) -> Box:
    """Return the box of an upright picture of a size in its decode at one part in `scale`, of size `decoded`.

    Such a decode rounds up, so its last column and row as stored hold less than a whole pixel.
    """
    left, top, right, bottom = (edge / scale for edge in box)
    across = decoded[0] - size[0] / scale if orientation in FROM_RIGHT else 0
    down = decoded[1] - size[1] / scale if orientation in FROM_BELOW else 0
    return left + across, top + down, min(right + across, decoded[0]), min(bottom + down, decoded[1])


def resized(shown: Image.Image, planned: Plan, box: Box, canvas: Size) -> np.ndarray:
    """Return uint8 pixels [H, W, C] of the canvas, antialiased bilinear; `box`: of the picture as it was decoded."""
    inside = np.asarray(shown.resize(planned.inside, Image.Resampling.BILINEAR, box))
    inside = inside.reshape(*planned.inside[::-1], -1)
    return inside if planned.inside == canvas else _on_black(inside, planned.corner, canvas[::-1])


def _on_black(inside: np.ndarray, corner: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    canvas = np.zeros((*shape, inside.shape[-1]), np.uint8)
    canvas[corner[1] : corner[1] + inside.shape[0], corner[0] : corner[0] + inside.shape[1]] = inside
    return canvas
