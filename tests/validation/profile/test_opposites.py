"""Images that are the opposite of their set are told, and nothing is where a set has no side."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.validation.profile import opposites

N, SIDE = 200, 60


def cells(seed: int, n: int = N) -> np.ndarray:
    """Return border and centre of things that are dark at the border and light in the middle: uint8 [n, 2, SIDE]."""
    random = np.random.default_rng(seed)
    middle = np.array([[60.0], [170.0]]) * random.normal(1, 0.12, (n, 1, 1))
    return (middle + random.normal(0, 25, (n, 2, SIDE))).clip(0, 255).astype(np.uint8)


def photos(seed: int) -> np.ndarray:
    """Return those of photos of anything: each as light and as dark as it happens to be."""
    random = np.random.default_rng(seed)
    return (random.uniform(0, 255, (N, 2, 1)) + random.normal(0, 25, (N, 2, SIDE))).clip(0, 255).astype(np.uint8)


def rows(pixels: np.ndarray, red: np.ndarray | float = 100.0, blue: np.ndarray | float = 100.0) -> pd.DataFrame:
    return pd.DataFrame({"decodable": True, "red": red, "blue": blue}, index=range(len(pixels)))


@pytest.mark.parametrize("n_bad", [1, 10, 60, 75])
def test_inverted_images_are_told_and_no_others(n_bad: int) -> None:
    pixels = cells(0)
    pixels[:n_bad] = 255 - pixels[:n_bad]
    said = opposites.inverted(pixels, rows(pixels)) != ""
    assert said.iloc[:n_bad].mean() >= 0.95
    assert not said.iloc[n_bad:].any()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, N))
def test_of_photos_of_anything_none_is_told(seed: int, n_bad: int) -> None:
    pixels = photos(seed)
    pixels[:n_bad] = 255 - pixels[:n_bad]
    assert (opposites.inverted(pixels, rows(pixels)) == "").all()


@pytest.mark.parametrize(("middle", "spread", "n_told"), [(0.0, 0.64, 0), (-1.0, 0.3, 20)])
def test_tail_of_images_of_no_side_is_not_told_as_opposites_are(middle: float, spread: float, n_told: int) -> None:
    numbers = np.concatenate([np.linspace(0.7, 1.3, 980), middle + np.linspace(-spread, spread, 20)])[:, None]
    said = opposites.opposite(numbers, np.ones(1000, bool))
    assert said[980:].sum() == n_told and not said[:980].any()


def test_of_two_halves_none_is_told() -> None:
    pixels = cells(0)
    pixels[: N // 2] = 255 - pixels[: N // 2]
    assert (opposites.inverted(pixels, rows(pixels)) == "").all()


def test_what_does_not_decode_and_sets_without_pixels_are_not_told() -> None:
    pixels = cells(0)
    pixels[0] = 0
    broken = rows(pixels).assign(decodable=[False] + [True] * (N - 1))
    assert (opposites.inverted(pixels, broken) == "").all()
    assert (opposites.inverted(None, broken) == "").all()
    assert (opposites.inverted(pixels[:5], broken.head(5)) == "").all()


def test_red_and_blue_are_told_where_the_rest_is_redder_and_grey_images_do_not_count() -> None:
    random = np.random.default_rng(0)
    blue = np.full(N, 100.0)
    red = 100 + random.normal(20, 4, N)
    red[:20], blue[:20] = blue[:20], red[:20].copy()
    red[-40:] = blue[-40:] = 100
    said = opposites.exchanged(rows(cells(0), red, blue))
    assert (said.iloc[:20] == opposites.EXCHANGED).mean() >= 0.9
    assert (said.iloc[20:] == "").all()
    assert (opposites.exchanged(rows(cells(0), 100 + random.normal(5, 20, N), 100.0)) == "").all()


def test_new_images_are_held_against_the_approved_ones_however_many_they_are() -> None:
    pixels = np.concatenate([cells(0, 80), 255 - cells(1, 120)])
    is_approved = np.arange(N) < 80
    said = opposites.inverted(pixels, rows(pixels), is_approved) != ""
    assert said.iloc[80:].all()
    assert not said.iloc[:80].any()
