"""Curves for the validation page: how the measurements of the images are spread, now and when they were approved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

WIDTH, HEIGHT = 200, 60  # of a curve, in the units of its SVG
SHARES = tuple(n / 20 for n in range(21))  # of the images: the quantiles that a curve goes through
PROPERTIES = {  # of the manifest, with words for people
    "brightness": "brightness, 0 to 255",
    "contrast": "contrast, in grey levels",
    "entropy": "entropy, in bits",
    "sharpness": "sharpness",
    "noise": "noise, in grey levels",
    "blockiness": "blockiness of JPEG",
    "saturation": "saturation, 0 to 1",
    "red": "red, 0 to 255",
    "green": "green, 0 to 255",
    "blue": "blue, 0 to 255",
    "width_px": "width, in px",
    "height_px": "height, in px",
    "bytes": "size of the file, in bytes",
}
Quantiles = Sequence[float]


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


def curves(images: pd.DataFrame, approved: Mapping[str, tuple[Sequence[float], Quantiles]]) -> list[Curve]:
    """Return a curve for each property that has two values; `approved`: by property, shares and their quantiles."""
    used = images[images["split"].notna()]
    found = (_curve(name, used[name].dropna(), approved.get(name)) for name in PROPERTIES if name in used)
    return [curve for curve in found if curve is not None]


def _curve(name: str, values: "pd.Series[float]", approved: tuple[Sequence[float], Quantiles] | None) -> Curve | None:
    if values.empty:
        return None
    now = np.quantile(values.astype("float64"), SHARES)
    then = np.asarray(approved[1], np.float64) if approved else now
    low, high = float(min(now[0], then[0])), float(max(now[-1], then[-1]))
    if low == high:
        return None
    return Curve(
        name=name,
        words=PROPERTIES[name],
        low=low,
        middle=float(np.interp(0.5, SHARES, now)),
        high=high,
        now=_points(SHARES, now, low, high),
        approved=_points(approved[0], then, low, high) if approved else "",
        was=float(np.interp(0.5, approved[0], then)) if approved else None,
    )


def _points(shares: Sequence[float], quantiles: np.ndarray, low: float, high: float) -> str:
    across = (quantiles - low) / (high - low) * WIDTH
    return " ".join(f"{x:.1f},{HEIGHT * (1 - share):.1f}" for x, share in zip(across, shares, strict=True))
