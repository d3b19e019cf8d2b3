"""Near-duplicates: which images are copies of one picture, though not one byte of them need be equal.

A thumbnail is uint8 [32, 32], the whole image in grey, in [0, 255] (`measure.thumbnail`). Pairs are int64 [P, 2], rows
(i, j) with i < j, sorted, none twice. `candidates` finds pairs by hash; those whose `distance` of pixels is at most the
threshold of `calibrate` are copies; `groups` puts together what pairs connect. benchmarks/neighbours.md: what is found,
and what it costs.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from assay.ingestion import hamming


class Thumbnails(Protocol):
    """An array [N, 32, 32], or what is read from the disk like one."""

    def __len__(self) -> int: ...

    def __getitem__(self, which: Any, /) -> np.ndarray: ...


SIDE_PX = 32
AT = (np.arange(SIDE_PX) + 0.5) / (SIDE_PX / 2) - 1  # the middles of the pixels of a side that goes from -1 to 1
MARGIN, SOFT = 0.03, 0.15  # of half a side: not looked at, and looked at less and less
NOISE = 50.0  # grey levels squared: where the contrast is less, a difference counts less

LOOKED_AT = 4096  # images that a look is taken of, or a few more
CROWD = 5  # candidates per image that are looked for: where more are expected, the radius is smaller
# What is hashed of an image besides itself: shift and zoom, of half a side, down and across. A shift in the one
# direction finds one in the other, and a crop finds what it was cropped from, for any image may be the first of a pair.
SIDEWAYS = [(0.0, 0.0, shift, 0.045) for shift in (-0.045, 0.045)]
VARIANTS = [(0.0, 0.045, 0.0, 0.045), (0.035, 0.0, 0.035, 0.0), (0.035, 0.0, -0.035, 0.0)]
VARIANTS += [*SIDEWAYS, *(v[2:] + v[:2] for v in SIDEWAYS)]

FREQUENCIES = 12  # along each side, that pixels are compared in
BLOCK = 1000  # pairs compared at once, in 50 MB a thread
STEP, STEPS = 0.02, 6  # of the shifts and zooms that are tried, and how many there are to each side of none
SAMPLE = 50_000  # random pairs that the threshold comes from
MOST = 0.05  # of the contrast unexplained: no threshold is above it, however different the images of a set are
CLOSE = 0.05  # of the images: as far apart in the source two of a random pair are at least
RARE = 4e-4  # the rarest quantile of those that is counted on
FALL = 3.0  # the distance falls no faster with each tenth of the pairs: 1.3 to 2.5 times in all sets looked at
STEEPEST = 4.0  # and from ten times `RARE` to it by less than this: 1.2 to 3.2 in nine sets; with copies 30 and more
RATE = 10 / 490_000  # of the pairs of different pictures that may be confirmed
PER_IMAGE = 0.01  # and how many for one image: in a large set even rare ones would chain all images together


@dataclass(frozen=True)
class Look:
    """How the images of a set are hashed and compared: `middle`, the median of each frequency [64], and the radius."""

    middle: tuple[float, ...]
    radius: int


Change = Callable[[np.ndarray], np.ndarray]


def as_it_is(images: np.ndarray) -> np.ndarray:
    return images


def look(thumbnails: Thumbnails, change: Change = as_it_is) -> Look:
    """Return how images of this set are best hashed, and how far apart the hashes of candidates may be.

    The larger the set and the more alike its images are, the fewer bits. `change` as in `codes`.
    """
    n = len(thumbnails)
    sample = np.arange(0, n, max(1, n // LOOKED_AT))
    middle = np.median(change(spectrum(thumbnails[sample])), axis=0) if n else np.zeros(hamming.BITS)
    found = tuple(round(float(each), 5) for each in middle)
    return Look(found, _radius(codes(thumbnails, sample, found, change)[0], n))


def candidates(thumbnails: Thumbnails, how: Look) -> np.ndarray:
    """Return the pairs of thumbnails [N, 32, 32] that may be near-duplicates: their `distance` decides.

    A pair is listed where the hash of an image, or of one of its `VARIANTS`, is within a few bits of the hash of the
    other.
    """
    return hamming.pairs(codes(thumbnails, np.arange(len(thumbnails)), how.middle), how.radius)


def codes(thumbnails: Thumbnails, which: np.ndarray, middle: Sequence[float], change: Change = as_it_is) -> np.ndarray:
    """Return the hashes [V, N] of those thumbnails that `which` [N] names, and of each of their variants: uint64.

    A hash has a bit for each of 8x8 frequencies: whether it is above the middle of the set, so that what all images of
    a set have in common tells none of them alike. The thumbnails are read in blocks, and may be a memory map. `change`:
    what is hashed in place of the frequencies [N, 64], of the image alone and none of its variants.
    """
    waves = WAVES if change is as_it_is else WAVES[:1]
    found = np.empty((len(waves), len(which)), np.uint64)
    limits = np.array(middle, np.float32)

    def fill(low: int) -> None:
        block = np.asarray(thumbnails[which[low : low + BLOCK]], np.float32)
        for code, (down, across) in zip(found, waves, strict=True):
            above = change(_spectrum(block, down, across)) > limits
            code[low : low + BLOCK] = np.packbits(above, axis=1).view(np.uint64).ravel()

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(fill, range(0, len(which), BLOCK)))
    return found


def spectrum(thumbnails: np.ndarray) -> np.ndarray:
    """Return the 8x8 lowest frequencies [N, 64] of each thumbnail over its contrast."""
    return _spectrum(thumbnails, *WAVES[0])


def _spectrum(thumbnails: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Return the frequencies [N, K * K] of each thumbnail over its contrast."""
    spectrum: np.ndarray = (down @ (thumbnails.astype(np.float32) @ across.T)).reshape(len(thumbnails), -1)
    spectrum /= np.sqrt((spectrum**2).sum(axis=1, keepdims=True) + _noise(down, across) / 8)
    return spectrum


