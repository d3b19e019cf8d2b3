"""Near-duplicates: which images are copies of one picture, though not one byte of them need be equal.

A thumbnail is uint8 [32, 32], the whole image in grey, in [0, 255] (`measure.thumbnail`); a hash is uint64, 64 bits of
one image. Pairs are int64 [P, 2], rows (i, j) with i < j, sorted, none twice. `candidates` finds pairs by hash,
`confirm` decides on pixels with the threshold of `calibrate`, `groups` puts together what pairs connect.
benchmarks/neighbours.md: what is found, and what it costs.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import combinations, pairwise
from typing import Any, Protocol

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from assay.errors import AssayError


class Thumbnails(Protocol):
    """An array [N, 32, 32], or what is read from the disk like one."""

    def __len__(self) -> int: ...

    def __getitem__(self, which: Any, /) -> np.ndarray: ...


BITS = 64
LISTED = 8  # images of one hash that are paired with all others; 10,000 blank ones would make 5e7 pairs
COMPARED = 1_000_000  # hashes compared at once, in 50 MB a thread
SIDE_PX = 32
AT = (np.arange(SIDE_PX) + 0.5) / (SIDE_PX / 2) - 1  # the middles of the pixels of a side that goes from -1 to 1
MARGIN, SOFT = 0.03, 0.15  # of half a side: not looked at, and looked at less and less
NOISE = 50.0  # grey levels squared: where the contrast is less, a difference counts less

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
RATE = 10 / 490_000  # of the pairs of different pictures that may be confirmed
PER_IMAGE = 0.01  # and how many for one image: in a large set even rare ones would chain all images together


def pairs(hashes: np.ndarray, radius: int) -> np.ndarray:
    """Return every pair of hashes [N] that differ in at most `radius` bits, in [0, 62].

    Exact while no hash occurs more than `LISTED` times. Of one that does, the first `LISTED` are paired as all others
    are, each further one with the first only: a star, so that groups come out the same and P stays in proportion to N.
    Raises `AssayError` for another radius.
    """
    return _pairs(hashes, [hashes], radius)


def _pairs(hashes: np.ndarray, queries: list[np.ndarray], radius: int) -> np.ndarray:
    """Return the pairs (i, j) of which any query of the one image is within `radius` of the hash of the other."""
    if not 0 <= radius <= BITS - 2:
        raise AssayError(f"radius: {radius} bits, it must be in [0, {BITS - 2}]")
    _, place, count = np.unique(hashes, return_inverse=True, return_counts=True)
    members, start = np.argsort(place, kind="stable"), (np.cumsum(count) - count).repeat(count)
    rank = np.arange(len(members)) - start
    star = np.stack([members[start], members], axis=1)[rank >= LISTED]
    listed = np.sort(members[rank < LISTED])
    near = _near(hashes[listed], [query[listed] for query in queries], radius)
    found = np.concatenate([star, listed[near]])
    first, second = found.min(axis=1), found.max(axis=1)
    packed = np.unique((first * len(hashes) + second)[first < second])
    return np.stack(np.divmod(packed, max(len(hashes), 1)), axis=1)


def _near(hashes: np.ndarray, queries: list[np.ndarray], radius: int) -> np.ndarray:
    """Return the places (i, j) where a query's hash i and hash j are within `radius` bits, in any order.

    Two such hashes agree in at least two of radius + 2 bands of bits (pigeonhole), so looking up by every two bands
    finds all of them: multi-index hashing, Norouzi, Punjani and Fleet 2012, with two bands for a key. A pair counts at
    the first two bands that it agrees in, so that a query finds none twice.
    """
    hashes, queries = _spread(hashes), [_spread(query) for query in queries]
    # Two bands make a key of a few bits more than it takes to count the hashes; the rest of a long band is not needed.
    edges = np.linspace(0, BITS, radius + 3).astype(int)
    most = len(hashes).bit_length() // 2 + 2
    bands = [(low, min(high - low, most)) for low, high in pairwise(edges)]

    def by(two: tuple[int, int]) -> np.ndarray:
        return np.concatenate([np.empty((0, 2), np.int64), *_by_key(hashes, queries, radius, bands, *two)])

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return np.concatenate(list(threads.map(by, combinations(range(len(bands)), 2))))


def _spread(hashes: np.ndarray) -> np.ndarray:
    """Return the hashes with the eight bits of a row in eight bytes.

    Neighbouring bits of an image's hash go together: in one band they would make the runs of a key uneven.
    """
    bits = np.unpackbits(hashes[:, None].view(np.uint8), axis=1).reshape(-1, 8, 8)
    return np.packbits(bits.swapaxes(1, 2), axis=2).reshape(-1, 8).view(np.uint64).ravel()


def _by_key(
    hashes: np.ndarray, queries: list[np.ndarray], radius: int, bands: list[tuple[int, int]], a: int, b: int
) -> Iterator[np.ndarray]:
    """Yield the pairs of places of which bands a and b are the first two that agree."""
    masks = [np.uint64(((1 << width) - 1) << low) for low, width in bands]
    size = 1 << (bands[a][1] + bands[b][1])

    def key(of: np.ndarray) -> np.ndarray:
        high = (of & masks[a]) >> np.uint64(bands[a][0]) << np.uint64(bands[b][1])
        return (high | (of & masks[b]) >> np.uint64(bands[b][0])).astype(np.int64)

    keys = key(hashes)
    order = np.argsort(keys)
    ordered, start = hashes[order], np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=size))])
    for query in queries:
        wanted = key(query)
        for left, place in _runs(start[wanted], start[wanted + 1]):
            differ = query[left] ^ ordered[place]
            is_near = np.bitwise_count(differ) <= radius
            left, place, differ = left[is_near], place[is_near], differ[is_near]
            earlier = [differ & band != 0 for k, band in enumerate(masks[:b]) if k != a]
            is_first = np.logical_and.reduce(earlier, axis=0) if earlier else slice(None)
            yield np.stack([left[is_first], order[place[is_first]]], axis=1)


def _runs(start: np.ndarray, stop: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield all (i, place) with start[i] <= place < stop[i], about `COMPARED` of them at once."""
    some = np.flatnonzero(stop > start)
    start, count = start[some], stop[some] - start[some]
    ends = np.cumsum(count)
    cuts = np.searchsorted(ends, np.arange(COMPARED, ends[-1] if len(ends) else 0, COMPARED))
    for low, high in zip([0, *cuts], [*cuts, len(ends)], strict=True):
        few = count[low:high]
        before = np.cumsum(few) - few
        place = np.arange(few.sum()) + (start[low:high] - before).repeat(few)
        yield some[low:high].repeat(few), place


