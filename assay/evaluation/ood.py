"""Is an image unlike anything that the model was trained on, and in what?

Two scores of the penultimate features [N, D], and a few properties of the pixels that the network takes. One score
alone is blind to something: cosine kNN forgets the length, which noise changes, and Mahalanobis sees the length above
all. Each is held over its own threshold, and the larger counts. Far images are seen; near ones, of a class that nobody
named, only if the network is good. Only NumPy is imported, for what answers users needs it too.

kNN: Sun et al. 2022, https://arxiv.org/abs/2204.06507; Mahalanobis: Lee et al. 2018, https://arxiv.org/abs/1807.03888
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np

from assay import files
from assay.errors import AssayError

K = 10  # neighbours
PASSED = 0.95  # share of validation images that each score lets pass
DIGITS = 6  # of a threshold
ROUGH = 100  # fewer validation images tell a threshold roughly
SHRINKAGE = 1e-3  # of the covariance towards a sphere, so that it can be inverted
MOST = 10_000  # train images that are kept
FARTHEST = 6.0  # spreads of a property, beyond which an image is named for it
LEAST_SPREAD = 0.1  # of a property, so that a set whose images are all alike does not accuse the next one
QUARTILE, TWENTIETH = 0.6745, 1.6449  # where a normal distribution has them, in standard deviations
ROWS = 64  # compared at once
CANDIDATES = 3  # times k: so many neighbours by float32 are compared anew in float64
NEVER = 1e30  # a threshold, where none is known: JSON has no infinity
LARGEST = 1e15  # of a feature: beyond it the squares in `precision` are no float32
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of ITU-R BT.601

# Pixels in grey, float32 [N, H, W], in [0, 255] to a score that is the higher the worse; validation asks the same of
# the files, see assay/validation/profile/outliers.py.
Score = Callable[[np.ndarray], np.ndarray]


def _percentile(grey: np.ndarray, percent: float) -> np.ndarray:
    return np.asarray(np.percentile(grey, percent, axis=(1, 2)))


def _sharpness(grey: np.ndarray) -> np.ndarray:
    """Return the standard deviation of the Laplacian of each image [N]; 0 where there is no inner pixel."""
    if min(grey.shape[1:]) < 3:
        return np.zeros(len(grey))
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    return np.asarray((around - 4 * grey[:, 1:-1, 1:-1]).std(axis=(1, 2)))


def _blur(grey: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(grey.std(axis=(1, 2)) + 2) / 2 - np.log(_sharpness(grey) + 1))


PROPERTIES: dict[str, Score] = {
    "dark": lambda grey: -np.log(_percentile(grey, 99) + 1),
    "bright": lambda grey: -np.log(256 - (_percentile(grey, 50) + grey.mean(axis=(1, 2))) / 2),
    "washed out": lambda grey: -np.log(_percentile(grey, 99) - _percentile(grey, 1) + 4),
    "blurred": _blur,
    "noisy": lambda grey: -_blur(grey),
}


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What new images are held against."""

    features: np.ndarray  # float16 [M, D], of train; only their directions are used, see `_held`
    labels: np.ndarray  # int64 [M], or of a multi-label set 0 or 1 for each class [M, K]
    sha256: np.ndarray  # S64 [M]
    means: np.ndarray  # float32 [C, D], of each class; of a multi-label set of all, C = 1
    precision: np.ndarray  # float32 [D, D], the inverse of the covariance around them
    middles: np.ndarray  # float64 [P], the median of each of PROPERTIES
    spreads: np.ndarray  # float64 [P]

    @cached_property
    def units(self) -> np.ndarray:
        """The features, each of length 1, float32 [M, D]: to make them takes longer than to compare a few images."""
        return _unit(self.features.astype(np.float32))

    @cached_property
    def exact(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Means, precision, and the product of both, float64 [C, D], [D, D], [C, D]."""
        means, precision = self.means.astype(np.float64), self.precision.astype(np.float64)
        return means, precision, means @ precision


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of the scores; what `models/answering.json` keeps under `ood`."""

    k: int
    knn_threshold: float
    mahalanobis_threshold: float
    note: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    is_unlike: bool
    score: float  # above 1 it is unlike the train images: by its features or by a property
    reasons: tuple[str, ...]  # for people; empty if the image is like those of train


def fit(features: np.ndarray, labels: np.ndarray, sha256: np.ndarray, seen: np.ndarray) -> Reference:
    """Return what train images are like: by features [M, D], labels [M] or [M, K] and `properties` [M, P].

    At most `MOST` images should be given. Those with a feature that is no number, or beyond `LARGEST`, are left out;
    raises `AssayError` if no other is there.
    """
    is_known = (np.abs(features.astype(np.float64)) <= LARGEST).all(axis=1)  # NaN is not
    if not is_known.any():
        raise AssayError(
            f"features: none of {len(features):,} train images has finite ones, of at most {LARGEST:g}; "
            "look at the training"
        )
    features, labels, sha256, seen = (each[is_known] for each in (features, labels, sha256, seen))
    exact = features.astype(np.float64)
    members = [labels == label for label in np.unique(labels)] if labels.ndim == 1 else [np.ones(len(labels), bool)]
    means = np.stack([exact[of_class].mean(axis=0) for of_class in members])
    centred = exact.copy()
    for of_class, mean in zip(members, means, strict=True):
        centred[of_class] -= mean
    covariance = centred.T @ centred / len(centred)
    sphere = max(float(np.trace(covariance)) / len(covariance), 1e-12) * np.eye(len(covariance))
    precision = np.linalg.inv((1 - SHRINKAGE) * covariance + SHRINKAGE * sphere)
    return Reference(
        features=_held(features),
        labels=labels.astype(np.int64),
        sha256=sha256,
        means=means.astype(np.float32),
        precision=precision.astype(np.float32),
        middles=np.median(seen, axis=0),
        spreads=_spreads(seen),
    )


def _held(features: np.ndarray) -> np.ndarray:
    """Return the features as float16 [M, D]; of rows that are too long or too short for it, only the direction."""
    kind = np.finfo(np.float16)
    largest = np.abs(features).max(axis=1, keepdims=True)
    fits = (largest == 0) | ((largest >= kind.tiny) & (largest <= kind.max))
    return np.asarray((features / np.where(fits, features.dtype.type(1), largest)).astype(np.float16))


def _spreads(seen: np.ndarray) -> np.ndarray:
    middle, quarter, twentieth = np.quantile(seen, [0.5, 0.75, 0.95], axis=0)
    found = np.maximum((quarter - middle) / QUARTILE, (twentieth - middle) / TWENTIETH)
    return np.asarray(np.maximum(found, LEAST_SPREAD))


def scores(reference: Reference, features: np.ndarray, k: int = K) -> tuple[np.ndarray, np.ndarray]:
    """Return how far each image is, float64 [N] each: by kNN and by Mahalanobis; infinite where a feature is no number.

    kNN: 1 less the cosine to the k-th nearest train image, in [0, 2]. Mahalanobis: the squared distance to the nearest
    class. Train images should not be asked about: each is its own neighbour. All that is said is reckoned in float64:
    in float32 the last digits hang on the processor, its threads, and how many images are asked about at once.
    """
    is_known = np.isfinite(features).all(axis=1)
    kept = np.where(is_known[:, None], features, 0).astype(np.float64)
    knn = 1 - nearest(reference, kept, k)[1][:, -1]
    parts = [kept[start : start + ROWS] for start in range(0, len(kept), ROWS)]
    mahalanobis = np.concatenate([np.empty(0), *(_squared(part, reference) for part in parts)])
    return np.where(is_known, knn, np.inf), np.where(is_known, mahalanobis, np.inf)


def _unit(features: np.ndarray) -> np.ndarray:
    return np.asarray(features / np.maximum(np.linalg.norm(features, axis=-1, keepdims=True), 1e-12))


def _squared(features: np.ndarray, reference: Reference) -> np.ndarray:
    means, precision, pulled = reference.exact
    product = features @ precision
    found = [((product - pull) * (features - mean)).sum(axis=1) for mean, pull in zip(means, pulled, strict=True)]
    return np.asarray(np.min(found, axis=0))


def nearest(reference: Reference, features: np.ndarray, k: int = K) -> tuple[np.ndarray, np.ndarray]:
    """Return the places in the reference of the k nearest train images, nearest first, and their cosines: [N, k].

    Of images that are equally near the first comes first.
    """
    k = min(k, len(reference.features))
    parts = [_nearest(reference, features[start : start + ROWS], k) for start in range(0, len(features), ROWS)]
    places, cosines = zip((np.empty((0, k), int), np.empty((0, k))), *parts, strict=True)
    return np.concatenate(places), np.concatenate(cosines)


def _nearest(reference: Reference, features: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    n, asked = min(CANDIDATES * k, len(reference.features)), _unit(features.astype(np.float64))
    roughly = asked.astype(np.float32) @ reference.units.T
    near = np.sort(np.argpartition(-roughly, n - 1, axis=1)[:, :n], axis=1)
    cosines = np.einsum("nkd,nd->nk", _unit(reference.features[near].astype(np.float64)), asked)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(near, order, axis=1), np.take_along_axis(cosines, order, axis=1)


def limits(reference: Reference, val_features: np.ndarray) -> Limits:
    """Return the thresholds that let `PASSED` of the validation images pass, each score by itself.

    Kinds of processor add up a product of matrices in orders of their own: rounding hides that.
    """
    knn, mahalanobis = scores(reference, val_features)
    known = np.isfinite(knn)
    if not known.any():
        return Limits(k=K, knn_threshold=NEVER, mahalanobis_threshold=NEVER, note="no validation image to tell by")
    n = int(known.sum())
    said = f"{100 * PASSED:g} % of {n:,} validation images pass each"
    return Limits(
        k=K,
        knn_threshold=_threshold(knn[known]),
        mahalanobis_threshold=_threshold(mahalanobis[known]),
        note=said + (f"; fewer than {ROUGH} tell it roughly" if n < ROUGH else ""),
    )


def _threshold(of_validation: np.ndarray) -> float:
    return max(float(f"{np.quantile(of_validation, PASSED):.{DIGITS}g}"), 1e-6)


def properties(images: np.ndarray) -> np.ndarray:
    """Return the score of each of `PROPERTIES`, float64 [N, P], of uint8 images [N, H, W, C], C 1 or 3."""
    found = []
    for start in range(0, len(images), ROWS):
        part = images[start : start + ROWS].astype(np.float32)
        grey = part[..., 0] if part.shape[-1] == 1 else _grey(part)
        found.append(np.stack([score(grey) for score in PROPERTIES.values()], axis=1))
    return np.concatenate([np.empty((0, len(PROPERTIES))), *found]).astype(np.float64)


def _grey(images: np.ndarray) -> np.ndarray:
    return np.asarray(images[..., 0] * LUMA[0] + images[..., 1] * LUMA[1] + images[..., 2] * LUMA[2])


def ratios(reference: Reference, limits: Limits, features: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return how far each image is, over what is allowed: kNN, Mahalanobis and each property, float64 [N, 2 + P].

    An image is unlike the train images if one of them is above 1. `features` [N, D], `seen`: its `properties` [N, P].
    """
    knn, mahalanobis = scores(reference, features, limits.k)
    far = np.stack([knn / limits.knn_threshold, mahalanobis / limits.mahalanobis_threshold], axis=1)
    return np.concatenate([far, (seen - reference.middles) / reference.spreads / FARTHEST], axis=1)


def verdicts(reference: Reference, limits: Limits, features: np.ndarray, images: np.ndarray) -> list[Verdict]:
    """Return what is said of each image, by features [N, D] and pixels as the network takes them [N, H, W, C]."""
    return [verdict(of_image) for of_image in ratios(reference, limits, features, properties(images))]


def verdict(ratios: np.ndarray) -> Verdict:
    """Return the answer from the `ratios` [2 + P] of one image."""
    far = float(ratios[:2].max())
    odd = [
        f"{name}: {FARTHEST * ratio:.0f} spreads beyond the train images, the limit is {FARTHEST:g}"
        for name, ratio in zip(PROPERTIES, ratios[2:], strict=True)
        if ratio > 1
    ]
    unlike = [f"unlike the train images: {far:.2f} times as far as 19 of 20 validation images"] if far > 1 else []
    return Verdict(is_unlike=bool(odd or unlike), score=float(ratios.max()), reasons=tuple(odd + unlike))


def write(file: Path, reference: Reference) -> None:
    """Write the reference as .npz; equal arrays give equal bytes, for NumPy dates its members 1980."""
    with files.replacing(file) as out:
        np.savez(out, **{each.name: getattr(reference, each.name) for each in fields(reference)})


def read(file: Path) -> Reference:
    with np.load(file, allow_pickle=False) as content:
        return Reference(**{name: content[name] for name in content.files})
