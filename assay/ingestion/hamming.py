"""Pairs of hashes that differ in a few bits, found without comparing each with each.

A hash is uint64, 64 bits of one image; `codes` [V, N] are the hashes of N images and, below them, those of V - 1
variants of each. Pairs are int64 [P, 2], rows (i, j) with i < j, sorted, none twice. benchmarks/neighbours.md: what it
costs.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations, pairwise

import numpy as np

from assay.errors import AssayError

BITS = 64
LISTED = 8  # images of one hash that are paired with all others; 10,000 blank ones would make 5e7 pairs
COMPARED = 1_000_000  # hashes compared at once, in 50 MB a thread
SCANNED = 200_000  # the same where each is compared with each: what fits into the cache


def pairs(codes: np.ndarray, radius: int) -> np.ndarray:
    """Return every pair of images of which the hash of the one is within `radius` bits of a code of the other.

    Exact while no hash occurs more than `LISTED` times. Of one that does, the first `LISTED` are paired as all others
    are, each further one with the first only: a star, so that groups come out the same and P stays in proportion to N.
    Raises `AssayError` for a radius outside [0, 62].
    """
    star, is_listed = stars(codes[0])
    listed = np.flatnonzero(is_listed)
    near = listed[search(codes[:, listed], np.ones(len(listed), bool), radius)]
    return ordered(np.concatenate([star, near]), codes.shape[1])


def stars(hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of images with the first of their hash, and which of the hashes [N] are in none: bool [N]."""
    _, place, count = np.unique(hashes, return_inverse=True, return_counts=True)
    members, start = np.argsort(place, kind="stable"), (np.cumsum(count) - count).repeat(count)
    is_listed = np.empty(len(hashes), bool)
    is_listed[members] = np.arange(len(members)) - start < LISTED
    star = np.stack([members[start], members], axis=1)
    return star[~is_listed[members]], is_listed


def search(codes: np.ndarray, is_new: np.ndarray, radius: int) -> np.ndarray:
    """Return the pairs of which at least one image is new, bool [N], in any order and perhaps twice."""
    if not 0 <= radius <= BITS - 2:
        raise AssayError(f"radius: {radius} bits, it must be in [0, {BITS - 2}]")
    new = np.flatnonzero(is_new)
    if len(new) == len(is_new):
        return _near(codes[0], codes, radius)
    if not len(new):
        return np.empty((0, 2), np.int64)
    # Sorted is what is few: the codes of the new images, which the hashes of all are looked up in, and their hashes.
    by_new, of_new = _near(codes[:, new].ravel(), codes[:1], radius), _near(codes[0, new], codes, radius)
    by_new[:, 1], of_new[:, 1] = new[by_new[:, 1] % len(new)], new[of_new[:, 1]]
    return np.concatenate([by_new, of_new])


def ordered(found: np.ndarray, n: int) -> np.ndarray:
    """Return the pairs of n images as this module has them, without those of an image and itself."""
    first, second = found.min(axis=1), found.max(axis=1)
    packed = np.unique((first * n + second)[first < second])
    return np.stack(np.divmod(packed, max(n, 1)), axis=1)


def _near(hashes: np.ndarray, codes: np.ndarray, radius: int) -> np.ndarray:
    """Return the places (i, j) where a code of image i and the hash [N] of image j are within `radius` bits.

    Two such hashes agree in at least two of radius + 2 bands of bits (pigeonhole), so looking up by every two bands
    finds all of them: multi-index hashing, Norouzi, Punjani and Fleet 2012, with two bands for a key. A pair counts at
    the first two bands that it agrees in, so that a query finds none twice.
    """
    if _is_scan_cheaper(len(hashes), codes.shape, radius):
        return _scanned(hashes, codes, radius)
    hashes, queries = _spread(hashes), [_spread(code) for code in codes]
    bands = _bands(len(hashes), radius)

    def by(two: tuple[int, int]) -> np.ndarray:
        return np.concatenate([np.empty((0, 2), np.int64), *_by_key(hashes, queries, radius, bands, *two)])

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return np.concatenate(list(threads.map(by, combinations(range(len(bands)), 2))))


def _bands(n: int, radius: int) -> list[tuple[int, int]]:
    """Return the lowest bit and the width of each band for n hashes.

    Two bands make a key of a few bits more than it takes to count the hashes; the rest of a long band is not needed.
    """
    edges = np.linspace(0, BITS, radius + 3).astype(int)
    most = n.bit_length() // 2 + 2
    return [(low, min(high - low, most)) for low, high in pairwise(edges)]


def _is_scan_cheaper(n: int, shape: tuple[int, ...], radius: int) -> bool:
    """Say whether to compare each with each costs less: of few hashes, and of wide radii, whose keys are short.

    In nanoseconds of one core, measured at 1,000 to 20,000 hashes and radii of 4 to 12 (benchmarks/neighbours.md).
    """
    variants, queries = shape
    widths = [width for _, width in _bands(n, radius)]
    keys = [first + second for first, second in combinations(widths, 2)]
    by_keys = 11 * variants * queries * n * sum(2.0**-bits for bits in keys)
    by_keys += len(keys) * (60_000 + 40 * (n + variants * queries))
    return 0.8 * variants * queries * n <= by_keys


def _scanned(hashes: np.ndarray, codes: np.ndarray, radius: int) -> np.ndarray:
    """Return what `_near` does, from comparing each code with each hash."""
    some = max(1, SCANNED // max(1, len(hashes)))
    starts = [(code, low) for code in codes for low in range(0, len(code), some)]

    def of(start: tuple[np.ndarray, int]) -> np.ndarray:
        code, low = start
        differ = np.bitwise_count(code[low : low + some, None] ^ hashes)
        left, place = np.divmod(np.flatnonzero(differ.ravel() <= radius), len(hashes))
        return np.stack([left + low, place], axis=1)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return np.concatenate([np.empty((0, 2), np.int64), *threads.map(of, starts)])


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
