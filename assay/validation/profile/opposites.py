"""Opposites: images that are like the others only once they are inverted, or once red and blue are exchanged.

A number that such a change turns into its opposite (a level counted from the middle grey, red less blue) has one sign
in most images of some sets: cells, scans and hands in front of a wall, but not photos of anything. A weighted sum of
such numbers is fitted so that it is positive in as many images as can be, each image is scored by a fit to others, and
where hardly any has a score near 0 those on the wrong side are told. Where many have one nothing is told, for nobody
can. Pure: arrays in, reasons out.
"""

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

MIDDLE = 127.5
FOLDS = 5
SAMPLE, BLOCK = 5_000, 100_000  # images that are fitted to at most, and scored at once
# Of the mean square of a number, fit by fit: without it the weights of neighbouring pixels would grow.
RIDGES = (1.0, 0.3, 0.1, 0.01)
MANY = 50  # images; of fewer nothing is told
NEAR, FAR = 0.25, 0.6  # of the median distance from 0: on no side; and surely on one
FEW = 0.03  # of the images may be so near, in a set in which the others can be told
MOST = 0.4  # of the images that are told; of two halves nobody knows which is wrong
LEAST = 0.05  # of the images are nearer to 0 than one on the other side that is told, unless it is surely there
HALF = 0.65  # of those told lie at least so far; nearer ones are the tail of images of no side
DIGITS = 3  # of a score: further ones differ between processors
INVERTED = "like the others once inverted"
EXCHANGED = "like the others once red and blue are exchanged"


def inverted(pixels: np.ndarray | None, rows: pd.DataFrame, is_approved: np.ndarray | None = None) -> "pd.Series[str]":
    """Return of each row why it may be inverted, empty if not; `pixels`: its border and centre, uint8 [N, 2, D].

    Without pixels nothing is told. `is_approved` bool [N]: if they are `MANY`, the others are held against these alone.
    """
    if pixels is None:
        return pd.Series("", index=rows.index)
    is_seen = rows["decodable"].to_numpy(bool)
    return _said(pixels.reshape(-1, 2 * pixels.shape[-1]), MIDDLE, is_seen, rows, is_approved, INVERTED)


def exchanged(rows: pd.DataFrame, is_approved: np.ndarray | None = None) -> "pd.Series[str]":
    """Return of each row why its red and blue may be exchanged, empty if not; grey images have no such side."""
    difference = (rows["red"] - rows["blue"]).to_numpy(np.float64, na_value=0)
    return _said(difference[:, None], 0.0, difference != 0, rows, is_approved, EXCHANGED)


def _said(
    numbers: np.ndarray,
    origin: float,
    has_side: np.ndarray,
    rows: pd.DataFrame,
    is_approved: np.ndarray | None,
    why: str,
) -> "pd.Series[str]":
    said = pd.Series("", index=rows.index)
    among = has_side if is_approved is None else has_side & is_approved
    among = among if np.count_nonzero(among) >= MANY else has_side
    said[has_side & opposite(numbers, among, origin)] = why
    return said


def opposite(numbers: np.ndarray, among: np.ndarray, origin: float = 0.0) -> np.ndarray:
    """Say of each image whether its numbers [N, D] lie as far on the other side of the origin as others do: bool [N].

    `among` bool [N]: the images that say what is usual. None is told where these do not agree, nor where those on the
    other side lie nearer than others do: half of what is inverted is as far as half of the rest.
    """
    none = np.zeros(len(numbers), bool)
    if np.count_nonzero(among) < MANY:
        return none
    score = sides(numbers, among, origin)
    usual = np.abs(score[among])
    is_told = score < -np.clip(np.quantile(usual, LEAST), NEAR, FAR)
    is_clear = (usual < NEAR).mean() <= FEW and is_told[among].mean() <= MOST
    is_opposite = is_told.any() and np.median(-score[is_told]) >= HALF
    return is_told if is_clear and is_opposite else none


def sides(numbers: np.ndarray, among: np.ndarray, origin: float = 0.0) -> np.ndarray:
    """Return on which side of 0 each image lies [N]; the median of the distances from 0 is 1."""
    fold = np.arange(len(numbers)) % FOLDS
    score = np.zeros(len(numbers))
    with threadpool_limits(1):
        weights = [_weights(_some(numbers, among & (fold != number)) - origin) for number in range(FOLDS)]
        for low in range(0, len(numbers), BLOCK):
            part = slice(low, low + BLOCK)
            of_fold = (numbers[part] - origin) @ np.stack(weights, axis=1)
            score[part] = of_fold[np.arange(len(of_fold)), fold[part]]
    found: np.ndarray = (score / max(np.median(np.abs(score[among])), 1e-9)).round(DIGITS)
    return found


def _some(numbers: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Return the numbers of those images, of many evenly spread ones."""
    places = np.flatnonzero(which)
    some: np.ndarray = numbers[places[:: -(-len(places) // SAMPLE)]]
    return some


def _weights(numbers: np.ndarray) -> np.ndarray:
    """Return the weights [D] that give most images a positive sum, as alike as can be (least squares).

    What lies on the other side is turned round and all is fitted again, more closely: images that are inverted would
    else pull at the weights.
    """
    gram, side = numbers.T @ numbers, np.ones(len(numbers))
    unit = (np.trace(gram) / len(gram) + 1e-9) * np.eye(len(gram))
    for ridge in RIDGES:
        weights: np.ndarray = np.linalg.solve(gram + ridge * unit, numbers.T @ side)
        side = np.where(numbers @ weights < 0, -1.0, 1.0)
    return weights if side.sum() >= 0 else -weights
