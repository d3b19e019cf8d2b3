from hypothesis import given
from hypothesis import strategies as st

from assay.words import spelling


@given(st.integers(0, 10**12), st.integers(0, 3), st.integers(0, 3))
def test_a_whole_number_is_spelt_in_one_way(number: int, before: int, after: int) -> None:
    assert spelling("0" * before + str(number) + "." * (after > 0) + "0" * after) == str(number)


def test_what_is_no_whole_number_keeps_its_digits() -> None:
    assert [spelling(name) for name in ("1.5", "007b", "v03", "10", "0", "00", "Cat ")] == [
        "1.5", "007b", "v03", "10", "0", "0", "cat",
    ]  # fmt: skip
