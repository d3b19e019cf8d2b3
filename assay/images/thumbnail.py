"""Pictures for pages and alerts: `data:` URIs and sheets."""

import base64
import io

import numpy as np
from PIL import Image, ImageDraw

THUMBNAIL_PX = 160  # the longest side
SIDE_PX, GAP_PX, COLUMNS = 128, 4, 5


def picture(image: np.ndarray) -> str:
    """Return a `data:` URI with the PNG of a uint8 image [H, W, 1] or [H, W, 3]."""
    png = io.BytesIO()
    Image.fromarray(image.squeeze()).save(png, "PNG")
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()


def small(image: Image.Image) -> str:
    """Return a `data:` URI with an RGB image, no side above THUMBNAIL_PX; a small one keeps every pixel."""
    small = image.copy()
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    if max(image.size) <= THUMBNAIL_PX // 2:
        return picture(np.asarray(image))
    jpeg = io.BytesIO()
    small.save(jpeg, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.getvalue()).decode()


def sheet(images: list[Image.Image]) -> Image.Image:
    """Return the RGB images as thumbnails, numbered from 1, at most COLUMNS in a row."""
    columns, rows = min(len(images), COLUMNS), -(-len(images) // COLUMNS)
    step = SIDE_PX + GAP_PX
    shown = Image.new("RGB", (columns * step + GAP_PX, rows * step + GAP_PX), "white")
    draw = ImageDraw.Draw(shown)
    for number, each in enumerate(images):
        corner = GAP_PX + number % COLUMNS * step, GAP_PX + number // COLUMNS * step
        scale = SIDE_PX / max(each.size)
        small = each.resize((max(1, round(each.width * scale)), max(1, round(each.height * scale))))
        shown.paste(small, corner)
        draw.rectangle((corner, (corner[0] + 14, corner[1] + 12)), fill="white")
        draw.text((corner[0] + 2, corner[1]), str(number + 1), fill="black")
    return shown
