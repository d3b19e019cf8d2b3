"""Where the model is weaker: by class, size, brightness, source, camera, or any other column of the manifest.

A slice is named worse only if chance would hardly do it, with all slices that were looked at counted in: one-sided
Fisher, Holm. `right` is bool [N], `groups` int [N] (see intervals.py), `rows` a table with a row for each image.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import hypergeom

from assay.evaluation import intervals
from assay.labels import Task, names

FEWEST_GROUPS = 30  # in a slice, and outside it
MOST_VALUES = 50  # of a column, the commonest; what is left is one more
PARTS = 4  # that a number is cut into, of as many images each
SHOWN = 12  # wrong images of a slice
# What says where an image lies or what it is, and not what it is like.
NO_SLICE = {
    *("path", "label", "split", "group", "sha256", "bytes", "decodable", "reason", "pixels", "phash", "offset"),
    *("named_format", "orientation", "minimum", "maximum", "red", "green", "blue", "p1", "p5", "p50", "p95", "p99"),
}


@dataclass(frozen=True, kw_only=True)
class Slice:
    column: str  # of the manifest; "class", "folder" and "area_px" are made of others
    value: str  # for people: the text, or the range of a number
    share: intervals.Share  # right images in it
    rest: float  # share of right images outside it
    p_value: float  # that chance alone makes it so much worse
    p_adjusted: float  # with all slices that were looked at counted in (Holm)
    is_worse: bool
    wrong: tuple[int, ...]  # places of wrong images in it, `SHOWN` at most


def find(rows: pd.DataFrame, right: np.ndarray, groups: np.ndarray, task: Task, confidence: float) -> list[Slice]:
    """Return all slices with enough groups, the surest one first; those that are worse have wrong images to show."""
    effect = intervals.design_effect(right.astype(float), groups) or intervals.largest_effect(groups)
    masks = {
        key: mask
        for key, mask in _masks(rows, task).items()
        if min(len(np.unique(groups[mask])), len(np.unique(groups[~mask]))) >= FEWEST_GROUPS
    }
    p_values = [worse(right, mask, effect) for mask in masks.values()]
    adjusted = holm(np.array(p_values))
    found = [
        Slice(
            column=column,
            value=value,
            share=intervals.share(right[mask], groups[mask], confidence, of_all=effect),
            rest=float(right[~mask].mean()),
            p_value=p_value,
            p_adjusted=float(p_adjusted),
            is_worse=bool(p_adjusted < 1 - confidence),
            wrong=tuple(np.flatnonzero(mask & ~right)[:SHOWN].tolist()),
        )
        for ((column, value), mask), p_value, p_adjusted in zip(masks.items(), p_values, adjusted, strict=True)
    ]
    return sorted(found, key=lambda each: (each.p_value, each.column, each.value))


def worse(right: np.ndarray, mask: np.ndarray, effect: float) -> float:
    """Return the one-sided p-value of the slice being worse than the rest: Fisher's, of the effective images.

    `effect`: the design effect of the groups, by which the images are fewer than they look.
    """
    n, n_wrong = len(right), int((~right).sum())
    n_in, n_wrong_in = int(mask.sum()), int((mask & ~right).sum())
    total, wrong, inside, hit = (round(count / effect) for count in (n, n_wrong, n_in, n_wrong_in))
    return float(hypergeom.sf(hit - 1, total, wrong, inside))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Return the p-values [M] adjusted for M looks: S. Holm, Scandinavian Journal of Statistics 6 (1979) 65-70."""
    order = np.argsort(p_values, kind="stable")
    times = np.arange(len(p_values), 0, -1)
    adjusted = np.minimum(1, np.maximum.accumulate(p_values[order] * times))
    found = np.empty(len(p_values))
    found[order] = adjusted
    return found


def _masks(rows: pd.DataFrame, task: Task) -> dict[tuple[str, str], np.ndarray]:
    """Return which images [N] are in each slice, by column and value."""
    found = {}
    held = [names(label, task) for label in rows["label"]]
    for name in sorted({name for of_image in held for name in of_image}):
        found["class", name] = np.array([name in of_image for of_image in held])
    for name, column in _columns(rows).items():
        is_number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        parts = _ranges(column) if is_number and column.nunique() > PARTS else _values(column)
        found |= {(name, value): mask for value, mask in parts.items()}
    return {key: mask for key, mask in found.items() if mask.any() and not mask.all()}


def _columns(rows: pd.DataFrame) -> "dict[str, pd.Series[Any]]":
    """Return the columns that slices are made of: the manifest's own, the area, and the folder that an image is in."""
    found = {name: rows[name] for name in rows.columns if name not in NO_SLICE}
    if {"width_px", "height_px"} <= set(rows.columns):
        found["area_px"] = rows["width_px"] * rows["height_px"]
    folder = rows["path"].str.rpartition("/")[0]
    return found | ({"folder": folder} if (folder != rows["label"]).any() else {})


def _values(column: "pd.Series[Any]") -> dict[str, np.ndarray]:
    texts = column.astype("object").where(column.notna(), "(unknown)").astype(str)
    common = texts.value_counts().sort_index().sort_values(ascending=False, kind="stable").index[:MOST_VALUES]
    return {value: (texts == value).to_numpy(bool) for value in sorted(common)}


def _ranges(column: "pd.Series[Any]") -> dict[str, np.ndarray]:
    values = column.to_numpy(np.float64, na_value=np.nan)
    edges = np.unique(np.nanquantile(values, np.linspace(0, 1, PARTS + 1)))
    number = np.searchsorted(edges[1:-1], values, side="right")
    found = {
        f"{low:.4g} to {high:.4g}": (number == part) & ~np.isnan(values)
        for part, (low, high) in enumerate(pairwise(edges))
    }
    return found | ({"(unknown)": np.isnan(values)} if np.isnan(values).any() else {})
