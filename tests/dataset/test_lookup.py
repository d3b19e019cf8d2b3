"""Texts are found where they stand first, whatever holds them."""

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.dataset import lookup

texts = st.lists(st.sampled_from(["", "a", "b", "ä", "c\n"]))


@given(texts, st.lists(st.sampled_from(["", "a", "b", "ä", "d", None])))
def test_each_text_is_found_where_it_stands_first(among: list[str], wanted: list[str | None]) -> None:
    expected = [among.index(each) if each in among else -1 for each in wanted]
    assert lookup.places(pd.Series(among, dtype="str"), pd.Series(wanted, dtype="str")).tolist() == expected
    assert lookup.places(pd.Series(among, dtype="object"), pa.chunked_array([wanted], pa.string())).tolist() == expected


@pytest.mark.parametrize("dtype", ["str", "object"])
def test_nothing_is_found_among_nothing(dtype: str) -> None:
    none = pd.Series(dtype=dtype)
    assert lookup.places(none, pd.Series(["a"])).tolist() == [-1]
    assert lookup.places(pd.Series(["a"]), none).tolist() == []
