"""Labels and class names.

A label is text. Of a `single_label` set it is the name of the image's class. Of a `multi_label` set it holds the names
of the image's classes, sorted, with `SEPARATOR` between them; the empty text says: in none of the classes.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from assay.errors import AssayError

Task = Literal["single_label", "multi_label"]
SEPARATOR = "|"
THRESHOLD = 0.5  # a multi-label image is in the classes whose probability reaches it
# What share of the images is right; of a multi-label image every class must be (scikit-learn: subset accuracy).
ACCURACY: dict[Task, str] = {"single_label": "accuracy", "multi_label": "exact match"}
SPLITS = ("train", "val", "test")
REFUSED = "split refused: "  # begins the `reason` of an image that is given a split that it cannot have
UNLISTED = "not read: no row of the table lists it"  # the `reason` of a file beside those that a table lists


def names(label: str, task: Task) -> tuple[str, ...]:
    """Return the names of the classes that a label stands for."""
    if task == "single_label":
        return (label,)
    return tuple(label.split(SEPARATOR)) if label else ()


def joined(names: Iterable[str | int | float]) -> str:
    """Return the label of an image in these classes; an empty name names none, and one that comes twice adds nothing.

    Raises `AssayError` for a name that holds `SEPARATOR`.
    """
    texts = {str(name) for name in names} - {""}
    if wrong := sorted(text for text in texts if SEPARATOR in text):
        raise AssayError(f"class {wrong[0]!r} holds '{SEPARATOR}', which stands between the classes of an image")
    return SEPARATOR.join(sorted(texts))


def is_name(value: Any) -> bool:
    """Return whether a value of a list can name a class: a number, or a text that UTF-8 can hold."""
    if isinstance(value, str):
        return not any("\ud800" <= letter <= "\udfff" for letter in value)  # JSON can hold half a letter
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def classes(labels: Iterable[str], task: Task) -> tuple[str, ...]:
    """Return the names of all classes that the labels stand for, sorted."""
    return tuple(sorted({name for label in set(labels) for name in names(label, task)}))


def counts(images: Iterable[tuple[str, int]], task: Task) -> dict[str, int]:
    """Return how many images are in each class, sorted by name; `images`: how many have each label."""
    found: dict[str, int] = {}
    for label, n_images in images:
        for name in names(label, task):
            found[name] = found.get(name, 0) + n_images
    return dict(sorted(found.items()))


def encode(label: str, classes: Sequence[str], task: Task) -> int | tuple[int, ...]:
    """Return the index of the class, or of a multi-label set 1 for each class that the image is in and 0 else [K]."""
    held = names(label, task)
    return classes.index(held[0]) if task == "single_label" else tuple(int(name in held) for name in classes)


def decode(marks: Iterable[Any], classes: Iterable[str]) -> str:
    """Return the label of an image that is in the classes with a mark; of a single-label set that is one."""
    return SEPARATOR.join(name for name, is_so in zip(classes, marks, strict=True) if is_so)


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
