"""Labels and class names.

A label is text. Of a `single_label` set it is the name of the image's class. Of a `multi_label` set it holds the names
of the image's classes, sorted, with `SEPARATOR` between them; the empty text says: in none of the classes.
"""

import re
from collections.abc import Iterable
from typing import Literal

Task = Literal["single_label", "multi_label"]
SEPARATOR = "|"


def names(label: str, task: Task) -> tuple[str, ...]:
    """Return the names of the classes that a label stands for."""
    if task == "single_label":
        return (label,)
    return tuple(label.split(SEPARATOR)) if label else ()


def slugs(classes: Iterable[str]) -> dict[str, str]:
    """Return a key for each class that `dvc metrics diff` can show: no dot, no blank, no two alike.

    DVC joins keys with dots, so a class named `v1.0` would look like two levels.
    """
    found: dict[str, str] = {}
    for name in sorted(classes):
        slug = re.sub(r"[^\w-]+", "_", name) or "_"
        while slug in found.values():
            slug += "_"
        found[name] = slug
    return found
