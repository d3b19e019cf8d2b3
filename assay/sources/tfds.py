"""Image classification data sets of TensorFlow Datasets, read from where it keeps them: `pip install 'assay[tfds]'`.

The records of its TFRecord files are read where they lie, without TensorFlow; a set that is not there yet is downloaded
and prepared first. The encoded bytes of an image are those that the set holds. Its test images are given as test and
those of a validation split as val; the others are divided.
"""

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assay import labels
from assay.errors import AssayError
from assay.sources.listing import Entries, Entry, Source

SPLITS = {"test": "test", "validation": "val", "val": "val", "valid": "val"}
SUFFIXES = {b"\xff\xd8": "jpg", b"\x89P": "png", b"GI": "gif", b"RI": "webp", b"BM": "bmp"}  # by the first two bytes
LENGTH_BYTES, SUM_BYTES = 8, 4  # around a record: its length and a sum of that, the record, a sum of it


def open_tfds(name: str, dataset: str) -> Source:
    """Return the source of a data set, e.g. `mnist` or `mnist:3.0.1`; raises `AssayError` if it is not to be had."""
    builder = _prepared(name, dataset)
    image, label = _features(name, builder.info)
    task: labels.Task = "multi_label" if hasattr(builder.info.features[label], "feature") else "single_label"
    entries: list[Entry] = []
    for split in builder.info.splits.values():
        entries += _entries(name, builder.info.features, split, image, label, task)
    entries.sort(key=lambda entry: entry.path)
    return Source(name, Entries(entries), lambda entry: _read(builder.info.features, image, entry), task=task)


def _prepared(name: str, dataset: str) -> Any:
    """Return the builder of a set whose files are on this machine."""
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise AssayError(f"{name}: needs TensorFlow Datasets ({error}); pip install 'assay[tfds]'") from None
    try:
        builder = tfds.builder(dataset)
        if not builder.is_prepared():
            builder.download_and_prepare(file_format="tfrecord")
    except tfds.core.registered.DatasetNotFoundError:
        raise AssayError(f"{name}: TensorFlow Datasets knows none of this name") from None
    except Exception as error:  # the network, a broken file, a set that must be fetched by hand: each has its own
        said = " ".join(str(error).split())[:300] or type(error).__name__
        raise AssayError(f"{name}: cannot be prepared: {said}; TFDS_DATA_DIR says where its files lie") from None
    if builder.info.file_format.value != "tfrecord":
        kept = builder.info.file_format.value
        raise AssayError(f"{name}: {builder.data_path} holds {kept}, it must be tfrecord; delete it to prepare it anew")
    return builder


def _features(name: str, info: Any) -> tuple[str, str]:
    """Return the keys of the image and of its class, or of its classes."""
    import tensorflow_datasets as tfds

    images = [key for key, feature in info.features.items() if type(feature) is tfds.features.Image]
    classes = [key for key, feature in info.features.items() if _holds_classes(feature, tfds.features.ClassLabel)]
    if info.supervised_keys and len(info.supervised_keys) == 2:
        images = [key for key in images if key == info.supervised_keys[0]]
        classes = [key for key in classes if key == info.supervised_keys[1]]
    if len(images) != 1 or len(classes) != 1:
        seen = ", ".join(f"{key} ({type(feature).__name__})" for key, feature in info.features.items())
        raise AssayError(f"{name}: no image classification set: it must have one image and one class, and has {seen}")
    return images[0], classes[0]


def _holds_classes(feature: Any, of_class: type) -> bool:
    return isinstance(getattr(feature, "feature", feature), of_class)


def _entries(name: str, features: Any, split: Any, image: str, label: str, task: labels.Task) -> Iterator[Entry]:
    """Yield an entry for each record of a split, in the order of its files."""
    classes = getattr(features[label], "feature", features[label]).names
    number = 0
    for file in split.filepaths:
        for offset, record in _records(name, Path(file)):
            held = _parse(features, image, record)
            marks = [int(mark) for mark in ([held[label]] if task == "single_label" else held[label])]
            is_labelled = not any(mark < 0 for mark in marks)  # of a test split that keeps its labels to itself
            shown = labels.joined(classes[mark] for mark in marks) if is_labelled else None
            if task == "single_label" and is_labelled:
                shown = classes[marks[0]]
            content = held[image]
            folder = re.sub(r"[/|]", "_", shown) if shown else "-"
            path = f"{split.name}/{folder}/{number:07d}.{SUFFIXES.get(content[:2], 'img')}"
            place = f"{offset} {len(record)} {file}"
            yield Entry(path, shown, len(content), place, split=SPLITS.get(split.name))
            number += 1


def _records(name: str, file: Path) -> Iterator[tuple[int, bytes]]:
    """Yield where each record of a TFRecord file begins, and the record."""
    head = LENGTH_BYTES + SUM_BYTES
    try:
        with file.open("rb") as content:
            while start := content.read(head):
                (size,) = struct.unpack_from("<Q", start)
                record, offset = content.read(size), content.tell() - size
                if len(record) != size or len(content.read(SUM_BYTES)) != SUM_BYTES:
                    raise struct.error("it ends within a record")
                yield offset, record
    except (OSError, struct.error) as error:
        raise AssayError(f"{name}: {file} is not whole ({error}); delete its folder to prepare it anew") from None


def _parse(features: Any, image: str, record: bytes) -> dict[str, Any]:
    """Return the features of a record, the image as its encoded bytes."""
    import tensorflow_datasets as tfds

    found: dict[str, Any] = features.deserialize_example_np(record, decoders={image: tfds.decode.SkipDecoding()})
    return found


def _read(features: Any, image: str, entry: Entry) -> bytes:
    offset, size, file = entry.place.split(" ", 2)
    with Path(file).open("rb") as content:
        content.seek(int(offset))
        found: bytes = _parse(features, image, content.read(int(size)))[image]
    return found
