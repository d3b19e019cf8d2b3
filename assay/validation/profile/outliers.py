"""Outliers: how far each image lies from the others of its own set, in spreads. Pure: a manifest in, columns out.

No limit on brightness or sharpness holds for X-rays and for holiday photos, so a picture is compared with its set. A
spread is what the standard deviation of a normal distribution would be, from the quartile and the last twentieth of the
side that counts, whichever says more: skewed and heavy-tailed sets then have few outliers, and up to one image in
twenty may be bad before it hides. `LEAST` is the spread of a set whose images are all alike.
"""

import contextlib
from collections.abc import Callable

import numpy as np
import pandas as pd

QUARTILE, TWENTIETH = 0.6745, 1.6449  # where a normal distribution has them, in standard deviations
LEAST = {"clipped": 0.05, "low_entropy": 0.2, "partial": 0.02, "odd_aspect": np.log(2) / 5, "odd_size": np.log(4) / 5}
LEAST_OF_LOGARITHMS = 0.1

Scores = Callable[[pd.DataFrame], np.ndarray]


def _plain(values: "pd.Series[float]") -> np.ndarray:
    plain: np.ndarray = values.to_numpy(np.float64, na_value=np.nan)
    return plain


def _log(values: "pd.Series[float]") -> np.ndarray:
    logarithms: np.ndarray = np.log(_plain(values))
    return logarithms


# The higher, the worse; the last two are odd to both sides.
ONE_SIDED: dict[str, Scores] = {
    "dark": lambda rows: -_log(rows["p99"] + 1),  # dark to its brightest spot: a night sky has stars
    "bright": lambda rows: -_log(256 - (rows["p50"] + rows["brightness"]) / 2),
    # A third of a picture may be clipped that is bright nowhere else: a dark scene, exposed too long.
    "clipped": lambda rows: _plain(rows["clipped_share"]),
    "washed_out": lambda rows: -_log(rows["p99"] - rows["p1"] + 4),
    "low_entropy": lambda rows: -_plain(rows["entropy"]),
    # Little contrast makes little sharpness; the root, for contrast is not all.
    "blurred": lambda rows: -_log(rows["sharpness"] + 1) + _log(rows["contrast"] + 2) / 2,
    "noisy": lambda rows: _log(rows["noise"] + 0.5),
    "blocky": lambda rows: _log(rows["blockiness"]),
    "partial": lambda rows: _plain(rows["flat_share"]),
}
TWO_SIDED: dict[str, Scores] = {
    "odd_aspect": lambda rows: _log(rows["width_px"] / rows["height_px"]),
    "odd_size": lambda rows: _log(rows["width_px"] * rows["height_px"]),  # the logarithm of the area
}
NAMES = (*ONE_SIDED, *TWO_SIDED)


def outliers(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a column for each of `NAMES` with the rows' index: distances from the median in spreads, [0, inf).

    0 is in the middle or to the harmless side of it, and also what does not decode, or cannot be measured. A column is
    left out if the rows lack those that it is made of: the rule on it then cannot be measured, which is told.
    """
    seen = rows[rows["decodable"].astype(bool)]
    found = {}
    for name in NAMES:
        with contextlib.suppress(KeyError):
            scores = (ONE_SIDED | TWO_SIDED)[name](seen)
            least = float(LEAST.get(name, LEAST_OF_LOGARITHMS))
            below = distance(-scores, least) if name in TWO_SIDED else 0
            found[name] = np.maximum(distance(scores, least), below).round(2)
    return pd.DataFrame(found, index=seen.index).reindex(rows.index, fill_value=0.0)


def distance(scores: np.ndarray, least: float) -> np.ndarray:
    """Return how many spreads each score [N] lies above the median, 0 below it and where the score is NaN."""
    known = scores[~np.isnan(scores)]
    if not len(known):
        return np.zeros(len(scores))
    median, quartile, twentieth = np.quantile(known, [0.5, 0.75, 0.95])
    spread = max((quartile - median) / QUARTILE, (twentieth - median) / TWENTIETH, least)
    above: np.ndarray = np.nan_to_num(np.maximum(scores - median, 0)) / spread
    return above
