"""A small export, and a folder of images to ask it about."""

from pathlib import Path

import pytest
import tiny
from PIL import Image


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    tiny.write(folder, tiny.network())
    return folder


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """`new` with five images, one of them in a folder of its own, one hidden and a text."""
    for number, pixels in enumerate(tiny.pixels(5)):
        place = tmp_path / "new" / ("deep" if number == 2 else "") / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place)
    (tmp_path / "new/notes.txt").write_text("no image")
    (tmp_path / "new/.hidden.png").write_bytes(b"")
    return tmp_path / "new"
