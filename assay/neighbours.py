"""Near-duplicates: which images are copies of one picture, though not one byte of them need be equal.

A hash is uint64, 64 bits of one image; a thumbnail is uint8 [32, 32], the whole image in grey, in [0, 255]. Pairs are
int64 [P, 2], rows (i, j) with i < j, sorted, none twice. `pairs` finds candidates by hash, `confirm` decides on pixels
with the threshold of `calibrate`, `groups` puts together what pairs connect. benchmarks/neighbours.md: what is found.
"""

from itertools import combinations

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from assay.errors import AssayError

BITS = 64
LISTED = 8  # images of one hash that are paired with all others; 10,000 blank ones would make 5e7 pairs
SIDE_PX = 32
BLOCK = 1000  # pairs compared at once, in 50 MB
SAMPLE = 20_000  # random pairs that the threshold comes from
MOST = 0.05  # of the contrast unexplained: no threshold is above it, however different the images of a set are


def pairs(hashes: np.ndarray, radius: int) -> np.ndarray:
    """Return every pair of hashes [N] that differ in at most `radius` bits, in [0, 62].

    Exact while no hash occurs more than `LISTED` times. Of one that does, the first `LISTED` are paired as all others
    are, each further one with the first only: a star, so that groups come out the same and P stays in proportion to N.
    Raises `AssayError` for another radius.
    """
    if not 0 <= radius <= BITS - 2:
        raise AssayError(f"radius: {radius} bits, it must be in [0, {BITS - 2}]")
    distinct, place, count = np.unique(hashes, return_inverse=True, return_counts=True)
    members, start = np.argsort(place, kind="stable"), np.cumsum(count) - count
    itself = np.arange(len(distinct)).repeat(2).reshape(-1, 2)
    near = np.concatenate([itself[count > 1], _near(distinct, radius)])
    found = [_further(members, start, count)]
    for a in range(min(LISTED, count.max(initial=0))):
        for b in range(min(LISTED, count.max(initial=0))):
            there = near[(count[near[:, 0]] > a) & (count[near[:, 1]] > b)]
            there = there if a < b else there[there[:, 0] != there[:, 1]]
            found.append(members[start[there] + (a, b)])
    listed: np.ndarray = np.sort(np.concatenate(found), axis=1)
    return np.take(listed, np.lexsort(listed.T[::-1]), axis=0)


