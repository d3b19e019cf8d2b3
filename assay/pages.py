"""Pages for people: one self-contained HTML file each, that needs no network and reads well in light and dark.

A template stands beside the module that fills it in; `templates/` holds what several share.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from assay import words

TEMPLATES = Path(__file__).parent


def render(template: str, **values: Any) -> str:
    """Return the page or card that the template makes of the values; a value that is missing raises."""
    return _templates().get_template(template).render(**values)


@cache
def _templates() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"code": code, "markdown": markdown, "said": said}
    return made


def said(text: str) -> Markup:
    """Return the text as HTML in which what stands between backticks, a command or a path, is code."""
    parts = (
        f"<code>{escape(part)}</code>" if number % 2 else escape(part) for number, part in enumerate(text.split("`"))
    )
    return Markup("".join(parts))


def markdown(text: str) -> str:
    """Return the text as Markdown in which it stands as it is: no name becomes a link, a picture, HTML or a row."""
    line = " ".join(words.printable(text).split())
    line = re.sub(r"[\\`*<>|~]|\](?=[(\[])|(?<!\w)_|_(?!\w)", r"\\\g<0>", line)
    return re.sub(r"&(?=#?\w+;)", "&amp;", line)


def code(text: str, *, in_table: bool = False) -> str:
    """Return the text as a span of code in Markdown, whatever is in it."""
    line = " ".join(words.printable(text).split()).replace("|", "\\|" if in_table else "|")
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}" if len(fence) > 1 or not line else f"{fence}{line}{fence}"
