"""Outliers: how far each image lies from the others of its own set, in spreads. Pure: a manifest in, columns out.

No limit on brightness or sharpness holds for X-rays and for holiday photos, so a picture is compared with its set. A
spread is what the standard deviation of a normal distribution would be, from the quartile and the last twentieth of the
side that counts, whichever says more: skewed and heavy-tailed sets then have few outliers. `LEAST` is the spread of a
set whose images are all alike.

More bad images than one in twenty stretch that spread until none is odd. They are told as a kind of their own: beyond a
score that sound images of most sets keep (`BEYOND`), far from the middle of the shortest half as the harmless side of
the set measures it, with hardly an image between, and a minority. None of that can a third of bad images bend. Where a
person has approved images of the set, these alone say what is usual. benchmarks/faults/README.md: which sets the scores
were chosen on, and what is found on others.
"""

import contextlib
from collections.abc import Callable

import numpy as np
import pandas as pd

QUARTILE, TWENTIETH = 0.6745, 1.6449  # where a normal distribution has them, in standard deviations
LEAST = {"clipped": 0.084, "low_entropy": 0.2, "partial": 0.02, "odd_aspect": np.log(2) / 5, "odd_size": np.log(4) / 5}
LEAST_OF_LOGARITHMS = 0.1
TENTH = 1.2816  # where a normal distribution has it
UNSEEN_NOISE = 3  # grey levels; of smooth pictures, as enlarged faces are, one of two levels is no grain
# A score, and the distance that it has, the limit of the rule, where those beyond it are a kind of their own.
BEYOND = {
    "dark": (-np.log(47), 6.0),
    "bright": (-np.log(23), 5.3),
    "clipped": (0.42, 5.5),
    "washed_out": (-np.log(57), 4.5),
    "low_entropy": (-4.75, 5.5),
    "blurred": (-0.65, 4.1),
    "noisy": (np.log(7.5 + UNSEEN_NOISE), 4.5),
    "blocky": (np.log(2), 5.5),
    "partial": (0.2, 5.0),
    "odd_aspect": (np.log(3.5), 5.0),  # these two from the middle: no aspect and no size is odd in itself
    "odd_size": (np.log(9), 6.0),
}
HARMLESS = 3.5  # spreads of the harmless side that another kind lies from the middle at least
KIND = (0.02, 0.4)  # of the images, at least and at most: a single one is told by the spread, a half by nobody
# One photo in fifty of things was taken before white: it is clipped there, and of few levels, and nothing is wrong.
LEAST_KIND = {"clipped": 0.03, "low_entropy": 0.03}
BETWEEN = 0.15  # of the way to the limit: where few may lie
FEW = (0.2, 0.03)  # for each one beyond the limit, and of all images
FEWEST = 30  # approved images that say what is usual; of fewer all do

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
    "noisy": lambda rows: _log(rows["noise"] + UNSEEN_NOISE),
    "blocky": lambda rows: _log(rows["blockiness"]),
    "partial": lambda rows: _plain(rows["flat_share"]),
}
TWO_SIDED: dict[str, Scores] = {
    "odd_aspect": lambda rows: _log(rows["width_px"] / rows["height_px"]),
    "odd_size": lambda rows: _log(rows["width_px"] * rows["height_px"]),  # the logarithm of the area
}
NAMES = (*ONE_SIDED, *TWO_SIDED)


def outliers(rows: pd.DataFrame, is_approved: np.ndarray | None = None) -> pd.DataFrame:
    """Return a column for each of `NAMES` with the rows' index: distances from the middle in spreads, [0, inf).

    0 is in the middle or to the harmless side of it, and also what does not decode, or cannot be measured. A column is
    left out if the rows lack those that it is made of: the rule on it then cannot be measured, which is told.
    `is_approved`: bool [N]; if they are `FEWEST` or more, their middle and spread are those of all.
    """
    is_seen = rows["decodable"].astype(bool).to_numpy()
    seen, usual = rows[is_seen], None if is_approved is None else is_approved[is_seen]
    if usual is not None and np.count_nonzero(usual) < FEWEST:
        usual = None
    found = {}
    for name in NAMES:
        with contextlib.suppress(KeyError):
            scores = (ONE_SIDED | TWO_SIDED)[name](seen)
            sides = [scores, -scores] if name in TWO_SIDED else [scores]
            found[name] = np.max([_distance(name, side, usual) for side in sides], axis=0).round(2)
    return pd.DataFrame(found, index=seen.index).reindex(rows.index, fill_value=0.0)


def _distance(name: str, scores: np.ndarray, usual: np.ndarray | None) -> np.ndarray:
    least = float(LEAST.get(name, LEAST_OF_LOGARITHMS))
    if usual is not None:
        return distance(scores, least, scores[usual])
    far, (beyond, spreads) = distance(scores, least, scores), BEYOND[name]
    known = np.sort(scores[~np.isnan(scores)])
    beyond += middle(known) if name in TWO_SIDED and len(known) else 0
    limit = another_kind(known, least, beyond, LEAST_KIND.get(name, KIND[0])) if len(known) else None
    if limit is None:
        return far
    of_kind = spreads * np.nan_to_num(np.maximum(scores - middle(known), 0)) / (limit - middle(known))
    farther: np.ndarray = np.maximum(far, of_kind)
    return farther


def distance(scores: np.ndarray, least: float, usual: np.ndarray) -> np.ndarray:
    """Return how many spreads each score [N] lies above the median of the usual ones, and 0 where it is NaN."""
    known = usual[~np.isnan(usual)]
    if not len(known):
        return np.zeros(len(scores))
    median, quartile, twentieth = np.quantile(known, [0.5, 0.75, 0.95])
    spread = max((quartile - median) / QUARTILE, (twentieth - median) / TWENTIETH, least)
    above: np.ndarray = np.nan_to_num(np.maximum(scores - median, 0)) / spread
    return above


def another_kind(known: np.ndarray, least: float, beyond: float, least_kind: float = KIND[0]) -> float | None:
    """Return the score beyond which the sorted ones [N] are a kind of their own; None: there is no such minority."""
    centre = middle(known)
    harmless = max((centre - float(np.quantile(known, 0.1))) / TENTH, least)
    limit = max(beyond, centre + HARMLESS * harmless)
    n_beyond = np.count_nonzero(known > limit)
    n_between = np.count_nonzero(known > limit - BETWEEN * (limit - centre)) - n_beyond
    is_minority = least_kind * len(known) <= n_beyond <= KIND[1] * len(known)
    return limit if is_minority and n_between <= min(FEW[0] * n_beyond, FEW[1] * len(known)) else None


def middle(known: np.ndarray) -> float:
    """Return the median of the shortest interval that holds half of the sorted scores [N]: Rousseeuw and Leroy, "A
    robust scale estimator based on the shortest half" (1988)."""
    half = len(known) // 2 + 1
    first = int((known[half - 1 :] - known[: len(known) - half + 1]).argmin())
    return float(np.median(known[first : first + half]))
