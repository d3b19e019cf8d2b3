import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from assay.errors import AssayError
from assay.sources import bundled, opening, tfds


def test_digits_are_given_with_their_levels_stretched_to_255() -> None:
    images = opening.open_source("sklearn:digits")
    assert len(images.entries) == 1797
    first = images.entries[0]
    with Image.open(io.BytesIO(images.read(first))) as shown:
        pixels = np.asarray(shown)
    number = int(first.path.partition("/")[2].removesuffix(".png"))
    assert (pixels == np.round(load_digits().images[number] * 255 / 16)).all()


@pytest.mark.parametrize("name", bundled.KERAS)
def test_keras_names_are_those_of_tensorflow_datasets(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(tfds, "open_tfds", lambda *given: asked.append(given))
    bundled.open_keras(f"keras:{name}", name)
    assert asked == [(f"keras:{name}", name)]
    package = pytest.importorskip("tensorflow_datasets")
    assert package.builder_cls(name).name == name


def test_unknown_data_set_says_which_are_known() -> None:
    with pytest.raises(AssayError, match="keras: has mnist, fashion_mnist, cifar10, cifar100, tfds: has many more"):
        opening.open_source("keras:imagenet")
