"""Pages for people: one self-contained HTML file each, that needs no network and reads well in light and dark."""

import base64
import io
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from PIL import Image

TEMPLATES = Path(__file__).parent / "templates"


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
