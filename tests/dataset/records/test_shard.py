import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from assay.dataset.records import contents
from assay.dataset.records import shard as records
from assay.labels import Task


def example(label: int | tuple[int, ...] = 3, image: np.ndarray | None = None) -> contents.Example:
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3) if image is None else image
    return contents.Example(image=pixels, label=label, sha256="a1" * 32)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(
    label=st.integers(0, 2**40) | st.lists(st.integers(0, 1), min_size=1, max_size=200).map(tuple),
    image=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, max_side=20)),
)
def test_bytes_are_those_of_tensorflows_writer(tmp_path: Path, label: int | tuple[int, ...], image: np.ndarray) -> None:
    import tensorflow as tf

    features = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image.tobytes()])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=label if isinstance(label, tuple) else [label])),
        "sha256": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"a1" * 32])),
    }
    theirs = tf.train.Example(features=tf.train.Features(feature=features))
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        writer.write(theirs.SerializeToString(deterministic=True))
    name = records.write(tmp_path / "ours", "train", [example(label, image)])
    assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / "theirs").read_bytes()


def test_shard_is_named_by_its_split_and_the_checksums_of_its_records(tmp_path: Path) -> None:
    name = records.write(tmp_path, "train", [example()])
    content = (tmp_path / name).read_bytes()
    assert name == f"train-{hashlib.sha256(content[:12] + content[-4:]).hexdigest()[:16]}.tfrecord"
    assert records.write(tmp_path, "train", [example()]) == name
    assert records.write(tmp_path, "train", [example(label=4)]) != name
    assert len(list(tmp_path.iterdir())) == 2


def test_any_altered_or_missing_byte_is_noticed(tmp_path: Path) -> None:
    shard = tmp_path / records.write(tmp_path, "train", [example(), example()])
    whole = shard.read_bytes()
    assert records.is_whole(shard)
    for position in range(len(whole)):
        shard.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        assert not records.is_whole(shard), position
        shard.write_bytes(whole[:position])
        assert not records.is_whole(shard), position
    shard.unlink()
    assert not records.is_whole(shard)


def test_killed_writer_leaves_no_shard(tmp_path: Path) -> None:
    def killed_half_way() -> Iterator[contents.Example]:
        yield example()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        records.write(tmp_path, "train", killed_half_way())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("task", ["single_label", "multi_label"])
def test_index_comes_back_as_it_was(tmp_path: Path, task: Task) -> None:
    split = contents.Split(n_images=2, class_counts=(1, 1), shards=("a.tfrecord",))
    index = contents.Index(height_px=2, width_px=3, channels=1, classes=("a", "b"), splits={"train": split}, task=task)
    contents.write_index(tmp_path / "index.json", index)
    assert contents.read_index(tmp_path / "index.json") == index


@pytest.mark.parametrize("side_px", [1, 8, 11, 12, 100, 128, 150])  # on both sides of where a length takes a byte more
@pytest.mark.parametrize("label", [3, 300, (0, 1) * 90])
def test_pixels_of_each_record_are_found_in_the_file(
    tmp_path: Path, side_px: int, label: int | tuple[int, ...]
) -> None:
    random = np.random.default_rng(side_px)
    images = {f"{n:064x}": random.integers(0, 256, (side_px, side_px, 1), np.uint8) for n in range(3)}
    examples = [contents.Example(image=image, label=label, sha256=sha256) for sha256, image in images.items()]
    file = tmp_path / records.write(tmp_path, "train", examples)
    content = file.read_bytes()
    found = {sha256: content[start : start + side_px**2] for sha256, start in records.pixels(file, side_px**2)}
    assert found == {sha256: image.tobytes() for sha256, image in images.items()}
