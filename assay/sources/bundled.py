"""Data sets that come with a package: scikit-learn's digits, and four of Keras by the names that it gives them."""

import io

import numpy as np
from PIL import Image

from assay.errors import AssayError
from assay.sources import tfds
from assay.sources.listing import Entries, Entry, Source

KERAS = ("mnist", "fashion_mnist", "cifar10", "cifar100")  # TensorFlow Datasets has them by the same names


def open_digits() -> Source:
    from sklearn.datasets import load_digits

    digits = load_digits()
    encoded = {
        f"{label}/{number:04d}.png": _png((pixels * 255 / 16).round().astype("uint8"))
        for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True))
    }
    entries = (Entry(path, path.partition("/")[0], len(png), path) for path, png in sorted(encoded.items()))
    return Source("sklearn:digits", Entries(entries), lambda entry: encoded[entry.place])


def open_keras(name: str, dataset: str) -> Source:
    """Return one of `KERAS`, as TensorFlow Datasets holds it: Keras' own files are pickles, which can run anything.

    Raises `AssayError` for another name, and where the set is not to be had.
    """
    if dataset not in KERAS:
        raise AssayError(f"{name}: no such data set; keras: has {', '.join(KERAS)}, tfds: has many more")
    return tfds.open_tfds(name, dataset)


def _png(image: np.ndarray) -> bytes:
    """Return the image as PNG, uncompressed: compressors differ between builds of zlib, and so would the bytes."""
    png = io.BytesIO()
    Image.fromarray(image).save(png, "PNG", compress_level=0)
    return png.getvalue()
