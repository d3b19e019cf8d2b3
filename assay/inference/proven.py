"""The export of a run, written and then proven beside Keras before anything may be promoted. Imports TensorFlow."""

import shutil
from collections.abc import Iterator

import numpy as np
import pandas as pd

from assay import files, params
from assay.dataset import manifest
from assay.dataset.records.contents import Index
from assay.evaluation import answering, calibration
from assay.evaluation.answering import Answering
from assay.images import decode
from assay.inference import difficult, export, parity
from assay.inference.exported import ABOUT, CANARY, REFERENCE, Preprocessing
from assay.inference.parity import Question
from assay.training import keras_file
from assay.training.tensors import keras


def write(paths: params.Paths, index: Index, p: decode.Preparation) -> str:
    """Return the SHA-256 of the export's model.json; raises `AssayError` unless it answers as the Keras model does.

    Asked are `parity.MOST` test images, by their original bytes, and the difficult files.
    """
    chosen = answering.read(paths.answering)
    network = keras_file.read(paths.model)
    size = Preprocessing(
        height_px=p.height_px,
        width_px=p.width_px,
        colour=p.colour,
        resize=p.resize,
        white_level=p.white_level,
    )
    about = {
        "task": index.task,
        "classes": index.classes,
        "thresholds": chosen.thresholds,
        "temperature": chosen.temperature.value,
        "preprocessing": size,
        "ood": vars(chosen.limits),
        "model": files.sha256(paths.model),
    }
    proto = export.graph(network, task=index.task, temperature=chosen.temperature.value)
    extra = {REFERENCE: paths.reference.read_bytes()}
    shutil.rmtree(paths.export, ignore_errors=True)
    export.write(paths.export, proto, about, extra | export.canary_of(proto, about, extra))
    outcome = parity.check(
        paths.export, [*_difficult(paths, network, index, chosen, size), *_test(paths, index, chosen)]
    )
    print(f"export: answers as Keras on {outcome.n_images:,} images, {outcome.largest:.1e} apart at most")
    return files.sha256(paths.export / ABOUT)


def _difficult(
    paths: params.Paths, network: keras.Model, index: Index, chosen: Answering, size: Preprocessing
) -> Iterator[Question]:
    """Yield the difficult files, as they lie in the canary, with what Keras says of the pixels of training."""
    contents = difficult.files()
    pixels = [decode.prepare(content, **vars(size)) for content in contents.values()]
    says = export.keras_probabilities(
        network, [np.stack(pixels)], task=index.task, temperature=chosen.temperature.value
    )
    for (name, content), row in zip(contents.items(), says.tolist(), strict=True):
        file = paths.export / CANARY / name
        yield Question(name=name, file=str(file), offset=0, bytes=len(content), probabilities=tuple(row))


def _test(paths: params.Paths, index: Index, chosen: Answering) -> Iterator[Question]:
    """Yield test images, where their original bytes are, with what Keras said of their records."""
    with np.load(paths.outputs / "test.npz") as outputs:
        hashes, logits = outputs["sha256"][: parity.MOST], outputs["logits"][: parity.MOST]
    says = calibration.probabilities(logits, index.task, chosen.temperature.value)
    rows: pd.DataFrame = manifest.read(paths.manifest).drop_duplicates("sha256").set_index("sha256")
    known = rows.loc[[each.decode() for each in hashes], ["path", "batch", "offset", "bytes"]]
    for row, probabilities in zip(known.itertuples(), says.tolist(), strict=True):
        yield Question(
            name=str(row.path),
            file=str(paths.raw / str(row.batch)),
            offset=int(row.offset),
            bytes=int(row.bytes),
            probabilities=tuple(probabilities),
        )
