"""An extra: the model in the files of another runtime, measured beside the ONNX export. Imports TensorFlow.

A folder of them has `model.json`, which says what a program needs beside the files: how pixels are prepared, the
classes, the thresholds, what it was made of, and how far it answers as the ONNX export does. It is written last.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from assay import files, params
from assay.dataset.records import contents
from assay.dataset.records.contents import Index
from assay.errors import AssayError
from assay.inference import parity
from assay.inference.classifier import Classifier
from assay.inference.exported import ABOUT
from assay.inference.extras import agreement, conversion
from assay.inference.extras.agreement import Agreement
from assay.inference.extras.conversion import Ask
from assay.training import batches, keras_file, tensors
from assay.training.tensors import keras

Kind = Literal["savedmodel", "litert", "litert-int8"]

FORMAT = 1  # of model.json
VERSION = "1"  # TensorFlow Serving looks for folders that are called by a number
LITERT = "model.tflite"
TRAIN_IMAGES = 500  # by which the ranges of integers are chosen
BATCH_IMAGES = 16


@dataclass(frozen=True, kw_only=True)
class Extra:
    folder: Path
    bytes: int  # of its files
    quantised_by: int | None  # train images; None: it computes in floats
    agreement: Agreement


def write(out: Path, kind: Kind, classifier: Classifier, p: params.Params) -> Extra:
    """Write the extra in place of an earlier one, and return it; raises `AssayError`, having changed nothing."""
    _check_place(out)
    index = _index(p.paths, classifier)
    tensors.set_up(threads=p.threads, portable=p.train.portable)
    about = classifier.about
    model = conversion.answering(_keras_model(classifier, p.paths), task=about.task, temperature=about.temperature)
    with _replacing(out) as unfinished:
        images = _representative(p, index) if kind == "litert-int8" else None
        ask = _write_files(unfinished, kind, model, images, threads=p.threads)
        found = _measured(ask, classifier, p.paths, index)
        _check(kind, found, p.export)
        made = Extra(
            folder=out, bytes=_size(unfinished), quantised_by=None if images is None else len(images), agreement=found
        )
        files.write_json(unfinished / ABOUT, _said(made, kind, classifier, _hashes(unfinished), p.seed))
    return made


def _check_place(out: Path) -> None:
    """Raise `AssayError` where anything but an extra would be lost."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    try:
        is_extra = "agreement" in files.read_json(out / ABOUT)
    except (AssayError, OSError, TypeError):
        is_extra = False
    if not is_extra:
        raise AssayError(f"export: {out}: holds something else; --out is a folder that is new, empty or an extra")


def _index(paths: params.Paths, classifier: Classifier) -> Index:
    """Return what the records hold; raises `AssayError` where they are not there, or are not of this model's kind."""
    if not paths.index.exists():
        raise AssayError(f"export: {paths.index}: not here, and it is measured on test images; `dvc repro preprocess`")
    index, about = contents.read_index(paths.index), classifier.about
    size = about.preprocessing
    wanted = (about.task, about.classes, size.height_px, size.width_px, contents.CHANNELS[size.colour])
    if (index.task, index.classes, index.height_px, index.width_px, index.channels) != wanted:
        raise AssayError(
            f"export: {paths.records} holds images of other classes or another size than {classifier.version} knows; "
            "check out the commit that it was trained at"
        )
    if not index.splits["test"].n_images:
        raise AssayError(f"export: {paths.records} holds no test image, so nothing says how the extra answers")
    return index


