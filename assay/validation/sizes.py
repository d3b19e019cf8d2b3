"""Histograms of the sizes of images for the validation page, which a few odd ones do not squeeze into one bar."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

SHOWN = {"width_px": "width (px)", "height_px": "height (px)", "bytes": "size of the file (bytes)"}
BARS = 24
MIDDLE = (0.01, 0.99)  # quantiles between which the bars stand
REACH = 0.25  # of that span, to either side: what lies farther out is counted and not drawn


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """`bars` are heights in [0, 1] of the highest, from `low` to `high`; none where all values are one."""

    name: str
    words: str
    low: float
    high: float
    median: float
    least: float
    most: float
    bars: tuple[float, ...]
    n_below: int  # images that lie below `low`
    n_above: int


def histograms(images: pd.DataFrame) -> list[Histogram]:
    """Return a histogram of each size of the images, rows of the manifest, that was measured."""
    values = {name: images[name].dropna().to_numpy("float64") for name in SHOWN}
    return [histogram(name, each) for name, each in values.items() if len(each)]


def histogram(name: str, values: np.ndarray) -> Histogram:
    """Return the histogram of the values [N], N at least 1."""
    least, most = float(values.min()), float(values.max())
    first, last = np.quantile(values, MIDDLE, method="nearest")
    room = REACH * (last - first)
    low, high = max(least, float(first - room)), min(most, float(last + room))
    if first == last:  # nearly all are one
        low = high = float(first)
    counts = np.histogram(values, BARS, (low, high))[0] if high > low else np.zeros(0)
    return Histogram(
        name=name,
        words=SHOWN[name],
        low=low,
        high=high,
        median=float(np.median(values)),
        least=least,
        most=most,
        bars=tuple((counts / max(counts.max(initial=0), 1)).round(4).tolist()),
        n_below=int((values < low).sum()),
        n_above=int((values > high).sum()),
    )
