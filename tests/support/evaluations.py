"""A tiny model, evaluated: what `evaluate` leaves of it."""

import dataclasses
import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkouts import ROOT
from evidence_made import RECORD
from PIL import Image
from shards_made import write_data, write_sets

from assay import files, labels, params
from assay.dataset import manifest
from assay.dataset.records import contents
from assay.labels import Task
from assay.training import batches, keras_file, left, network, tensors
from assay.training.tensors import keras, tf
from tasks import evaluate

P = params.load(ROOT / "params.yaml")


def write_inputs(folder: Path, task: Task = "single_label") -> None:
    """Write the shards, a batch, a manifest, its pass and an untrained model, which is wrong about many images."""
    tensors.set_up(threads=2, seed=0)
    if task == "multi_label":
        index = write_sets(folder, n_images={"train": 8, "val": 8, "test": 20})
    else:
        index = write_data(folder, counts={"train": (3, 3, 3), "val": (1, 1, 1), "test": (4, 5, 6)})
    rows, batch = [], b""
    for split in labels.SPLITS:
        for some in batches.named(folder / P.paths.records, index, split, batch_images=8):
            for image, label, sha256 in zip(*(each.numpy() for each in some), strict=True):
                content = as_png(image)
                rows.append(
                    {"path": f"{_label(label, index)}/<{sha256.decode()[:8]}>.png", "label": _label(label, index)}
                    | {"split": split, "sha256": sha256.decode(), "decodable": True, "reason": "", "format": "PNG"}
                    | {"width_px": 16, "height_px": 16, "mode": "L", "pixels": sha256.decode(), "batch": "0001-0.tar"}
                    | {"offset": len(batch), "bytes": len(content)}
                )
                batch += content
    with files.replacing(folder / P.paths.raw / "0001-0.tar") as out:
        out.write(batch)
    table = pd.DataFrame(rows, columns=manifest.SCHEMA.names).astype(dict.fromkeys(manifest.PIXELS, object))
    manifest.write(folder / P.paths.manifest, table, task)
    manifest.write_pairs(folder / P.paths.pairs, pd.DataFrame(columns=manifest.PAIRS.names))
    passed = {"gate": "open", "manifest": files.sha256(folder / P.paths.manifest), "set_aside": []}
    files.write_json(folder / P.paths.passed, passed)
    files.write_json(folder / P.paths.verified, {"index": files.sha256(folder / P.paths.index)})
    untrained = network.build(index, dataclasses.replace(P.train, filters=(4, 8)), own=Path("nowhere"))
    if task == "multi_label":
        spread(untrained, batches.ordered(folder / P.paths.records, index, "test", batch_images=20))
    keras_file.write(folder / P.paths.model, untrained, index.classes, task)
    row = {"epoch": 1, "loss": 1.1, "val_loss": 1.2, "accuracy": 0.4, "val_accuracy": 0.3}
    files.write_csv(folder / P.paths.history, pd.DataFrame([row]))
    trained = row | {"gap": 0.1, "best_epoch": 1, "epochs": 1, "n_parameters": untrained.count_params()}
    trained |= {"kept_by": "last", "fingerprint": {"end": {"weights": 12.5, "bits": "0a1b2c3d"}}}
    files.write_json(folder / P.paths.source, {"source": "folder:photos"})
    files.write_json(folder / P.paths.validation / "results.json", {"passed": True, "expectations": []})
    files.write_json(folder / P.paths.training / left.RECORD, RECORD | {"task": task})
    files.write_json(folder / P.paths.metrics.train, {"train": trained})


def as_png(image: np.ndarray) -> bytes:
    """Return the PNG of a grey image [H, W, 1]."""
    content = io.BytesIO()
    Image.fromarray(image.squeeze(-1)).save(content, "PNG")
    return content.getvalue()


def spread(untrained: keras.Model, images: tf.data.Dataset) -> None:
    """Set the last bias so that the model names each class in half of the images."""
    p = untrained.predict(images, verbose=0)
    kernel, bias = untrained.get_layer("logits").get_weights()
    untrained.get_layer("logits").set_weights([kernel, bias - np.median(np.log(p / (1 - p)), axis=0)])


def _label(label: np.ndarray, index: contents.Index) -> str:
    if index.task == "single_label":
        return index.classes[label]
    return "|".join(name for name, is_so in zip(index.classes, label, strict=True) if is_so)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return evaluate_in(tmp_path_factory.mktemp("evaluate"), "single_label")


@pytest.fixture(scope="module")
def evaluated_sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return evaluate_in(tmp_path_factory.mktemp("evaluate"), "multi_label")


def evaluate_in(folder: Path, task: Task) -> Path:
    before = Path.cwd()
    write_inputs(folder, task)
    os.chdir(folder)
    try:
        evaluate.main(dataclasses.replace(P, threads=2))
    finally:
        os.chdir(before)
    return folder
