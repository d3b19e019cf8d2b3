"""Properties: the numbers of an image whose distribution is approved, and that must not give its class away.

`PIXELS` tell what is seen, `FILES` only how it was saved.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

Values = Callable[[pd.DataFrame], "pd.Series[float]"]

OF_MANIFEST = (
    *("width_px", "height_px", "brightness", "contrast", "entropy", "p1", "p5", "p50", "p95", "p99"),
    *("black_share", "white_share", "sharpness", "noise", "comb", "blockiness", "saturation"),
)
DIFFERENCES: dict[str, Values] = {
    "red_blue": lambda rows: rows["red"] - rows["blue"],
    "red_green": lambda rows: rows["red"] - rows["green"],
    "blue_green": lambda rows: rows["blue"] - rows["green"],
}
# What each difference would be, and with which sign, if red and blue were swapped.
SWAPPED = {"red_blue": ("red_blue", -1), "red_green": ("blue_green", 1), "blue_green": ("red_green", 1)}
PIXELS = (*OF_MANIFEST, *DIFFERENCES)
FILES = ("bytes", "jpeg_quality")
NAMES = (*PIXELS, *FILES)


def values(rows: pd.DataFrame) -> np.ndarray:
    """Return the properties `NAMES` of the rows of a manifest, float64 [P, N]; NaN where there is none."""
    columns = (DIFFERENCES[name](rows) if name in DIFFERENCES else rows[name] for name in NAMES)
    return np.stack([column.to_numpy(np.float64, na_value=np.nan) for column in columns])
