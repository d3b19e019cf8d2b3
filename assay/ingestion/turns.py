"""Mirrored and turned copies: near-duplicates of which one lies as the other does not.

A turn is a number in [0, 8): 1 mirrors left and right, 2 up and down, 4 swaps rows and columns before that; 0 leaves
all as it is. The frequencies of a turned image are those of the image with other signs, and in other places. So one
hash, of what no turn changes, finds the candidates of all seven turns at once; each is then compared in those turns in
which the signs agree too. Thumbnails and pairs as in near_duplicates.py.
"""

from functools import partial

import numpy as np

from assay.ingestion import near_duplicates
from assay.ingestion.near_duplicates import BLOCK, Look, Thumbnails

NAMES = {
    0: "",
    1: "mirrored",
    2: "mirrored",
    3: "turned by 180 degrees",
    4: "mirrored and turned by 90 degrees",
    5: "turned by 90 degrees",
    6: "turned by 90 degrees",
    7: "mirrored and turned by 90 degrees",
}
SIDE = 8  # frequencies of a hash along each side
SIGNS = np.where(np.arange(1, SIDE + 1) % 2, -1, 1).astype(np.float32)  # the odd cosines change theirs
UPPER, ABOVE = np.triu_indices(SIDE), np.triu_indices(SIDE, 1)
ALIKE = 0.9  # the least cosine between the frequencies of two that are compared pixel by pixel
# Seven turns are seven chances to be alike, and what is nearly symmetric has more. Of pictures that differ a tenth as
# many are as near as a third of a distance (`near_duplicates.FALL`).
STRICTER = near_duplicates.FALL


def turned(images: np.ndarray, turn: int) -> np.ndarray:
    """Return images [..., H, W] as they lie after the turn."""
    images = images.swapaxes(-2, -1) if turn & 4 else images
    images = images[..., ::-1] if turn & 1 else images
    return images[..., ::-1, :] if turn & 2 else images


def look(thumbnails: Thumbnails) -> Look:
    """Return how images of this set are best hashed for turned copies: `near_duplicates.look`."""
    return near_duplicates.look(thumbnails, unturned)


def codes(thumbnails: Thumbnails, which: np.ndarray, how: Look) -> np.ndarray:
    """Return the hash [1, N] of those thumbnails that `which` [N] names, the same for each turn of an image."""
    return near_duplicates.codes(thumbnails, which, how.middle, unturned)


def unturned(spectrum: np.ndarray) -> np.ndarray:
    """Return what of the frequencies [N, 64] no turn changes: the strength of both of a pair, and how it differs."""
    strength = np.abs(spectrum).reshape(-1, SIDE, SIDE)
    both, apart = strength + strength.mT, np.abs(strength - strength.mT)
    found: np.ndarray = np.ascontiguousarray(np.concatenate([both[:, *UPPER], apart[:, *ABOVE]], axis=1))
    return found


def closest(thumbnails: Thumbnails, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance of each pair [P] in the turn in which it is least, and that turn; 1 and 0: alike in none."""
    distance, turn = np.ones(len(pairs)), np.zeros(len(pairs), np.uint8)
    alike = _alike(thumbnails, pairs)
    for number in range(1, 8):
        at = np.flatnonzero(alike[:, number])
        found = near_duplicates.distance(thumbnails, pairs[at], partial(turned, turn=number))
        nearer = at[found < distance[at]]
        distance[nearer], turn[nearer] = found[found < distance[at]], number
    return distance, turn


def _alike(thumbnails: Thumbnails, pairs: np.ndarray) -> np.ndarray:
    """Say in which turns the second of each pair has nearly the frequencies of the first: bool [P, 8]."""
    found = np.zeros((len(pairs), 8), bool)
    for low in range(0, len(pairs), BLOCK):
        some = pairs[low : low + BLOCK]
        left, right = (_normal(thumbnails[some[:, side]]) for side in (0, 1))
        for turn in range(1, 8):
            found[low : low + BLOCK, turn] = (left * _turned(right, turn)).sum(axis=(1, 2)) >= ALIKE
    return found


def _normal(thumbnails: np.ndarray) -> np.ndarray:
    """Return the frequencies of each thumbnail, [P, 8, 8], the sum of whose squares is 1 but for flat ones."""
    spectrum = near_duplicates.spectrum(thumbnails)
    length = np.sqrt((spectrum**2).sum(axis=1, keepdims=True))
    normal: np.ndarray = (spectrum / np.maximum(length, 1e-6)).reshape(-1, SIDE, SIDE)
    return normal


def _turned(spectrum: np.ndarray, turn: int) -> np.ndarray:
    """Return the frequencies [P, 8, 8] of images as they would be after the turn."""
    spectrum = spectrum.mT if turn & 4 else spectrum
    spectrum = spectrum * SIGNS if turn & 1 else spectrum
    return spectrum * SIGNS[:, None] if turn & 2 else spectrum
