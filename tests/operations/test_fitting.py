"""Sizes and colour that are chosen for images suit them."""

import numpy as np
import pandas as pd
import pytest

from assay import params
from assay.operations import fitting


def rows(n: int = 200, **columns: object) -> pd.DataFrame:
    usual = {"decodable": True, "split": "train", "channels": 3, "saturation": 0.3, "width_px": 300, "height_px": 200}
    return pd.DataFrame({name: columns.get(name, value) for name, value in usual.items()}, index=range(n))


def chosen(table: pd.DataFrame, n_classes: int = 2) -> dict[str, object]:
    return {each.key.partition(".")[2]: each.value for each in choices(table, n_classes)}


def choices(table: pd.DataFrame, n_classes: int) -> list[fitting.Choice]:
    classes = [f"class {number}" for number in range(n_classes)]
    table = table.assign(label=[classes[place % n_classes] for place in range(len(table))])
    return fitting.choices(table, np.zeros((len(table), 2, 60), np.uint8), classes, "single_label")


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(8, 8, (8, 8)), (28, 28, (24, 24)), (32, 32, (32, 32)), (300, 300, (128, 128)), (480, 640, (128, 168))],
)
def test_images_of_one_shape_keep_it_and_are_never_enlarged(height: int, width: int, size: tuple[int, int]) -> None:
    found = chosen(rows(height_px=height, width_px=width))
    assert (found["height_px"], found["width_px"], found["resize"]) == (*size, "stretch")
    assert size[0] <= height
    assert size[1] <= width


@pytest.mark.parametrize(("height", "width"), [(range(100, 300), 200), (100, 900)])
def test_images_of_many_or_long_shapes_are_padded_to_a_square(height: object, width: int) -> None:
    found = chosen(rows(height_px=height, width_px=width))
    assert (found["resize"], found["height_px"]) == ("pad", found["width_px"])


def test_few_odd_images_decide_nothing() -> None:
    table = rows(height_px=200, width_px=200)
    table.loc[:2, ["height_px", "width_px"]] = [[5, 9000]] * 3
    table.loc[198:, "saturation"] = 0.9
    assert chosen(table)["height_px"] == 128
    grey = table.assign(saturation=np.where(table.index < 199, 0.0, 0.5))
    assert chosen(grey)["colour"] == "grey"


@pytest.mark.parametrize(
    ("channels", "saturation", "colour"), [(1, 0.0, "grey"), (3, 0.001, "grey"), (3, 0.2, "rgb"), (4, 0.2, "rgb")]
)
def test_colour_is_kept_where_there_is_some(channels: int, saturation: float, colour: str) -> None:
    assert chosen(rows(channels=channels, saturation=saturation))["colour"] == colour


def test_each_choice_has_a_reason_and_is_one_that_params_take() -> None:
    for choice in choices(rows(), 3):
        assert choice.why
        section, _, key = choice.key.partition(".")
        kind = {"preprocess": params.Preprocess, "train": params.Train}[section]
        assert key.partition(".")[0] in kind.__dataclass_fields__
