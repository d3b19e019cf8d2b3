"""Some images of each class for the validation page, so that labels can be checked by eye."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from assay import labels
from assay.dataset.originals import Originals
from assay.labels import Task
from assay.validation import findings

CLASSES = 50  # shown, the largest
EACH = 8  # images of a class
PICTURES = 200  # in all: each is a read and a decode, and some 5 kB of the page


@dataclass(frozen=True, kw_only=True)
class Sample:
    path: str
    sha256: str  # by which `assay forget` knows that the page shows it
    picture: str  # a data URI


def of_classes(images: pd.DataFrame, task: Task, raw: Originals) -> Mapping[str, Sequence[Sample]]:
    """Return images of each of the largest classes, by name: spread evenly over the paths, so over days and folders.

    `images`: those of the manifest that are used; `raw`: where their bytes lie.
    """
    known = images.drop_duplicates("path").drop_duplicates("sha256").sort_values("path").set_index("path")
    sizes = labels.counts(known["label"].value_counts().items(), task)
    largest = sorted(sorted(sizes, key=lambda name: (-sizes[name], name))[:CLASSES])
    each = min(EACH, PICTURES // max(len(largest), 1))
    member_of = {name: known.index[_is_in(known["label"], name, task)] for name in largest}
    chosen = {name: _spread(paths, each) for name, paths in member_of.items()}
    wanted = list(dict.fromkeys(path for paths in chosen.values() for path in paths))
    pictures = findings.thumbnails(known.loc[wanted], raw)
    sha256 = known.loc[wanted, "sha256"]
    return {
        name: [Sample(path=path, sha256=sha256[path], picture=pictures[path]) for path in paths if path in pictures]
        for name, paths in chosen.items()
    }


def _is_in(held: "pd.Series[str]", name: str, task: Task) -> "pd.Series[bool]":
    is_in = {label: name in labels.names(label, task) for label in held.unique()}
    return held.map(is_in).astype("bool")


def _spread(paths: "pd.Index[str]", n: int) -> list[str]:
    places = np.linspace(0, len(paths) - 1, min(n, len(paths))).round().astype(int)
    return [str(paths[place]) for place in dict.fromkeys(places.tolist())]
