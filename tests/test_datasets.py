import gzip
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from assay import datasets, image, source
from assay.errors import AssayError

RNG = np.random.default_rng(0)
GREY = {part: RNG.integers(0, 256, (n, 28, 28), np.uint8) for part, n in (("train", 4), ("test", 2))}
NUMBERS = {"train": np.array([3, 0, 3, 9], np.uint8), "test": np.array([9, 0], np.uint8)}
COLOURED = RNG.integers(0, 256, (12, 32, 32, 3), np.uint8)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "datasets").mkdir()
    return tmp_path / "datasets"


def pixels(images: source.Source, number: int, side_px: int, colour: image.Colour) -> np.ndarray:
    content = images.read(images.entries[number])
    assert len(content) == images.entries[number].bytes
    return image.prepare(content, height_px=side_px, width_px=side_px, colour=colour, resize="stretch").squeeze()


def listed(name: str) -> list[tuple[str, str | None, str | None]]:
    return [(entry.path, entry.label, entry.split) for entry in source.open_source(name).entries]


def as_cifar(file: Path, images: np.ndarray, key: str, numbers: list[int]) -> None:
    """Save images as CIFAR does: a row of 3072 bytes, the red plane first."""
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = np.array([image.transpose(2, 0, 1).ravel() for image in images])
    file.write_bytes(pickle.dumps({"data": rows, key: numbers}, protocol=4))


def test_mnist_is_read_and_its_test_images_are_given_as_test(cache: Path) -> None:
    np.savez(cache / "mnist.npz", **{f"x_{p}": GREY[p] for p in GREY}, **{f"y_{p}": NUMBERS[p] for p in GREY})
    assert listed("keras:mnist") == [
        ("test/0/00001.png", "0", "test"),
        ("test/9/00000.png", "9", "test"),
        ("train/0/00001.png", "0", None),
        ("train/3/00000.png", "3", None),
        ("train/3/00002.png", "3", None),
        ("train/9/00003.png", "9", None),
    ]
    images = source.open_source("keras:mnist")
    assert (pixels(images, 0, 28, "grey") == GREY["test"][1]).all()
    assert (pixels(images, 4, 28, "grey") == GREY["train"][2]).all()


def test_fashion_is_read_and_its_classes_have_names(cache: Path) -> None:
    (cache / "fashion-mnist").mkdir()
    for part, file in (("train", "train"), ("test", "t10k")):
        n = len(NUMBERS[part])
        of_images = struct.pack(">4i", 2051, n, 28, 28) + GREY[part].tobytes()
        of_numbers = struct.pack(">2i", 2049, n) + NUMBERS[part].tobytes()
        (cache / f"fashion-mnist/{file}-images-idx3-ubyte.gz").write_bytes(gzip.compress(of_images))
        (cache / f"fashion-mnist/{file}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(of_numbers))
    assert listed("keras:fashion_mnist")[:3] == [
        ("test/Ankle boot/00000.png", "Ankle boot", "test"),
        ("test/T-shirt_top/00001.png", "T-shirt/top", "test"),
        ("train/Ankle boot/00003.png", "Ankle boot", None),
    ]
    assert (pixels(source.open_source("keras:fashion_mnist"), 0, 28, "grey") == GREY["test"][0]).all()


def test_cifar10_is_read_with_all_its_batches(cache: Path) -> None:
    folder = cache / "cifar-10-batches-py-target/cifar-10-batches-py"
    for number in range(5):
        as_cifar(folder / f"data_batch_{number + 1}", COLOURED[2 * number : 2 * number + 2], "labels", [0, 1])
    as_cifar(folder / "test_batch", COLOURED[10:], "labels", [1, 0])
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": ["airplane", "automobile"]}))
    assert listed("keras:cifar10")[:3] == [
        ("test/airplane/00001.png", "airplane", "test"),
        ("test/automobile/00000.png", "automobile", "test"),
        ("train/airplane/00000.png", "airplane", None),
    ]
    images = source.open_source("keras:cifar10")
    assert len(images.entries) == 12
    assert (pixels(images, 0, 32, "rgb") == COLOURED[11]).all()
    assert (pixels(images, 6, 32, "rgb") == COLOURED[8]).all()


def test_cifar100_has_its_fine_classes_and_is_read_as_python_2_wrote_it(cache: Path) -> None:
    folder = cache / "cifar-100-python-target/cifar-100-python"
    as_cifar(folder / "test", COLOURED[:1], "fine_labels", [1])
    row = COLOURED[1].transpose(2, 0, 1).tobytes()
    # Protocol 2 by hand: a Python 2 str is BINSTRING, and an array is rebuilt by numpy.core.multiarray.
    (folder / "train").write_bytes(
        b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
        b"K\x01M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
        b"K\x00tb\x89T\x00\x0c\x00\x00" + row + b"tbU\x0bfine_labels](K\x00eu."
    )
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": ["apple", "bear"]}))
    assert listed("keras:cifar100") == [
        ("test/bear/00000.png", "bear", "test"),
        ("train/apple/00000.png", "apple", None),
    ]
    assert (pixels(source.open_source("keras:cifar100"), 1, 32, "rgb") == COLOURED[1]).all()


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("touched"),)


def test_pickle_that_would_run_something_is_refused(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = cache / "cifar-100-python-target/cifar-100-python"
    folder.mkdir(parents=True)
    (folder / "train").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(AssayError, match="not what Keras keeps there"):
        datasets.open_keras("keras:cifar100", "cifar100")
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04"])
def test_broken_archive_is_refused(cache: Path, content: bytes) -> None:
    (cache / "mnist.npz").write_bytes(content)
    with pytest.raises(AssayError, match=r"mnist.npz is not what Keras keeps there"):
        source.open_source("keras:mnist")


def test_without_a_network_the_error_says_what_to_put_where(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(AssayError, match="cannot be fetched") as raised:
        source.open_source("keras:mnist")
    assert f"put {datasets.ORIGIN}/mnist.npz at {cache}/mnist.npz" in str(raised.value)


def test_unknown_data_set_says_which_are_known() -> None:
    with pytest.raises(AssayError, match="keras: has mnist, fashion_mnist, cifar10, cifar100"):
        source.open_source("keras:imagenet")
