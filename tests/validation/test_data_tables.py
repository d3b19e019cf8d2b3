"""The tables that suites speak about."""

import pandas as pd
import pytest

from assay.validation import data_tables


@pytest.mark.parametrize(
    ("modes", "odd"),
    [
        ({"RGB": 97, "L": 3}, set()),  # ImageNet has two grey photos in a hundred
        ({"L": 97, "RGB": 3}, {"RGB"}),
        ({"RGB": 94, "RGBA": 3, "P": 3}, {"RGBA", "P"}),
        ({"L": 10}, set()),
    ],
)
def test_grey_among_colour_is_in_no_mode_of_its_own_and_colour_among_grey_is(
    modes: dict[str, int], odd: set[str]
) -> None:
    names = [mode for mode, n in modes.items() for _ in range(n)]
    rows = pd.DataFrame({"mode": names, "bit_depth": 8}).astype({"mode": "str"})
    share = data_tables._mode_share(rows)
    assert {mode for mode, each in zip(names, share, strict=True) if each < 0.33} == odd


def test_grey_of_sixteen_bits_is_odd_among_colour() -> None:
    rows = pd.DataFrame({"mode": ["RGB"] * 9 + ["L"], "bit_depth": [8] * 9 + [16]})
    assert data_tables._mode_share(rows).tolist() == [0.9] * 9 + [0.1]
