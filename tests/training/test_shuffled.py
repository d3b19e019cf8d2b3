import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shards_made import write_data, write_sets

from assay.dataset.records import contents
from assay.errors import AssayError
from assay.training import batches, imbalance, shuffled, tensors
from assay.training.augment import PRESETS, Strengths
from assay.training.shuffled import Plan

tensors.set_up(threads=2)  # here, because it must come before the first operation of any test
COUNTS = (7, 6)
NAMES = [hashlib.sha256(f"train {number}".encode()).hexdigest() for number in range(13)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def index(folder: Path) -> contents.Index:
    return write_data(folder, counts={"train": COUNTS, "val": (2, 2)})


@pytest.fixture(params=["in memory", "from the disk"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Read a split into memory, or as one that does not fit, shuffled in a buffer of 8 images."""
    if request.param == "from the disk":
        monkeypatch.setattr(batches, "CACHED_BYTES", 0)
        monkeypatch.setattr(shuffled, "SHUFFLED_BYTES", 8 * 16 * 16)
    return str(request.param)


def epochs_of(
    folder: Path, index: contents.Index, *, first: int = 0, epochs: int = 1, **changes: object
) -> list[list[tuple[bytes, int, int]]]:
    """Return (pixels, label, row) of each image of each epoch."""
    names = batches.names(folder / "data/records", index, "train")
    plan = Plan(**{"seed": 1, "batch_images": 4, "strengths": PRESETS["none"], "rates": np.ones(13), **changes})
    given = shuffled.shuffled(
        folder / "data/records", index, "train", plan=plan, names=names, first=first, epochs=epochs
    )
    assert int(given.cardinality()) == plan.steps * (epochs - first)
    parts = [tuple(part.numpy() for part in batch) for batch in given]
    sizes = [len(part[0]) for part in parts[: plan.steps]]
    assert sizes == [4] * (sum(sizes) // 4) + [sum(sizes) % 4] * (sum(sizes) % 4 > 0)
    found = [(image.tobytes(), int(label), int(row)) for part in parts for image, label, row in zip(*part, strict=True)]
    n = sum(sizes)
    return [found[start : start + n] for start in range(0, len(found), n)]


def stored(folder: Path, index: contents.Index) -> list[tuple[bytes, int, int]]:
    given = batches.named(folder / "data/records", index, "train", batch_images=5)
    found = [(image.tobytes(), int(label)) for images, labels, _ in given for image, label in zip(
        images.numpy(), labels.numpy(), strict=True)]  # fmt: skip
    return [(*each, row) for row, each in enumerate(found)]


def test_an_epoch_holds_every_image_once_with_its_label_and_its_row(
    folder: Path, index: contents.Index, way: str
) -> None:
    for epoch in epochs_of(folder, index, epochs=2):
        assert sorted(epoch) == sorted(stored(folder, index))


def test_two_epochs_have_different_orders_and_the_seed_decides_them(
    folder: Path, index: contents.Index, way: str
) -> None:
    one, two = epochs_of(folder, index, epochs=2)
    assert one != two
    assert [one, two] == epochs_of(folder, index, epochs=2)
    assert one != epochs_of(folder, index, seed=2)[0]


@pytest.mark.slow
# What is drawn of an image knows nothing of how often it is shown, so that not each has to meet each.
@pytest.mark.parametrize(
    ("method", "strengths"),
    [
        ("none", PRESETS["none"]),
        ("none", PRESETS["strong"]),
        ("oversample", PRESETS["strong"]),
        ("undersample", Strengths(flip="both", noise_share=0.1)),
    ],
)
def test_epochs_begin_anywhere_with_the_batches_that_they_would_have_had(
    folder: Path, index: contents.Index, way: str, method: imbalance.Imbalance, strengths: Strengths
) -> None:
    rates = imbalance.rates(np.repeat([0, 1], COUNTS), 2, method)
    whole = epochs_of(folder, index, epochs=4, rates=rates, strengths=strengths)
    assert whole[2:] == epochs_of(folder, index, first=2, epochs=4, rates=rates, strengths=strengths)


def test_two_epochs_are_augmented_differently(folder: Path, index: contents.Index) -> None:
    one, two = epochs_of(folder, index, epochs=2, strengths=Strengths(shift_share=0.5))
    assert not {image for image, *_ in one} & {image for image, *_ in two}


@pytest.mark.slow
@pytest.mark.parametrize(("method", "each"), [("oversample", 7), ("undersample", 6)])
def test_each_class_is_shown_equally_often(
    folder: Path, index: contents.Index, way: str, method: imbalance.Imbalance, each: int
) -> None:
    rates = imbalance.rates(np.repeat([0, 1], COUNTS), 2, method)
    for epoch in epochs_of(folder, index, epochs=3, rates=rates):
        assert Counter(label for _, label, _ in epoch) == {0: each, 1: each}
        assert set(epoch) <= set(stored(folder, index))


def test_images_of_all_shards_are_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "CACHED_BYTES", 0)
    monkeypatch.setattr(shuffled, "SHUFFLED_BYTES", 10 * 16 * 16)
    monkeypatch.setattr(shuffled, "RUN_IMAGES", 1)
    index = write_data(tmp_path, counts={"train": (20, 20)})
    ((*images,),) = epochs_of(tmp_path, index, rates=np.ones(40))
    labels = np.array([label for _, label, _ in images]).reshape(10, 4)
    assert [0 < np.mean(batch) < 1 for batch in labels].count(True) >= 7  # of 10, whose images lie sorted by class


def test_images_of_many_classes_come_with_a_mark_for_each_and_are_shown_by_their_rarest(
    tmp_path: Path, way: str
) -> None:
    index = write_sets(tmp_path, n_images={"train": 7})
    names = batches.names(tmp_path / "data/records", index, "train")
    assert names.labels.tolist() == [[n >> bit & 1 for bit in range(3)] for n in range(7)]
    rates = imbalance.rates(names.labels, 3, "oversample")
    plan = Plan(seed=1, batch_images=4, strengths=PRESETS["none"], rates=rates)
    folder = tmp_path / "data/records"
    given = list(shuffled.shuffled(folder, index, "train", plan=plan, names=names, first=0, epochs=1))
    labels = np.concatenate([labels for _, labels, _ in given])
    rows = np.concatenate([rows for *_, rows in given])
    assert (labels == names.labels[rows]).all()
    assert len(rows) == round(rates.sum())
    assert Counter(rows.tolist())[0] == 2  # in no class, the only one of its kind: 1.73 times on average


@given(st.lists(st.sampled_from([0.2, 1.0, 1.5, 7 / 3]), min_size=1, max_size=40), st.integers(0, 3))
def test_copies_are_the_rates_rounded_up_or_down_and_right_in_all(rates: list[float], epoch: int) -> None:
    wanted = np.array(rates)
    found = shuffled.copies(3, epoch, wanted)
    exact = wanted * shuffled.shown(wanted) / wanted.sum()
    assert found.sum() == shuffled.shown(wanted)
    assert (np.abs(found - exact) < 1 + 1e-9).all()


def test_each_image_gets_its_turn() -> None:
    rates = np.full(10, 0.3)
    times = sum(shuffled.copies(3, epoch, rates) for epoch in range(400))
    assert times.sum() == 1200
    assert times.min() > 80  # 120 on average, 9 its deviation


# In the order of the shards


def test_reading_gives_back_what_was_written_in_the_order_of_the_shards(folder: Path, index: contents.Index) -> None:
    found = list(batches.named(folder / "data/records", index, "train", batch_images=4))
    assert [len(labels) for _, labels, _ in found] == [4, 4, 4, 1]
    assert np.concatenate([labels for _, labels, _ in found]).tolist() == [0] * 7 + [1] * 6
    assert [sha256.decode() for _, _, batch in found for sha256 in batch.numpy()] == NAMES
    first = found[0][0].numpy()
    assert (first.dtype, first.shape) == (np.uint8, (4, 16, 16, 1))
    assert first[0].tobytes() in (folder / "data/records" / index.splits["train"].shards[0]).read_bytes()


def test_names_are_those_of_the_records(folder: Path, index: contents.Index) -> None:
    names = batches.names(folder / "data/records", index, "train")
    assert [sha256.decode() for sha256 in names.sha256] == NAMES
    assert names.labels.tolist() == [0] * 7 + [1] * 6
    assert names.shard_images == (5, 5, 3)


def test_multi_label_images_come_with_a_mark_for_each_class(tmp_path: Path) -> None:
    index = write_sets(tmp_path, n_images={"train": 7})
    found = list(batches.ordered(tmp_path / "data/records", index, "train", batch_images=4))
    assert np.concatenate([labels for _, labels in found]).tolist() == [
        [0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 1],
    ]  # fmt: skip
    for images, labels in found:
        is_bright = np.stack([images.numpy()[:, :, strip * 5 + 2].mean(axis=(1, 2)) > 100 for strip in range(3)], 1)
        assert (is_bright == labels.numpy()).all()


def test_batches_that_are_read_again_are_read_from_the_disk_once(tmp_path: Path) -> None:
    index = write_data(tmp_path, counts={"train": COUNTS})
    found = batches.ordered(tmp_path / "data/records", index, "train", batch_images=4, again=True)
    first = [images.numpy() for images, _ in found]
    for file in (tmp_path / "data/records").iterdir():
        file.unlink()
    again = [images.numpy() for images, _ in found]
    assert len(again) == 4
    assert all((one == other).all() for one, other in zip(first, again, strict=True))


def test_statistics_are_those_of_numpy_over_the_pixels_of_the_split(folder: Path, index: contents.Index) -> None:
    given = batches.ordered(folder / "data/records", index, "train", batch_images=4)
    pixels = np.concatenate([images.numpy() for images, _ in given]).astype(np.float64)
    mean, deviation = batches.statistics(folder / "data/records", index, "train", batch_images=4)
    np.testing.assert_allclose(mean, pixels.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(deviation, pixels.std(axis=(0, 1, 2)))


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    index = write_data(tmp_path, counts={"train": COUNTS})
    (tmp_path / "data/records" / index.splits["train"].shards[1]).unlink()
    with pytest.raises(AssayError, match=r"1 of 3 shards of train are missing, the first is .*\.tfrecord"):
        batches.ordered(tmp_path / "data/records", index, "train", batch_images=4)
