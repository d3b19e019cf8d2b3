import pytest

from assay import labels


@pytest.mark.parametrize(
    ("label", "task", "names"),
    [("cat|dog", "single_label", ("cat|dog",)), ("cat|dog", "multi_label", ("cat", "dog")), ("", "multi_label", ())],
)
def test_label_stands_for_its_classes(label: str, task: labels.Task, names: tuple[str, ...]) -> None:
    assert labels.names(label, task) == names
