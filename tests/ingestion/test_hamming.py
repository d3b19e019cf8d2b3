import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.errors import AssayError
from assay.ingestion import hamming, near_duplicates

WAYS = {"by keys": False, "by comparing each with each": True}
CHOICE = hamming._is_scan_cheaper


@pytest.fixture(autouse=True, scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test in both ways, whichever the sizes would choose."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hamming, "_is_scan_cheaper", lambda *sizes: WAYS[request.param])
        yield


@pytest.mark.parametrize(("n", "radius", "wanted"), [(1_000, 12, True), (20_000, 12, True), (1_000_000, 6, False)])
def test_few_hashes_and_wide_radii_are_compared_each_with_each(n: int, radius: int, wanted: bool) -> None:
    assert CHOICE(n, (len(near_duplicates.WAVES), n), radius) == wanted


def brute_force(hashes: np.ndarray, radius: int) -> list[tuple[int, int]]:
    values = [int(value) for value in hashes]
    return [
        (i, j)
        for i in range(len(values))
        for j in range(i + 1, len(values))
        if (values[i] ^ values[j]).bit_count() <= radius
    ]


def listed(pairs: np.ndarray) -> list[tuple[int, ...]]:
    return [tuple(pair) for pair in pairs.tolist()]


@st.composite
def crowds(draw: st.DrawFn) -> np.ndarray:
    """Draw distinct hashes around a few centres, so that all distances from 1 to 20 bits occur."""
    centres = draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=3))
    flips = st.lists(st.integers(0, 63), max_size=10).map(lambda bits: sum({1 << bit for bit in bits}))
    drawn = draw(st.lists(st.tuples(st.sampled_from(centres), flips), max_size=40))
    return np.array(list(dict.fromkeys(centre ^ flip for centre, flip in drawn)), np.uint64)


@settings(max_examples=100, deadline=None)
@given(crowds(), st.integers(0, 8))
def test_pairs_are_those_of_brute_force_in_their_order(hashes: np.ndarray, radius: int) -> None:
    assert listed(hamming.pairs(hashes[None], radius)) == brute_force(hashes, radius)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 3, 2**63, 2**64 - 1]), max_size=60), st.integers(0, 8))
def test_repeated_hashes_are_grouped_as_by_brute_force(values: list[int], radius: int) -> None:
    hashes = np.array(values, np.uint64)
    found, true = hamming.pairs(hashes[None], radius), brute_force(hashes, radius)
    assert set(listed(found)) <= set(true)
    assert listed(found) == sorted(set(listed(found)))
    every = np.array(true, np.int64).reshape(-1, 2)
    assert (near_duplicates.groups(len(hashes), found) == near_duplicates.groups(len(hashes), every)).all()


def test_hash_that_occurs_eight_times_is_paired_in_full() -> None:
    hashes = np.array([7, 6] * 8, np.uint64)
    assert listed(hamming.pairs(hashes[None], 1)) == brute_force(hashes, 1)


@pytest.mark.parametrize("radius", range(9))
def test_planted_neighbours_are_found_to_the_last_bit_of_the_radius(radius: int) -> None:
    random = np.random.default_rng(radius)
    hashes = random.integers(0, 2**64, 400, dtype=np.uint64)
    for planted in range(200):
        distance = radius if planted < 100 else radius + 1
        flipped = random.permutation(64)[:distance]
        hashes[200 + planted] = int(hashes[planted]) ^ sum(1 << int(bit) for bit in flipped)
    assert listed(hamming.pairs(hashes[None], radius)) == [(i, 200 + i) for i in range(100)]


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_hashes_have_no_pair(n: int) -> None:
    found = hamming.pairs(np.zeros((1, n), np.uint64), 4)
    assert (found.shape, found.dtype) == ((0, 2), np.int64)


@pytest.mark.parametrize("radius", [-1, 63])
def test_radius_beyond_the_bits_is_refused(radius: int) -> None:
    with pytest.raises(AssayError, match=f"radius: {radius} bits, it must be in \\[0, 62\\]"):
        hamming.pairs(np.zeros((1, 2), np.uint64), radius)


def test_a_hash_repeated_without_end_makes_a_star_in_little_memory() -> None:
    hashes = np.zeros(20_000, np.uint64)
    tracemalloc.start()
    found = hamming.pairs(hashes[None], 4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 8 * 7 / 2 + 20_000 - 8
    assert (near_duplicates.groups(20_000, found) == 0).all()
    assert peak < 5e6


@settings(max_examples=60, deadline=None)
@given(crowds(), st.integers(0, 8), st.sets(st.integers(0, 39)))
def test_search_finds_the_pairs_of_new_images_and_no_others(hashes: np.ndarray, radius: int, new: set[int]) -> None:
    codes = np.stack([hashes, hashes ^ np.uint64(0b111)])
    is_new = np.isin(np.arange(len(hashes)), list(new))
    every = hamming.pairs(codes, radius)
    found = hamming.ordered(hamming.search(codes, is_new, radius), len(hashes))
    assert listed(found) == listed(every[is_new[every].any(axis=1)])
