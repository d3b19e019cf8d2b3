"""A flip is proposed where images cannot be told from their flipped ones, and not where any class can."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from assay.ingestion.image_statistics import border_and_centre
from assay.operations import fitting, flips

N = 300


def small(images: np.ndarray) -> np.ndarray:
    """Return border and centre of images, [N, 32, 32] in [0, 255]: uint8 [N, 2, 60]."""
    return np.stack([np.stack(border_and_centre(image)) for image in images.clip(0, 255).astype(np.uint8)])


def clouds(seed: int, n: int = N) -> np.ndarray:
    """Return smooth shapes at any place, as often here as there: [n, 32, 32]."""
    random = np.random.default_rng(seed)
    row, column = np.mgrid[:32, :32]
    at, width = random.uniform(2, 30, (2, n, 1, 1)), random.uniform(3, 8, (n, 1, 1))
    shape = np.exp(-((row - at[0]) ** 2 + (column - at[1]) ** 2) / (2 * width**2))
    return 120 + 100 * shape + random.normal(0, 10, (n, 32, 32))


def two_classes(first: np.ndarray, second: np.ndarray) -> tuple[str, str]:
    places = {"first": np.arange(len(first)), "second": len(first) + np.arange(len(second))}
    return flips.choice(small(np.concatenate([first, second])), places)


@pytest.mark.parametrize("seed", range(5))
def test_what_lies_as_often_here_as_there_may_be_flipped_both_ways(seed: int) -> None:
    found, why = two_classes(clouds(seed), clouds(seed + 100))
    assert found == "both"
    assert "by chance 50%" in why


def test_light_from_above_forbids_to_turn_upside_down_and_from_the_side_to_mirror() -> None:
    light = np.linspace(60, 0, 32)
    above, side = clouds(0) + light[:, None], clouds(1) + light
    assert two_classes(above, clouds(2))[0] == "horizontal"
    assert two_classes(side, clouds(2))[0] == "vertical"
    assert two_classes(side, above)[0] == "none"


def test_one_class_that_is_another_when_mirrored_decides() -> None:
    left = clouds(0)
    left[:, 14:18, 8:14] += 60
    found, why = two_classes(left, left[:, :, ::-1])
    assert found == "vertical"
    assert why.startswith("mirrored, 100% of 'first' and 100% of all can; upside down, images cannot be told from")


def test_of_few_images_nothing_is_known() -> None:
    found, why = two_classes(clouds(0), clouds(1, flips.FEWEST - 1))
    assert (found, why.split(",")[0]) == ("none", "'second' has 99 images")


def test_of_a_hundred_classes_chance_forbids_nothing() -> None:
    images = small(clouds(0, 10_000))
    assert flips.choice(images, {str(k): np.arange(k * 100, k * 100 + 100) for k in range(100)})[0] == "both"


def test_handwritten_digits_are_not_flipped() -> None:
    digits = load_digits()
    images = small(np.kron(digits.images * 15.9, np.ones((4, 4))))
    found, why = flips.choice(images, {str(k): np.flatnonzero(digits.target == k) for k in range(10)})
    assert found == "none" and "of all can" in why


def test_train_images_alone_decide() -> None:
    told = clouds(0, 2 * N) + np.linspace(60, 0, 32)
    images, is_train = clouds(1, 2 * N), np.arange(2 * N) % 2 == 0
    images[~is_train] = told[~is_train]
    columns = {"channels": 1, "saturation": 0.0, "width_px": 32, "height_px": 32, "label": "a", "decodable": True}
    rows = pd.DataFrame({**columns, "split": np.where(is_train, "train", "test")})
    rows.loc[rows.index[1::4], "split"] = None
    assert fitting.choices(rows, small(images), ["a"], "single_label")[-1].value == "both"
