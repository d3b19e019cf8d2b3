import dataclasses
import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from assay import augment, dataset, model, params, records
from assay.errors import AssayError
from assay.tensors import tf

model.set_up(threads=2)  # here, because it must come before the first operation of any test

P = params.load(Path(__file__).parents[1] / "params.yaml")
STILL = params.Augment(rotate_deg=0, shift_share=0, zoom_share=0, flip="none", brightness_share=0)


def write_data(folder: Path, *, counts: dict[str, tuple[int, ...]], side_px: int = 16) -> records.Index:
    """Write shards of at most 5 grey images, bright in the strip of their class, and records.json; return it."""
    rng = np.random.default_rng(0)
    splits = {}
    for split, class_counts in counts.items():
        examples = []
        for number in range(sum(class_counts)):
            label = int(np.searchsorted(np.cumsum(class_counts), number, side="right"))
            image = rng.integers(0, 60, (side_px, side_px, 1), dtype=np.uint8)
            image[:, label * side_px // len(class_counts) :][:, : side_px // len(class_counts)] += 180
            sha256 = hashlib.sha256(f"{split} {number}".encode()).hexdigest()
            examples.append(records.Example(image=image, label=label, sha256=sha256))
        parts = [examples[start : start + 5] for start in range(0, len(examples), 5)]
        shards = [records.write(folder / "data/records", split, part) for part in parts]
        splits[split] = records.Split(n_images=len(examples), class_counts=class_counts, shards=tuple(shards))
    classes = tuple("abcdefgh"[: len(class_counts)])
    index = records.Index(height_px=side_px, width_px=side_px, channels=1, classes=classes, splits=splits)
    records.write_index(folder / "data/records.json", index)
    return index


def write_sets(folder: Path, *, n_images: dict[str, int], side_px: int = 16) -> records.Index:
    """Write shards of grey images of three classes, bright in the strip of each that they are in: of number n those
    whose bit is set in n; and records.json; return it."""
    rng = np.random.default_rng(0)
    splits = {}
    for split, n in n_images.items():
        examples = []
        for number in range(n):
            label = tuple(number >> bit & 1 for bit in range(3))
            image = rng.integers(0, 60, (side_px, side_px, 1), dtype=np.uint8)
            for strip in np.flatnonzero(label):
                image[:, strip * side_px // 3 : (strip + 1) * side_px // 3] += 180
            sha256 = hashlib.sha256(f"{split} {number}".encode()).hexdigest()
            examples.append(records.Example(image=image, label=label, sha256=sha256))
        counts = np.array([example.label for example in examples]).reshape(-1, 3).sum(axis=0)
        shards = (records.write(folder / "data/records", split, examples),) if n else ()
        splits[split] = records.Split(n_images=n, class_counts=tuple(map(int, counts)), shards=shards)
    size = {"height_px": side_px, "width_px": side_px, "channels": 1}
    index = records.Index(classes=("a", "b", "c"), splits=splits, task="multi_label", **size)
    records.write_index(folder / "data/records.json", index)
    return index


def of_train(**changes: object) -> params.Train:
    return dataclasses.replace(P.train, **{"epochs": 1, "batch_images": 4, "augment": STILL, **changes})


def epochs_of(folder: Path, index: records.Index, *, seed: int = 1, epochs: int = 1) -> list[list[bytes]]:
    """Return the images of each epoch as bytes, in their order."""
    batches = dataset.shuffled(folder / "data/records", index, "train", seed=seed, p=of_train(epochs=epochs))
    images = [image.tobytes() for batch, _ in batches for image in batch.numpy()]
    n = index.splits["train"].n_images
    return [images[start : start + n] for start in range(0, len(images), n)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def index(folder: Path) -> records.Index:
    return write_data(folder, counts={"train": (7, 6), "val": (2, 2)})


def test_reading_gives_back_what_was_written_in_the_order_of_the_shards(folder: Path, index: records.Index) -> None:
    batches = list(dataset.named(folder / "data/records", index, "train", batch_images=4))
    assert [len(labels) for _, labels, _ in batches] == [4, 4, 4, 1]
    assert np.concatenate([labels for _, labels, _ in batches]).tolist() == [0] * 7 + [1] * 6
    hashes = [sha256.decode() for _, _, batch in batches for sha256 in batch.numpy()]
    assert hashes == [hashlib.sha256(f"train {number}".encode()).hexdigest() for number in range(13)]
    first = batches[0][0].numpy()
    assert first.dtype == np.uint8
    assert first.shape == (4, 16, 16, 1)
    assert first[0].tobytes() in (folder / "data/records" / index.splits["train"].shards[0]).read_bytes()


def test_multi_label_images_come_with_a_mark_for_each_class(tmp_path: Path) -> None:
    index = write_sets(tmp_path, n_images={"train": 7})
    batches = list(dataset.ordered(tmp_path / "data/records", index, "train", batch_images=4))
    assert np.concatenate([labels for _, labels in batches]).tolist() == [
        [0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 1],
    ]  # fmt: skip
    for images, labels in batches:
        is_bright = np.stack([images.numpy()[:, :, strip * 5 + 2].mean(axis=(1, 2)) > 100 for strip in range(3)], 1)
        assert (is_bright == labels.numpy()).all()


@pytest.fixture(params=["in memory", "from the disk"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Read a split into memory, or as one that does not fit, shuffled in a buffer of 8 images."""
    if request.param == "from the disk":
        monkeypatch.setattr(dataset, "CACHED_BYTES", 0)
        monkeypatch.setattr(dataset, "SHUFFLED_BYTES", 8 * 16 * 16)
    return str(request.param)


def test_an_epoch_holds_every_image_once(folder: Path, index: records.Index, way: str) -> None:
    expected = [image.tobytes() for images, _ in ordered(folder, index) for image in images.numpy()]
    for epoch in epochs_of(folder, index, epochs=2):
        assert Counter(epoch) == Counter(expected)


def test_a_shuffled_epoch_has_the_same_number_of_batches_each_time(
    folder: Path, index: records.Index, way: str
) -> None:
    batches = dataset.shuffled(folder / "data/records", index, "train", seed=1, p=of_train(epochs=3))
    assert int(batches.cardinality()) == 12
    assert [len(labels) for _, labels in batches] == [4, 4, 4, 1] * 3


def test_images_of_all_shards_are_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "CACHED_BYTES", 0)
    monkeypatch.setattr(dataset, "SHUFFLED_BYTES", 10 * 16 * 16)
    monkeypatch.setattr(dataset, "RUN_IMAGES", 1)
    index = write_data(tmp_path, counts={"train": (20, 20)})
    labels = [batch for _, batch in dataset.shuffled(tmp_path / "data/records", index, "train", seed=1, p=of_train())]
    assert [0 < np.mean(batch) < 1 for batch in labels].count(True) >= 7  # of 10, whose images lie sorted by class


def test_batches_that_are_read_again_are_read_from_the_disk_once(tmp_path: Path) -> None:
    index = write_data(tmp_path, counts={"train": (7, 6)})
    batches = dataset.ordered(tmp_path / "data/records", index, "train", batch_images=4, again=True)
    first = [images.numpy() for images, _ in batches]
    for shard in (tmp_path / "data/records").iterdir():
        shard.unlink()
    again = [images.numpy() for images, _ in batches]
    assert len(again) == 4
    assert all((one == other).all() for one, other in zip(first, again, strict=True))


def ordered(folder: Path, index: records.Index) -> tf.data.Dataset:
    return dataset.ordered(folder / "data/records", index, "train", batch_images=4)


def test_an_image_keeps_its_label_when_shuffled(folder: Path, index: records.Index, way: str) -> None:
    label_of = {
        i.tobytes(): int(label)
        for images, labels in ordered(folder, index)
        for i, label in zip(images.numpy(), labels, strict=True)
    }
    for images, labels in dataset.shuffled(folder / "data/records", index, "train", seed=1, p=of_train()):
        assert [label_of[image.tobytes()] for image in images.numpy()] == labels.numpy().tolist()


def test_the_seed_decides_the_order(folder: Path, index: records.Index, way: str) -> None:
    assert epochs_of(folder, index, seed=1, epochs=2) == epochs_of(folder, index, seed=1, epochs=2)
    assert epochs_of(folder, index, seed=1) != epochs_of(folder, index, seed=2)


def test_two_epochs_have_different_orders(folder: Path, index: records.Index, way: str) -> None:
    one, two = epochs_of(folder, index, epochs=2)
    assert one != two


def test_two_epochs_are_augmented_differently(folder: Path, index: records.Index, way: str) -> None:
    p = of_train(epochs=2, augment=dataclasses.replace(STILL, shift_share=0.5))
    images = [
        i.tobytes()
        for batch, _ in dataset.shuffled(folder / "data/records", index, "train", seed=1, p=p)
        for i in batch.numpy()
    ]
    assert not set(images[:13]) & set(images[13:])


def test_statistics_are_those_of_numpy_over_the_pixels_of_the_split(folder: Path, index: records.Index) -> None:
    pixels = np.concatenate([images.numpy() for images, _ in ordered(folder, index)]).astype(np.float64)
    mean, deviation = dataset.statistics(folder / "data/records", index, "train", batch_images=4)
    np.testing.assert_allclose(mean, pixels.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(deviation, pixels.std(axis=(0, 1, 2)))


def test_a_missing_shard_is_named(folder: Path, index: records.Index) -> None:
    val = dataclasses.replace(index.splits["val"], shards=(*index.splits["val"].shards, "gone.tfrecord"))
    broken = dataclasses.replace(index, splits={"val": val})
    with pytest.raises(AssayError, match=r"1 of 2 shards of val are missing, the first is gone\.tfrecord"):
        dataset.ordered(folder / "data/records", broken, "val", batch_images=4)


# Augmentation


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)


def changed(images: np.ndarray, seed: int = 1, **changes: object) -> np.ndarray:
    p = dataclasses.replace(STILL, **changes)
    return np.asarray(augment.apply(tf.constant(images), tf.constant([seed, 0], tf.int64), p))


def moved(images: np.ndarray, **how: float | bool) -> np.ndarray:
    n = len(images)
    floats = {"angle_rad": 0.0, "zoom": 1.0, "right_px": 0.0, "down_px": 0.0} | how
    flags = {key: tf.fill([n], bool(floats.pop(key, False))) for key in ("mirror", "upend")}
    warped = augment.warp(tf.constant(images), **{key: tf.fill([n], value) for key, value in floats.items()}, **flags)
    return np.asarray(warped)


def test_without_change_the_images_stay_as_they_are(images: np.ndarray) -> None:
    np.testing.assert_array_equal(changed(images), images)


@pytest.mark.parametrize("quarters", [1, 2, -1])
def test_rotation_by_right_angles_is_that_of_numpy(images: np.ndarray, quarters: int) -> None:
    turned = moved(images, angle_rad=quarters * np.pi / 2)
    np.testing.assert_allclose(turned, np.rot90(images, quarters, axes=(1, 2)), atol=0.01)


def test_mirror_and_upend_are_the_flips_of_numpy(images: np.ndarray) -> None:
    np.testing.assert_array_equal(moved(images, mirror=True), np.flip(images, 2))
    np.testing.assert_array_equal(moved(images, upend=True), np.flip(images, 1))


def test_shift_moves_a_bright_pixel_right_and_down() -> None:
    image = np.zeros((1, 9, 9, 1), np.uint8)
    image[0, 4, 4] = 200
    shifted = moved(image, right_px=3.0, down_px=-2.0)
    assert np.argwhere(shifted[0, :, :, 0]).tolist() == [[2, 7]]
    assert shifted[0, 2, 7] == 200


def test_shift_is_never_more_than_its_share() -> None:
    image = np.zeros((50, 21, 21, 1), np.uint8)
    image[:, 10, 10] = 255
    found = np.argwhere(changed(image, shift_share=0.2)[..., 0] > 0)[:, 1:] - 10
    assert np.abs(found).max() <= np.ceil(0.2 * 21)
    assert len(np.unique(found)) > 5


def test_zoom_doubles_a_square() -> None:
    image = np.zeros((1, 16, 16, 1), np.uint8)
    image[0, 6:10, 6:10] = 255
    assert (moved(image, zoom=2.0) > 127).sum() == 64


def test_brightness_is_one_step_for_a_whole_image_and_stops_at_the_ends() -> None:
    grey = np.full((30, 4, 4, 1), 128, np.uint8)
    shades = changed(grey, brightness_share=1.0)
    assert (shades == shades[:, :1, :1]).all()
    assert len(np.unique(shades)) > 10
    assert {0, 255} <= set(shades.ravel().tolist())


def test_horizontal_flip_leaves_or_mirrors_each_image(images: np.ndarray) -> None:
    many = np.tile(images, (4, 1, 1, 1))
    flipped = changed(many, flip="horizontal")
    is_same = (flipped == many).all(axis=(1, 2, 3))
    is_mirrored = (flipped == np.flip(many, 2)).all(axis=(1, 2, 3))
    assert (is_same ^ is_mirrored).all()
    assert is_same.any()
    assert is_mirrored.any()


def test_the_seed_decides_the_changes(images: np.ndarray) -> None:
    one = changed(images, rotate_deg=30, shift_share=0.2, zoom_share=0.2, brightness_share=0.2, flip="both")
    two = changed(images, rotate_deg=30, shift_share=0.2, zoom_share=0.2, brightness_share=0.2, flip="both")
    other = changed(images, 2, rotate_deg=30, shift_share=0.2, zoom_share=0.2, brightness_share=0.2, flip="both")
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(one, two)
    assert not (one == other).all()
