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
WORDS = {  # for people
    "width_px": "width, in px",
    "height_px": "height, in px",
    "brightness": "brightness, 0 to 255",
    "contrast": "contrast, in grey levels",
    "entropy": "entropy, in bits",
    "p1": "grey level that 1 % of the pixels do not exceed",
    "p5": "grey level that 5 % of the pixels do not exceed",
    "p50": "median grey level",
    "p95": "grey level that 95 % of the pixels do not exceed",
    "p99": "grey level that 99 % of the pixels do not exceed",
    "black_share": "share of black pixels",
    "white_share": "share of white pixels",
    "sharpness": "sharpness",
    "noise": "noise, in grey levels",
    "comb": "gaps between the grey levels in use",
    "blockiness": "blockiness of JPEG",
    "saturation": "saturation, 0 to 1",
    "red_blue": "red less blue, in levels",
    "red_green": "red less green, in levels",
    "blue_green": "blue less green, in levels",
    "bytes": "size of the file, in bytes",
    "jpeg_quality": "quality of the JPEG, 1 to 100",
}


def values(rows: pd.DataFrame) -> np.ndarray:
    """Return the properties `NAMES` of the rows of a manifest, float64 [P, N]; NaN where there is none."""
    columns = (DIFFERENCES[name](rows) if name in DIFFERENCES else rows[name] for name in NAMES)
    return np.stack([column.to_numpy(np.float64, na_value=np.nan) for column in columns])
