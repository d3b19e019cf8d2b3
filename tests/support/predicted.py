"""What is predicted on workers: a small export, and images of which some are broken."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
from PIL import Image

from assay import Classifier
from assay.inference import workers
from assay.inference.model import Prediction

N = 3 * workers.CHUNK_IMAGES + 5


@pytest.fixture
def classifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Classifier:
    """A classifier by a path from this folder."""
    monkeypatch.chdir(tmp_path)
    tiny.write(Path("export"), tiny.network())
    return Classifier.load("export")


@pytest.fixture
def images(classifier: Classifier) -> list[str]:
    """Files by a path from this folder: three broken, one gone, all others images."""
    Path("new").mkdir()
    for number, pixels in enumerate(tiny.pixels(N)):
        Image.fromarray(pixels).save(f"new/{number:03}.png")
    for number in (0, 17, N - 1):
        Path(f"new/{number:03}.png").write_bytes(b"broken")
    Path("list.csv").write_text("path\nnew/001.png\nnew/gone.png\n")
    return ["new", "list.csv"]


def told(found: Iterator[Prediction]) -> list[tuple[object, ...]]:
    return [(each, None if each.probabilities is None else each.probabilities.tobytes()) for each in found]