def _keras_model(classifier: Classifier, paths: params.Paths) -> keras.Model:
    """Return the Keras model that the export was made of; raises `AssayError` where it is not to be had."""
    wanted = classifier.about.model
    seen = files.sha256(paths.model) if paths.model.exists() else None
    if seen == wanted:
        return keras_file.read(paths.model)
    if not classifier.is_release:
        is_now = f"is {seen[:12]}…" if seen else "is not here"
        raise AssayError(
            f"export: {paths.model} {is_now}, and the export was made of {wanted[:12]}…: `dvc repro register` exports "
            "the model that is here, `dvc checkout` brings the one of dvc.lock"
        )
    from assay.versions import tagged

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / paths.model.name
        file.write_bytes(tagged.model(classifier.version))
        return keras_file.read(file)


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """Yield a new folder that becomes `out` when the block ends well, and vanishes when it does not."""
    place = out.resolve()
    unfinished, old = (place.with_name(f".{place.name}.{name}.tmp") for name in ("new", "old"))
    for each in (unfinished, old):  # left by one that was killed
        shutil.rmtree(each, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        _sync(unfinished)
        if place.exists():
            place.rename(old)
        unfinished.rename(place)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _sync(folder: Path) -> None:
    for file in _files(folder):
        with file.open("rb") as content:
            os.fsync(content.fileno())


def _files(folder: Path) -> list[Path]:
    return sorted(each for each in folder.rglob("*") if each.is_file())


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in _files(folder))


def _hashes(folder: Path) -> dict[str, str]:
    return {file.relative_to(folder).as_posix(): files.sha256(file) for file in _files(folder)}


def _representative(p: params.Params, index: Index) -> np.ndarray:
    """Return train images, uint8 [N, H, W, C]: `TRAIN_IMAGES`, or all, the same ones for the same seed and records."""
    n = index.splits["train"].n_images
    chosen = np.sort(np.random.default_rng(p.seed).choice(n, min(n, TRAIN_IMAGES), replace=False))
    found, start = [], 0
    for images, _ in batches.ordered(p.paths.records, index, "train", batch_images=BATCH_IMAGES):
        wanted = chosen[(chosen >= start) & (chosen < start + len(images))] - start
        found.append(images.numpy()[wanted])
        start += len(images)
    return np.concatenate(found)


def _write_files(folder: Path, kind: Kind, model: keras.Model, images: np.ndarray | None, *, threads: int) -> Ask:
    """Write the files of the extra, and return what asks them, read back."""
    if kind == "savedmodel":
        conversion.write_saved_model(folder / VERSION, model)
        return conversion.ask_saved_model(folder / VERSION)
    content = conversion.litert(model) if images is None else conversion.litert_int8(model, images)
    (folder / LITERT).write_bytes(content)
    return conversion.ask_litert((folder / LITERT).read_bytes(), threads=threads)


def _measured(ask: Ask, classifier: Classifier, paths: params.Paths, index: Index) -> Agreement:
    """Return how the extra answers `parity.MOST` test images beside the export."""
    found, onnx, actual = [], [], []
    test = batches.ordered(paths.records, index, "test", batch_images=BATCH_IMAGES)
    for pixels, labels in test.take(parity.MOST // BATCH_IMAGES):
        found.append(ask(pixels.numpy()))
        onnx.append(classifier.answers(pixels.numpy()).probabilities)
        actual.append(labels.numpy())
    return agreement.measure(classifier.about, *(np.concatenate(each) for each in (found, onnx, actual)))


def _check(kind: Kind, found: Agreement, limits: params.Export) -> None:
    """Raise `AssayError` where the extra answers otherwise than it may."""
    if kind != "litert-int8" and not agreement.is_same(found):
        raise AssayError(f"export: {kind}: {found.text}; the limit is {agreement.LIMIT:g}, so it is not written")
    if kind == "litert-int8" and found.alike < limits.int8_min_agreement:
        raise AssayError(
            f"export: {kind}: {found.text}; at least {limits.int8_min_agreement:.2%} must be alike (params.yaml: "
            "export.int8_min_agreement), so it is not written; `assay export litert` keeps the answers"
        )


def _said(made: Extra, kind: Kind, classifier: Classifier, hashes: dict[str, str], seed: int) -> dict[str, Any]:
    """Return model.json: what `exported.About` holds and an extra can use, and what it is."""
    about = asdict(classifier.about)
    kept = ("task", "classes", "thresholds", "temperature", "preprocessing", "model")
    quantised = None if made.quantised_by is None else {"train_images": made.quantised_by, "seed": seed}
    measured = {"alike": made.agreement.alike} | asdict(made.agreement)
    del measured["task"]  # said above
    return (
        {"format": FORMAT, "kind": kind}
        | {name: about[name] for name in kept}
        | {"export": classifier.sha256, "quantised_by": quantised, "agreement": measured, "files": hashes}
    )