def _further(members: np.ndarray, start: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return the pairs of the first image of each hash with those after the first `LISTED`."""
    rank = np.arange(len(members)) - start.repeat(count)
    star = np.stack([members[start.repeat(count)], members], axis=1)
    return np.compress(rank >= LISTED, star, axis=0)


def _near(hashes: np.ndarray, radius: int) -> np.ndarray:
    """Return the pairs of distinct hashes within `radius` bits, in any order.

    Two such hashes agree in at least two of radius + 2 bands of bits (pigeonhole), so sorting by every two bands brings
    all of them together: multi-index hashing, Norouzi, Punjani and Fleet 2012, with two bands for a key. A pair counts
    at the first two bands that it agrees in, so that none is found twice.
    """
    # Bits apart in a band: neighbouring bits of an image's hash go together, and would make the runs uneven.
    bands = [np.uint64(sum(1 << bit for bit in range(k, BITS, radius + 2))) for k in range(radius + 2)]
    found = [np.empty((0, 2), np.int64)]
    for a, b in combinations(range(len(bands)), 2):
        keys = hashes & (bands[a] | bands[b])
        order = np.argsort(keys)
        together = order[_within_runs(keys[order], hashes[order], radius)]
        differ = hashes[together[:, 0]] ^ hashes[together[:, 1]]
        earlier = [band for k, band in enumerate(bands[:b]) if k != a]
        is_first = np.all([differ & band != 0 for band in earlier], axis=0) if earlier else slice(None)
        found.append(together[is_first])
    return np.concatenate(found)


def _within_runs(keys: np.ndarray, hashes: np.ndarray, radius: int) -> np.ndarray:
    """Return the pairs of places that are in one run of equal keys and at most `radius` bits apart; memory is O(N)."""
    last = np.searchsorted(keys, keys, side="right") - 1
    left, step = np.arange(len(keys)), 1
    found = [np.empty((0, 2), np.int64)]
    while len(left := left[left + step <= last[left]]):
        close = left[np.bitwise_count(hashes[left] ^ hashes[left + step]) <= radius]
        found.append(np.stack([close, close + step], axis=1))
        step += 1
    return np.concatenate(found)


def distance(thumbnails: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return how much of each pair's contrast the other image leaves unexplained, float64 [P] in [0, 1].

    Each thumbnail [N, 32, 32] is fitted to the other by least squares, by itself (gain), its gradient (shift), its
    zoom (crop) and its Laplacian (blur): one step of image registration, Lucas and Kanade 1981. The means of rows and
    columns are taken off first, and brightness and a layout of bars with them. The worse of the two fits counts.
    """
    blocks = [pairs[start : start + BLOCK] for start in range(0, len(pairs), BLOCK)]
    return np.concatenate([np.empty(0), *(_distance(thumbnails[i], thumbnails[j]) for i, j in (b.T for b in blocks))])


def _distance(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    # Smoothed, a shift of one pixel stays where a gradient describes it.
    a, b = (gaussian_filter(side.astype(np.float32), (0, 1, 1)) for side in (left, right))
    worse: np.ndarray = np.maximum(_unexplained(a, b), _unexplained(b, a))
    return worse.astype(np.float64)


def _unexplained(target: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Return the share of the variance of `target` [P, 32, 32] that no small change of `source` explains."""
    down, right = np.gradient(source, axis=(1, 2))
    at = (np.arange(SIDE_PX, dtype=np.float32) - (SIDE_PX - 1) / 2) / (SIDE_PX / 2)
    zoom = at[:, None] * down + at * right
    blur = np.gradient(down, axis=1) + np.gradient(right, axis=2)
    terms = np.stack([_level(term) for term in (source, down, right, zoom, blur)], axis=1)
    wanted = _level(target)[:, :, None]
    ridge = np.eye(terms.shape[1], dtype=np.float32)  # a flat image has no terms
    weights = np.linalg.solve(terms @ terms.mT + ridge, terms @ wanted)
    rest = wanted - terms.mT @ weights
    # One grey level of noise is allowed for, or two blank images would differ by their rounding alone.
    share = (rest**2).sum((1, 2)) / ((wanted**2).sum((1, 2)) + wanted.shape[1])
    return np.where((weights[:, 0, 0] > 0) | (share == 0), share, 1)  # a negative is no copy


def _level(images: np.ndarray) -> np.ndarray:
    """Return the images [P, 32, 32] without their border and the means of their rows and columns, as [P, 900]."""
    inner = images[:, 1:-1, 1:-1]
    rows, columns = inner.mean(2, keepdims=True), inner.mean(1, keepdims=True)
    level: np.ndarray = inner - rows - columns + inner.mean((1, 2), keepdims=True)
    return level.reshape(len(images), -1)


def calibrate(thumbnails: np.ndarray, seed: int) -> float:
    """Return the distance below which a pair of this set is a near-duplicate, in [0, `MOST`].

    About 10 of 490,000 random pairs are below it, so that a set of look-alikes gets a low one. It is extended from the
    0.1 % and the 1 % quantile of random pairs, as the rarest of them may be true copies; where those are near one
    in 1,000 random pairs (a copy of each tenth of 100 images), it is too low and misses some.
    """
    pairs = np.sort(np.random.default_rng(seed).integers(0, max(len(thumbnails), 1), (SAMPLE, 2)), axis=1)
    pairs = np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)
    apart = np.any([(thumbnails[pairs[:, 0], row] != thumbnails[pairs[:, 1], row]).any(1) for row in range(SIDE_PX)], 0)
    if not apart.any():
        return MOST
    rarest, rare = np.quantile(distance(thumbnails, pairs[apart]), [0.001, 0.01])
    return float(min(MOST, rarest**2 / rare)) if rare else 0.0


def confirm(thumbnails: np.ndarray, pairs: np.ndarray, threshold: float) -> np.ndarray:
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
