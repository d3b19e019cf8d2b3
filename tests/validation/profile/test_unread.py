"""What of a file is not used, measured on files that are made here and read as `ingest` reads them."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from cases import images
from pictures import encode
from PIL import Image

from assay.ingestion import measure
from assay.validation.profile import unread


def measured(contents: list[bytes]) -> pd.DataFrame:
    return pd.DataFrame([asdict(measure.measure(content, "a")) for content in contents])


def deep(bits: int, kind: str, n: int = 12) -> pd.DataFrame:
    """Return what is measured of pictures of so many bits in files of 16."""
    values = np.random.default_rng(0).integers(0, 2**bits, (n, 24, 24)).astype(np.uint16)
    return measured([encode(Image.fromarray(each), kind) for each in values])


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize(("bits", "part", "left"), [(10, 64, 4), (12, 16, 16), (14, 4, 64)])
def test_levels_that_a_camera_of_fewer_bits_leaves_empty_are_told(kind: str, bits: int, part: int, left: int) -> None:
    said = unread.levels(deep(bits, kind)).unique()
    assert list(said) == [f"of 65,536 levels only the lowest 1/{part} are used: {left} of 256 are left"]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_files_that_use_their_range_need_no_word(kind: str) -> None:
    assert (unread.levels(deep(16, kind)) == "").all()


def test_few_images_may_all_be_dark_and_some_of_many_too() -> None:
    assert (unread.levels(deep(12, "PNG", n=9)) == "").all()
    assert (unread.levels(pd.concat([deep(12, "PNG"), deep(16, "PNG", n=1)], ignore_index=True)) == "").all()


def test_frames_beyond_the_first_are_told_but_not_the_preview_in_a_jpeg() -> None:
    rows = images("cat", train=3).assign(n_frames=[1, 4, 2], format=["GIF", "TIFF", "JPEG"])
    assert list(unread.frames(rows)) == ["", "the first of 4", ""]