def _waves(n: int, shift: float = 0.0, zoom: float = 0.0) -> np.ndarray:
    """Return the n lowest cosines over a side that is shifted and zoomed: float32 [n, 32], in [-1, 1] or little beyond.

    They fade towards the border, where a shift moves new things in, and sum to 0, so that brightness drops out, and a
    layout of whole rows or columns with it.
    """
    at = (AT - shift) / (1 + zoom)
    window = np.sin(np.clip((1 - MARGIN - np.abs(at)) / SOFT, 0, 1) * np.pi / 2) ** 2
    waves = np.cos(np.outer(np.arange(1, n + 1), at + 1) * np.pi / 2)
    level = (window * waves).sum(axis=1, keepdims=True) / window.sum()
    faded: np.ndarray = window * (waves - level) / (1 + zoom)
    return faded.astype(np.float32)


def _noise(down: np.ndarray, across: np.ndarray) -> float:
    """Return the squares that white noise of the variance `NOISE` adds to a spectrum."""
    return NOISE * float((down**2).sum() * (across**2).sum())


def _radius(hashes: np.ndarray, n: int) -> int:
    """Return the largest radius at which `CROWD` pairs per image are expected, and one hash per key of two bands.

    `hashes`: of a sample of the n images.
    """
    quick = int(2 * hamming.BITS / max(8, np.log2(max(1, n)))) - 2
    distinct = np.unique(hashes)
    some = distinct[:: max(1, len(distinct) // 2000)]
    bits = np.concatenate([np.empty(0, np.uint8), *(np.bitwise_count(one ^ some[:i]) for i, one in enumerate(some))])
    share = np.cumsum(np.bincount(bits, minlength=hamming.BITS)) / max(1, len(bits))
    return min(quick, max(0, int((share * n / 2 <= CROWD).sum()) - 1))


def _slopes(shift: float, zoom: float) -> np.ndarray:
    """Return the waves at a shift and a zoom, and how they change with the one and with the other: [3, K, 32]."""
    waves, h = partial(_waves, FREQUENCIES), STEP / 4
    by_shift = (waves(shift + h, zoom) - waves(shift - h, zoom)) / (2 * h)
    by_zoom = (waves(shift, zoom + h) - waves(shift, zoom - h)) / (2 * h)
    return np.stack([waves(shift, zoom), by_shift, by_zoom])


WAVES = [(_waves(8, *v[:2]), _waves(8, *v[2:])) for v in [(0.0,) * 4, *VARIANTS]]
TRIED = np.stack(
    [[_slopes(shift * STEP, zoom * STEP) for zoom in range(-STEPS, STEPS + 1)] for shift in range(-STEPS, STEPS + 1)]
)
PLAIN = TRIED[STEPS, STEPS]


def distance(thumbnails: Thumbnails, pairs: np.ndarray, change: Change = as_it_is) -> np.ndarray:
    """Return how much of each pair's contrast the other image leaves unexplained, float64 [P] in [0, 1].

    The frequencies of each thumbnail [N, 32, 32] are fitted to those of the other by least squares, by themselves
    (gain), their changes with shift and zoom along each side (shift, crop) and their fall to higher ones (blur): image
    registration, Lucas and Kanade 1981, in two steps, the second from the shift and zoom that the first finds. The
    worse of the two fits counts. The thumbnails are read in blocks, and may be a memory map. `change` is made to the
    second of each pair before.
    """
    blocks = [pairs[start : start + BLOCK] for start in range(0, len(pairs), BLOCK)]

    def of_block(block: np.ndarray) -> np.ndarray:
        left, right = _both(thumbnails, block)
        return _distance(left, change(right))

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        found = threads.map(of_block, blocks)
        return np.concatenate([np.empty(0), *found]).astype(np.float64)


def _both(thumbnails: Thumbnails, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and the second thumbnail of each pair, float32 [P, 32, 32]."""
    return thumbnails[pairs[:, 0]].astype(np.float32), thumbnails[pairs[:, 1]].astype(np.float32)


def _distance(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    plain = np.zeros((1, 4), int)
    (there, moved), (back, moved_back) = _fit(left, right, plain), _fit(right, left, plain)
    worse: np.ndarray = np.maximum(there, back)
    close = worse < 0.5  # the second step is ten times as dear, and for what is no copy of no use
    if close.any():
        left, right = left[close], right[close]
        there, back = _fit(left, right, moved[close])[0], _fit(right, left, moved_back[close])[0]
        worse[close] = np.minimum(worse[close], np.maximum(there, back))
    return worse


def _fit(target: np.ndarray, source: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of `target` that `source` leaves unexplained, [P], and the steps [P, 4] that would explain more.

    `at`: the steps of shift and zoom, down and across, that the source is looked at with, [P, 4] or [1, 4].
    """
    n = len(target)
    wanted = (PLAIN[0] @ (target @ PLAIN[0].T)).reshape(n, -1)
    terms = _terms(source, TRIED[at[:, 0] + STEPS, at[:, 1] + STEPS], TRIED[at[:, 2] + STEPS, at[:, 3] + STEPS])
    gram = terms @ terms.mT
    ridge = 1e-3 * np.einsum("pii->pi", gram) + 1e-3  # a flat image has no terms
    gram += ridge[:, :, None] * np.eye(terms.shape[1], dtype=np.float32)
    weights = np.linalg.solve(gram, terms @ wanted[:, :, None])[:, :, 0]
    rest = ((wanted - (weights[:, None] @ terms)[:, 0]) ** 2).sum(axis=1)
    energy, noise = (wanted**2).sum(axis=1), _noise(PLAIN[0], PLAIN[0])
    share, rounding = rest / (energy + noise), noise / 200
    # Of a faint image all might be noise: the source must explain most of it, but for rounding.
    share = np.where(rest <= energy / 4 + rounding, share, np.maximum(share, rest / (energy + 1)))
    is_positive = (weights[:, 0] > 0) | (energy <= rounding)
    gain = np.maximum(weights[:, :1], 0.2)
    moved = np.clip(np.rint(weights[:, 1:5] / gain / STEP), -STEPS, STEPS).astype(int)
    return np.where(is_positive, share, 1), moved


def _terms(source: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Return what a target is explained by: [P, 6, K * K], the source, its change by shift, by zoom, and its blur."""
    n, k = len(source), FREQUENCIES
    rows = np.matmul(down.reshape(-1, 3 * k, SIDE_PX), source)
    across = across.reshape(-1, 3 * k, SIDE_PX).mT
    plain, by_shift, by_zoom = (rows[:, i * k : (i + 1) * k] for i in range(3))
    both = (plain @ across).reshape(n, k, 3, k)
    itself = both[:, :, 0]
    squares = (np.arange(1, k + 1, dtype=np.float32) / k) ** 2
    blur = itself * (squares[:, None] + squares)
    first = across[:, :, :k]
    terms = [itself, by_shift @ first, by_zoom @ first, both[:, :, 1], both[:, :, 2], blur]
    return np.stack([term.reshape(n, -1) for term in terms], axis=1)


def calibrate(thumbnails: Thumbnails, seed: int) -> float:
    """Return the distance below which a pair of this set is a near-duplicate, in [0, `MOST`].

    The thumbnails stand in the order of the source: what lies close together there is often of one object, alike as no
    two others are, and is not looked at. At most `RATE` of the pairs of different pictures are below it, and
    `PER_IMAGE` for each image, so that a set of look-alikes gets a low one. As the nearest of random pairs may be true
    copies, it is extended, by a power law, from two quantiles beyond as many copies as each tenth image would make, and
    what can only be copies does not count: most images of a set may have a twin in it.
    """
    n = len(thumbnails)
    pairs = np.sort(np.random.default_rng(seed).integers(0, max(n, 1), (SAMPLE, 2)), axis=1)
    pairs = np.unique(pairs[pairs[:, 1] - pairs[:, 0] > CLOSE * n], axis=0)
    blocks = [pairs[start : start + BLOCK] for start in range(0, len(pairs), BLOCK)]
    pairs = np.concatenate([pairs[:0], *(block[_differ(thumbnails, block)] for block in blocks)])
    if not len(pairs):
        return MOST
    rare = min(max(RARE, 1 / n), 0.1)
    near, far = np.quantile(_of_strangers(distance(thumbnails, pairs), rare), [rare, 10 * rare])
    if not far:
        return 0.0
    decades = np.log10(rare / min(RATE, 2 * PER_IMAGE / n))
    return float(min(MOST, near * max(near / far, 1 / FALL) ** decades))


def _of_strangers(distances: np.ndarray, rare: float) -> np.ndarray:
    """Return the distances, sorted, without those that are nearer than different pictures come so often."""
    ordered = np.sort(distances)
    share = np.arange(1, len(ordered) + 1) / len(ordered)
    least = np.quantile(ordered, 10 * rare) / STEEPEST * np.minimum(1, share / rare)
    near = np.flatnonzero((ordered < least) & (rare / 4 < share) & (share < 10 * rare))
    return ordered[near[-1] + 1 if len(near) else 0 :]  # what is nearer than a copy is one too


def _differ(thumbnails: Thumbnails, pairs: np.ndarray) -> np.ndarray:
    differ: np.ndarray = (thumbnails[pairs[:, 0]] != thumbnails[pairs[:, 1]]).any((1, 2))
    return differ


def groups(n: int, pairs: np.ndarray) -> np.ndarray:
    """Return the group [n] of each image: the smallest index that pairs lead to from it, its own if there is none."""
    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, component = connected_components(links, directed=False)
    _, first = np.unique(component, return_index=True)
    smallest: np.ndarray = first[component].astype(np.int64)
    return smallest
