"""Which flips leave the images of a set what they are, as far as the images tell.

What a flip changes in an image, its pixels less those of its mirror image, is the opposite in the mirror image. So a
weighted sum of it that is positive in most originals tells these from their mirror images: of digits, signs and faces
in one light there is one, of photographs of animals and things there is none. It is fitted to some images of a class,
and asked of the others.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats
from threadpoolctl import threadpool_limits

from assay.ingestion.image_statistics import BORDER, CENTRE

SIDE = 16  # of the small copy whose border and centre are known
FEWEST, MOST = 100, 2_000  # images of a class: of fewer nothing is said, of more not all are looked at
FOLDS = 5
RIDGE = 0.1  # of the mean square of a difference
LIMIT = 0.55  # of the images of a class, or of all classes, may be told from their mirror images; by chance 0.5
DOUBT = 0.05  # that any class is called told by chance
NONE = "`horizontal` is for photographs whose mirror images are still what they are"
SOME = "`none` where a letter or a small mark says what an image is, which such a look does not see"


@dataclass(frozen=True, kw_only=True)
class Told:
    """How many of a class's images can be told from their flipped ones, in the class of which most can."""

    label: str
    share: float
    of_all: float  # the mean of the classes
    is_told: bool


def choice(pixels: np.ndarray, places: Mapping[str, np.ndarray]) -> tuple[str, str]:
    """Return the value of params.yaml's `train.augment.flip` for the images, and why.

    `pixels`: border and centre of each image, uint8 [N, 2, 60]; `places`: where in it the images of each class are.
    """
    fewest = min(places, key=lambda label: len(places[label]))
    if len(places[fewest]) < FEWEST:
        seen = f"'{fewest}' has {len(places[fewest]):,} images"
        return "none", f"{seen}, and of fewer than {FEWEST} nobody knows whether their mirror images are usual; {NONE}"
    mirrored, upside_down = (told(pixels, places, is_vertical=each) for each in (False, True))
    name = {(False, False): "both", (False, True): "horizontal", (True, False): "vertical"}
    found = name.get((mirrored.is_told, upside_down.is_told), "none")
    said = f"mirrored, {_said(mirrored)}; upside down, {_said(upside_down)}"
    return found, f"{said}; {NONE if found == 'none' else SOME}"


def told(pixels: np.ndarray, places: Mapping[str, np.ndarray], *, is_vertical: bool) -> Told:
    """Return how far the images can be told from their flipped ones, left to right or upside down."""
    flat = pixels.reshape(len(pixels), -1).astype(np.float64)
    order = _flipped(is_vertical)
    some = {label: at[:: -(-len(at) // MOST)] for label, at in places.items()}
    with threadpool_limits(1):
        shares = {label: _share(flat[at] - flat[at][:, order]) for label, at in some.items()}
    surely = {label: shares[label] - _chance(len(at), len(some)) for label, at in some.items()}
    most, of_all = max(surely, key=lambda label: surely[label]), float(np.mean(list(shares.values())))
    return Told(label=most, share=shares[most], of_all=of_all, is_told=surely[most] > LIMIT or of_all > LIMIT)


def _said(found: Told) -> str:
    if not found.is_told:
        return f"images cannot be told from the originals ({found.share:.0%} of '{found.label}', by chance 50%)"
    return f"{found.share:.0%} of '{found.label}' and {found.of_all:.0%} of all can"


def _flipped(is_vertical: bool) -> np.ndarray:
    """Return where each of the known pixels [120] of a flipped copy is in the copy."""
    places = np.concatenate([BORDER, CENTRE])
    row, column = places // SIDE, places % SIDE
    of = (SIDE - 1 - row) * SIDE + column if is_vertical else row * SIDE + (SIDE - 1 - column)
    order = np.argsort(places)
    found: np.ndarray = order[np.searchsorted(places[order], of)]
    return found


def _share(differences: np.ndarray) -> float:
    """Return which share of the differences [N, D] has a positive sum, weighted as others of them have one."""
    fold = np.arange(len(differences)) % FOLDS
    is_positive = np.zeros(len(differences), bool)
    for number in range(FOLDS):
        others = differences[fold != number]
        gram = others.T @ others
        unit = (np.trace(gram) / len(gram) + 1e-9) * np.eye(len(gram))
        weights = np.linalg.solve(gram + RIDGE * unit, others.sum(axis=0))
        is_positive[fold == number] = differences[fold == number] @ weights > 0
    return float(is_positive.mean())


def _chance(n_images: int, n_classes: int) -> float:
    """Return by how much the share of so many images may be above its expectation, in none of so many classes."""
    return float(stats.norm.ppf(1 - DOUBT / n_classes) * 0.5 / np.sqrt(n_images))
