"""What the border of a picture says of its class, by the pixels that `ingest` kept of border and centre."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from assay.evaluation.diagnosis.evidence import Evidence

SIDE_PX = 16  # of the copy that the pixels are of
# Places in it, as `ingestion.image_statistics` has them, which no stage behind `validate` is to run anew for.
_AT = np.arange(SIDE_PX**2).reshape(SIDE_PX, SIDE_PX)
BORDER = np.concatenate([_AT[0, :-1], _AT[:-1, -1], _AT[-1, :0:-1], _AT[:0:-1, 0]])
CENTRE = np.delete(_AT[4:12, 4:12].ravel(), [0, 7, 56, 63])
NEAREST = 5  # images that are asked for the class
KNOWN, ASKED, FEWEST = 2000, 500, 20  # images of train, and of each split that is held against them
AHEAD, ALIKE = 0.2, 0.1  # shares: the border tells so much more on val than on test, and the centre no more than that
ERRORS = 3.0  # standard errors that it tells more, at the least


@dataclass(frozen=True, kw_only=True)
class Told:
    """Shares of images whose class most of the nearest train images have, by these pixels alone."""

    border: tuple[float, float]  # on val, on test
    centre: tuple[float, float]
    n_asked: tuple[int, int]  # images

    @property
    def is_broken(self) -> bool:
        """Say whether the border gives classes away on val and not on test, which by their centres are alike."""
        of_border, of_centre = (each[0] - each[1] for each in (self.border, self.centre))
        middle = sum(self.border) / 2
        error = math.sqrt(middle * (1 - middle) * sum(1 / n for n in self.n_asked))
        return of_border > max(AHEAD, ERRORS * error) and of_centre < ALIKE


def told(evidence: Evidence) -> Told | None:
    """Return what border and centre tell; None where there are too few images, or several classes an image."""
    rows, pixels = evidence.rows, evidence.pixels
    if (evidence.record or {}).get("task") == "multi_label":
        return None
    numbers = pd.factorize(rows["label"], sort=True)[0]
    of = {name: np.flatnonzero((rows["split"] == name) & (numbers >= 0)) for name in ("train", "val", "test")}
    if min(len(places) for places in of.values()) < FEWEST:
        return None
    known = _some(of["train"], KNOWN)
    asked = [_some(of[name], ASKED) for name in ("val", "test")]
    border, centre = (
        [_share(pixels[known, part], numbers[known], pixels[each, part], numbers[each]) for each in asked]
        for part in (0, 1)
    )
    return Told(border=(border[0], border[1]), centre=(centre[0], centre[1]), n_asked=(len(asked[0]), len(asked[1])))


def explained(evidence: Evidence, split: str) -> np.ndarray | None:
    """Return the share of the variance of each pixel that lies between the classes, [16, 16]; NaN elsewhere.

    Eta squared; None of a split with too few images.
    """
    rows = (evidence.rows["split"] == split).to_numpy() & evidence.rows["label"].notna().to_numpy()
    if rows.sum() < FEWEST:
        return None
    pixels, numbers = evidence.pixels[rows].astype(np.float64), pd.factorize(evidence.rows["label"][rows])[0]
    means = np.stack([pixels[numbers == k].mean(axis=0) for k in range(numbers.max() + 1)])
    between = ((means[numbers] - pixels.mean(axis=0)) ** 2).mean(axis=0)
    share = between / np.maximum(pixels.var(axis=0), 1e-9)
    square = np.full(SIDE_PX * SIDE_PX, np.nan)
    square[BORDER], square[CENTRE] = share
    return square.reshape(SIDE_PX, SIDE_PX)


def _some(places: np.ndarray, most: int) -> np.ndarray:
    return np.sort(np.random.default_rng(0).permutation(places)[:most])


def _share(known: np.ndarray, labels: np.ndarray, asked: np.ndarray, truth: np.ndarray) -> float:
    known, asked = known.astype(np.float32), asked.astype(np.float32)
    distances = (known**2).sum(axis=1) - 2 * asked @ known.T
    nearest = labels[np.argpartition(distances, NEAREST, axis=1)[:, :NEAREST]]
    votes = np.stack([(nearest == k).sum(axis=1) for k in range(int(labels.max()) + 1)], axis=1)
    return float((votes.argmax(axis=1) == truth).mean())