def candidates(thumbnails: Thumbnails) -> np.ndarray:
    """Return the pairs of thumbnails [N, 32, 32] that may be near-duplicates: `confirm` decides.

    A hash has a bit for each of 8x8 frequencies: whether it is above the median of the set, so that what all images of
    a set have in common tells none of them alike. A pair is listed where the hash of an image, or of one of its
    `VARIANTS`, is within a few bits of the hash of the other; the fewer, the larger the set and the more alike its
    images are. The thumbnails are read in blocks, and may be a memory map.
    """
    codes = _codes(thumbnails)
    return _pairs(codes[0], codes, _radius(codes[0]))


def _codes(thumbnails: Thumbnails) -> list[np.ndarray]:
    """Return the hashes [N] of the images and of each of their variants."""
    waves = [(_waves(8, *v[:2]), _waves(8, *v[2:])) for v in [(0.0,) * 4, *VARIANTS]]
    sample = thumbnails[:: max(1, len(thumbnails) // 4096)]
    middle = np.median(_spectrum(sample, *waves[0]), axis=0) if len(sample) else 0
    codes = np.empty((len(waves), len(thumbnails)), np.uint64)

    def fill(low: int) -> None:
        block = np.asarray(thumbnails[low : low + BLOCK], np.float32)
        for code, (down, across) in zip(codes, waves, strict=True):
            above = _spectrum(block, down, across) > middle
            code[low : low + BLOCK] = np.packbits(above, axis=1).view(np.uint64).ravel()

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(fill, range(0, len(thumbnails), BLOCK)))
    return list(codes)


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


def _radius(hashes: np.ndarray) -> int:
    """Return the largest radius at which `CROWD` pairs per image are expected, and one hash per key of two bands."""
    quick = int(2 * BITS / max(8, np.log2(max(1, len(hashes))))) - 2
    distinct = np.unique(hashes)
    some = distinct[:: max(1, len(distinct) // 2000)]
    bits = np.concatenate([np.empty(0, np.uint8), *(np.bitwise_count(one ^ some[:i]) for i, one in enumerate(some))])
    share = np.cumsum(np.bincount(bits, minlength=BITS)) / max(1, len(bits))
    return min(quick, max(0, int((share * len(hashes) / 2 <= CROWD).sum()) - 1))


def _slopes(shift: float, zoom: float) -> np.ndarray:
    """Return the waves at a shift and a zoom, and how they change with the one and with the other: [3, K, 32]."""
    waves, h = partial(_waves, FREQUENCIES), STEP / 4
    by_shift = (waves(shift + h, zoom) - waves(shift - h, zoom)) / (2 * h)
    by_zoom = (waves(shift, zoom + h) - waves(shift, zoom - h)) / (2 * h)
    return np.stack([waves(shift, zoom), by_shift, by_zoom])


TRIED = np.stack(
    [[_slopes(shift * STEP, zoom * STEP) for zoom in range(-STEPS, STEPS + 1)] for shift in range(-STEPS, STEPS + 1)]
)
PLAIN = TRIED[STEPS, STEPS]


def distance(thumbnails: Thumbnails, pairs: np.ndarray) -> np.ndarray:
    """Return how much of each pair's contrast the other image leaves unexplained, float64 [P] in [0, 1].

    The frequencies of each thumbnail [N, 32, 32] are fitted to those of the other by least squares, by themselves
    (gain), their changes with shift and zoom along each side (shift, crop) and their fall to higher ones (blur): image
    registration, Lucas and Kanade 1981, in two steps, the second from the shift and zoom that the first finds. The
    worse of the two fits counts. The thumbnails are read in blocks, and may be a memory map.
    """
    blocks = [pairs[start : start + BLOCK] for start in range(0, len(pairs), BLOCK)]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        found = threads.map(lambda block: _distance(*_both(thumbnails, block)), blocks)
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
    copies, it is extended, by a power law, from two quantiles beyond as many copies as each tenth image would make.
    """
    n = len(thumbnails)
    pairs = np.sort(np.random.default_rng(seed).integers(0, max(n, 1), (SAMPLE, 2)), axis=1)
    pairs = np.unique(pairs[pairs[:, 1] - pairs[:, 0] > CLOSE * n], axis=0)
    blocks = [pairs[start : start + BLOCK] for start in range(0, len(pairs), BLOCK)]
    pairs = np.concatenate([pairs[:0], *(block[_differ(thumbnails, block)] for block in blocks)])
    if not len(pairs):
        return MOST
    rare = min(max(RARE, 1 / n), 0.1)
    near, far = np.quantile(distance(thumbnails, pairs), [rare, 10 * rare])
    if not far:
        return 0.0
    decades = np.log10(rare / min(RATE, 2 * PER_IMAGE / n))
    return float(min(MOST, near * max(near / far, 1 / FALL) ** decades))


def _differ(thumbnails: Thumbnails, pairs: np.ndarray) -> np.ndarray:
    differ: np.ndarray = (thumbnails[pairs[:, 0]] != thumbnails[pairs[:, 1]]).any((1, 2))
    return differ


def confirm(thumbnails: Thumbnails, pairs: np.ndarray, threshold: float) -> np.ndarray:
    """Return whether each pair [P] is one picture: resaved, resized, brightened, blurred, cropped or shifted a little.

    `threshold`: of `calibrate`, over the thumbnails [N, 32, 32] of the whole set.
    """
    is_copy: np.ndarray = distance(thumbnails, pairs) <= threshold
    return is_copy


def groups(n: int, pairs: np.ndarray) -> np.ndarray:
    """Return the group [n] of each image: the smallest index that pairs lead to from it, its own if there is none."""
    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, component = connected_components(links, directed=False)
    _, first = np.unique(component, return_index=True)
    smallest: np.ndarray = first[component].astype(np.int64)
    return smallest
