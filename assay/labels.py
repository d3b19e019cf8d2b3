"""Class names."""

import re
from collections.abc import Iterable


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
