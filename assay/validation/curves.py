"""Curves for the validation page: how the measurements of the images are spread, now and when they were approved."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from assay.validation.profile import distance, properties
from assay.validation.profile.approved import Profile

WIDTH, HEIGHT = 200, 60  # of a curve, in the units of its SVG
SHARES = tuple(n / 20 for n in range(21))  # of the images: the quantiles that a curve goes through
# Of assay/validation/profile/properties.py; sizes.py has the others.
SHOWN = ("brightness", "contrast", "entropy", "sharpness", "noise", "blockiness", "saturation", "red_blue", "red_green")
Quantiles = tuple[np.ndarray, np.ndarray]  # shares in [0, 1], and the values that these do not exceed


@dataclass(frozen=True, kw_only=True)
class Curve:
    """`now` and `approved` are the points of polylines in WIDTH x HEIGHT; empty: nothing to draw."""

    name: str
    words: str
    low: float
    middle: float  # the median now
    high: float
    now: str
    approved: str
    was: float | None  # the median that was approved


def curves(images: pd.DataFrame, approved: Profile | None) -> list[Curve]:
    """Return a curve for each property that has two values among the images, rows of the manifest, and the approved."""
    then = of_profile(approved) if approved else {}
    values = dict(zip(properties.NAMES, properties.values(images), strict=True))
    medians = dict(zip(properties.NAMES, approved.medians.tolist(), strict=True)) if approved else {}
    found = (_curve(name, values[name][~np.isnan(values[name])], then.get(name), medians.get(name)) for name in SHOWN)
    return [curve for curve in found if curve is not None]


def of_profile(approved: Profile) -> dict[str, Quantiles]:
    """Return for each property that was measured the quantiles and the shares of the images that they are of."""
    shares = distance.cumulative(np.sum(list(approved.strata.values()), axis=0))[:, 1::2]  # on an edge, not between two
    finite = np.isfinite(approved.edges)
    found = zip(properties.NAMES, shares, approved.edges, finite, strict=True)
    return {name: (share[known], edges[known]) for name, share, edges, known in found if known.any()}


def _curve(name: str, values: np.ndarray, approved: Quantiles | None, was: float | None) -> Curve | None:
    if not len(values):
        return None
    now = np.quantile(values, SHARES)
    then = approved[1] if approved else now
    low, high = float(min(now[0], then[0])), float(max(now[-1], then[-1]))
    if low == high:
        return None
    return Curve(
        name=name,
        words=properties.WORDS[name],
        low=low,
        middle=float(distance.medians(values[None])[0]),
        high=high,
        now=_points(SHARES, now, low, high),
        approved=_points(approved[0], then, low, high) if approved else "",
        was=was,
    )


def _points(shares: Sequence[float] | np.ndarray, quantiles: np.ndarray, low: float, high: float) -> str:
    """Return the points from the left to the right end: below all values the share is 0, above them 1."""
    across = (quantiles - low) / (high - low) * WIDTH
    points = list(zip(across, shares, strict=True))
    points = [(0, 0), (points[0][0], 0), *points, (WIDTH, points[-1][1])]
    return " ".join(f"{x:.1f},{HEIGHT * (1 - share):.1f}" for x, share in points)
