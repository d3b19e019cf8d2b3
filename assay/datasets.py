"""Data sets that come with a package: scikit-learn's digits, and four of Keras from its cache.

The cache is read without TensorFlow; Keras is imported only to fetch what is not there. Their test images are given
as test; the others are divided between train and val. Images become PNG.
"""

import gzip
import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from assay.errors import AssayError
from assay.listing import Entry, Source

FASHION = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets"
# By name: what lies in the cache, and where it comes from.
KERAS = {
    "mnist": ("mnist.npz", f"{ORIGIN}/mnist.npz"),
    "fashion_mnist": ("fashion-mnist", f"{ORIGIN}/{{train,t10k}}-{{images-idx3,labels-idx1}}-ubyte.gz"),
    "cifar10": (
        "cifar-10-batches-py-target/cifar-10-batches-py",
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz, unpacked",
    ),
    "cifar100": (
        "cifar-100-python-target/cifar-100-python",
        "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz, unpacked",
    ),
}
ARRAYS = {("numpy", "ndarray"), ("numpy", "dtype"), ("numpy.core.multiarray", "_reconstruct")}

# Images uint8 [N, H, W] or [N, H, W, 3], and the class of each as a number.
Part = tuple[np.ndarray, np.ndarray]


def open_digits() -> Source:
    from sklearn.datasets import load_digits

    digits = load_digits()
    encoded = {
        f"{label}/{number:04d}.png": _png((pixels * 255 / 16).round().astype("uint8"))
        for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True))
    }
    entries = (Entry(path, path.partition("/")[0], len(png), path) for path, png in sorted(encoded.items()))
    return Source("sklearn:digits", tuple(entries), lambda entry: encoded[entry.place])


def open_keras(name: str, dataset: str) -> Source:
    """Return one of `KERAS`; raises `AssayError` if it is not in the cache and cannot be fetched."""
    if dataset not in KERAS:
        raise AssayError(f"{name}: no such data set; keras: has {', '.join(KERAS)}")
    place, origin = KERAS[dataset]
    cache = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras").expanduser() / "datasets" / place
    if not cache.exists():
        _fetch(name, dataset, f"put {origin} at {cache}")
    try:
        parts, classes = READERS[dataset](cache)
        entries = [entry for part in parts for entry in _entries(part, *parts[part], classes)]
    except (OSError, EOFError, KeyError, IndexError, ValueError, pickle.PickleError, zipfile.BadZipFile) as error:
        raise AssayError(f"{name}: {cache} is not what Keras keeps there ({error}); delete it") from None
    return Source(name, tuple(sorted(entries, key=lambda entry: entry.path)), lambda entry: _read(parts, entry))


def _fetch(name: str, dataset: str, instead: str) -> None:
    import keras

    try:
        getattr(keras.datasets, dataset).load_data()
    except Exception as error:  # Keras raises a bare Exception where the network is down
        raise AssayError(f"{name}: cannot be fetched: {' '.join(str(error).split())}; {instead}") from None


def _entries(part: str, images: np.ndarray, numbers: np.ndarray, classes: list[str]) -> list[Entry]:
    # Uncompressed PNGs of one shape have one size.
    size = len(_png(images[0])) if len(images) else 0
    labels = [classes[number] for number in numbers.tolist()]
    split = "test" if part == "test" else None
    return [
        Entry(f"{part}/{label.replace('/', '_')}/{row:05d}.png", label, size, f"{part} {row}", split=split)
        for row, label in enumerate(labels)
    ]


def _read(parts: dict[str, Part], entry: Entry) -> bytes:
    part, _, row = entry.place.partition(" ")
    return _png(parts[part][0][int(row)])


def _mnist(file: Path) -> tuple[dict[str, Part], list[str]]:
    with np.load(file, allow_pickle=False) as arrays:
        parts = {part: (arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test")}
    return parts, [str(digit) for digit in range(10)]


def _fashion_mnist(folder: Path) -> tuple[dict[str, Part], list[str]]:
    def read(file: str, header_bytes: int) -> np.ndarray:
        return np.frombuffer(gzip.decompress((folder / file).read_bytes()), np.uint8, offset=header_bytes)

    parts = {}
    for part, file in (("train", "train"), ("test", "t10k")):
        numbers = read(f"{file}-labels-idx1-ubyte.gz", 8)
        parts[part] = (read(f"{file}-images-idx3-ubyte.gz", 16).reshape(len(numbers), 28, 28), numbers)
    return parts, FASHION


def _cifar10(folder: Path) -> tuple[dict[str, Part], list[str]]:
    batches = [_cifar(folder / f"data_batch_{number}", "labels") for number in range(1, 6)]
    train = np.concatenate([images for images, _ in batches]), np.concatenate([numbers for _, numbers in batches])
    test = _cifar(folder / "test_batch", "labels")
    return {"train": train, "test": test}, _unpickle(folder / "batches.meta")["label_names"]


def _cifar100(folder: Path) -> tuple[dict[str, Part], list[str]]:
    parts = {part: _cifar(folder / part, "fine_labels") for part in ("train", "test")}
    return parts, _unpickle(folder / "meta")["fine_label_names"]


def _cifar(file: Path, labels: str) -> Part:
    content = _unpickle(file)
    return content["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), np.array(content[labels])


class _ArraysOnly(pickle.Unpickler):
    """A pickle can run anything; this one can make arrays and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        # `numpy.core` of the archives is `numpy._core` today.
        if (module.replace("._core", ".core"), name) in ARRAYS:
            return super().find_class(module.replace(".core", "._core"), name)
        raise pickle.UnpicklingError(f"it wants {module}.{name}")


def _unpickle(file: Path) -> dict[str, Any]:
    # Python 2 wrote them: latin1 is how NumPy's bytes survive that.
    content: dict[str, Any] = _ArraysOnly(io.BytesIO(file.read_bytes()), encoding="latin1").load()
    return content


READERS: dict[str, Callable[[Path], tuple[dict[str, Part], list[str]]]] = {
    "mnist": _mnist,
    "fashion_mnist": _fashion_mnist,
    "cifar10": _cifar10,
    "cifar100": _cifar100,
}


def _png(image: np.ndarray) -> bytes:
    """Return the image as PNG, uncompressed: compressors differ between builds of zlib, and so would the bytes."""
    png = io.BytesIO()
    Image.fromarray(image).save(png, "PNG", compress_level=0)
    return png.getvalue()
