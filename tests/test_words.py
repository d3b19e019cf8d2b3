import pytest

from assay.errors import AssayError
from assay.words import check_known, few


def test_few_names_are_all_told_and_of_many_the_nearest() -> None:
    assert few(["b", "a"], "c") == "b, a"
    names = [f"image {number:03d}" for number in range(200)]
    assert few(names, "picture 17").count(",") == 4
    assert few(names, "picture 17").endswith(" and 195 more")
    assert "image 017" in few(names, "017")


def test_nearest_name_is_told_alone() -> None:
    names = [f"image {number:03d}" for number in range(200)]
    check_known("list", "image 017", names)
    with pytest.raises(AssayError, match=r"^list: unknown 'imag 017'; did you mean 'image 017'\?$"):
        check_known("list", "imag 017", names)
