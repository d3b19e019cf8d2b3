"""Pages for people: one self-contained HTML file each, that needs no network and reads well in light and dark."""

import base64
import io
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from PIL import Image

TEMPLATES = Path(__file__).parent / "templates"
THUMBNAIL_PX = 160  # the longest side


def render(template: str, **values: Any) -> str:
    """Return the page or card that the template makes of the values; a value that is missing raises."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(**values)


def picture(image: np.ndarray) -> str:
    """Return a `data:` URI with the PNG of a uint8 image [H, W, 1] or [H, W, 3]."""
    png = io.BytesIO()
    Image.fromarray(image.squeeze()).save(png, "PNG")
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()


def thumbnail(image: Image.Image) -> str:
    """Return a `data:` URI with an RGB image, no side above THUMBNAIL_PX; a small one keeps every pixel."""
    small = image.copy()
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    if max(image.size) <= THUMBNAIL_PX // 2:
        return picture(np.asarray(image))
    jpeg = io.BytesIO()
    small.save(jpeg, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.getvalue()).decode()
