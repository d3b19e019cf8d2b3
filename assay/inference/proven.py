"""The export of a run, written and then proven beside Keras before anything may be promoted. Imports TensorFlow."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from assay import files, params
from assay.dataset import manifest
from assay.dataset.records.contents import Index
from assay.evaluation import answering, calibration
from assay.evaluation.answering import Answering
from assay.images import decode
from assay.inference import canary, export, parity
from assay.inference.exported import ABOUT, CANARY, REFERENCE, Preprocessing
from assay.inference.parity import Question
from assay.training import keras_file


def write(paths: params.Paths, index: Index, p: decode.Preparation) -> str:
    """Return the SHA-256 of the export's model.json; raises `AssayError` unless it answers as the Keras model does.

    Asked are `parity.MOST` test images, by their original bytes, and the difficult files.
    """
    chosen = answering.read(paths.answering)
    network = keras_file.read_for(paths.model, index)
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
    sung = export.canary_of(network, size, task=index.task, temperature=chosen.temperature.value)
    export.write(paths.export, proto, about, extra | sung)
    outcome = parity.check(paths.export, [*_difficult(paths.export, sung), *_test(paths, index, chosen)])
    print(f"export: answers as Keras on {outcome.n_images:,} images, {outcome.largest:.1e} apart at most")
    return files.sha256(paths.export / ABOUT)


def _difficult(export: Path, sung: Mapping[str, bytes]) -> Iterator[Question]:
    """Yield the difficult files, as they lie in the canary, with what Keras said of the pixels of training."""
    for name, said in json.loads(sung[canary.ANSWERS]).items():
        path = f"{CANARY}/{name}"
        yield Question(
            name=name,
            file=str(export / path),
            offset=0,
            bytes=len(sung[path]),
            probabilities=tuple(said["probabilities"]),
        )


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
