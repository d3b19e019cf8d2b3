import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay import labels
from assay.errors import AssayError


@pytest.mark.parametrize(
    ("label", "task", "names"),
    [("cat|dog", "single_label", ("cat|dog",)), ("cat|dog", "multi_label", ("cat", "dog")), ("", "multi_label", ())],
)
def test_label_stands_for_its_classes(label: str, task: labels.Task, names: tuple[str, ...]) -> None:
    assert labels.names(label, task) == names


@given(st.lists(st.text(st.characters(exclude_characters="|"))))
def test_joined_classes_come_back_sorted_and_once(names: list[str]) -> None:
    assert labels.names(labels.joined(names), "multi_label") == tuple(sorted(set(names) - {""}))


def test_class_name_with_the_separator_is_refused() -> None:
    with pytest.raises(AssayError, match=r"class 'a\|b' holds '\|'"):
        labels.joined(["cat", "a|b"])


def test_image_counts_in_each_of_its_classes() -> None:
    images = [("sky|bird", 2), ("sky", 3), ("", 4), ("ant", 1)]
    assert list(labels.counts(images, "multi_label").items()) == [("ant", 1), ("bird", 2), ("sky", 5)]
    assert labels.counts(images, "single_label") == {"": 4, "ant": 1, "sky": 3, "sky|bird": 2}


def test_classes_are_those_of_all_labels() -> None:
    assert labels.classes(["b|c", "", "a"], "multi_label") == ("a", "b", "c")
    assert labels.classes(["b|c", "a"], "single_label") == ("a", "b|c")
