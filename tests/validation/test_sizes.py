"""Histograms of sizes stay readable beside an outlier, and count every image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.validation import sizes


def test_one_outlier_does_not_squeeze_the_rest_into_a_bar() -> None:
    values = np.array([*range(200, 400), 90_000], dtype=float)
    found = sizes.histogram("width_px", values)
    assert (found.n_below, found.n_above, found.most) == (0, 1, 90_000)
    assert found.high < 500
    assert sum(bar > 0 for bar in found.bars) > len(found.bars) / 2


@pytest.mark.parametrize(
    ("values", "n_below", "n_above"), [([8, 8, 8], 0, 0), ([8] * 300 + [9], 0, 1), ([5] + [8] * 300, 1, 0)]
)
def test_sizes_that_are_nearly_all_one_have_no_bars(values: list[int], n_below: int, n_above: int) -> None:
    found = sizes.histogram("bytes", np.array(values, dtype=float))
    assert (found.bars, found.n_below, found.n_above) == ((), n_below, n_above)


@settings(deadline=None)
@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=300))
def test_bars_stand_within_what_was_seen_and_reach_to_one(values: list[int]) -> None:
    found = sizes.histogram("height_px", np.array(values, dtype=float))
    assert found.least <= found.low <= found.high <= found.most
    assert not found.bars or max(found.bars) == 1
    inside = len(values) - found.n_below - found.n_above
    assert inside == sum(found.low <= value <= found.high for value in values) > 0
