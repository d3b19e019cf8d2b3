"""Ask the model about every split, once, and read what else the evaluation needs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from assay import params
from assay.dataset import manifest
from assay.dataset.records import contents
from assay.errors import AssayError
from assay.evaluation import far_sets, label_errors, predictions
from assay.evaluation.predictions import BATCH_IMAGES, Batches
from assay.evaluation.results import Asked
from assay.training import batches, keras_file, left, outputs


def check(index: contents.Index) -> None:
    """Raise `AssayError` for a test split without an image of any class."""
    test = index.splits["test"]
    if not test.n_images:
        raise AssayError("test: 0 images, at least 1 is needed (params.yaml: ingest.test_share)")
    if not any(test.class_counts):
        raise AssayError(f"test: none of {test.n_images:,} images is in a class, at least 1 is needed")


def read(paths: params.Paths, index: contents.Index) -> Asked:
    """Return what the model of `paths.model` says of all splits; raises `AssayError` as `check` does."""
    check(index)
    ask = outputs.network(keras_file.read_for(paths.model, index))
    rows = manifest.read(paths.manifest)
    wanted = predictions.stratified(rows[rows["split"] == "train"], predictions.MOST_TRAIN)
    seen = _some_images(paths.records, index, far_sets.N_IMAGES)
    return Asked(
        train=predictions.predict(ask, predictions.only(_batches(paths.records, index, "train"), wanted)),
        val=predictions.predict(ask, _batches(paths.records, index, "val")),
        test=predictions.predict(ask, _batches(paths.records, index, "test")),
        far={
            name: predictions.predict(ask, predictions.unnamed(images))
            for name, images in far_sets.build(seen, index.classes).items()
        },
        manifest=rows,
        pairs=_pairs(paths.pairs),
        margins=label_errors.read_margins(paths.training / left.MARGINS),
        classes=index.classes,
        task=index.task,
    )


def _batches(records: Path, index: contents.Index, split: str) -> Batches:
    named = batches.named(records, index, split, batch_images=BATCH_IMAGES)
    return (tuple(part.numpy() for part in batch) for batch in named)


def _some_images(records: Path, index: contents.Index, n: int) -> np.ndarray:
    """Return the first test images of the shards, uint8 [M, H, W, C]."""
    found: list[np.ndarray] = []
    for images, _, _ in _batches(records, index, "test"):
        found.append(images)
        if sum(map(len, found)) >= n:
            break
    return np.concatenate(found)[:n]


def _pairs(file: Path) -> pd.DataFrame:
    return pq.read_table(file, columns=["path", "partner"]).to_pandas()


def pictures(records: Path, index: contents.Index, wanted: set[str]) -> dict[str, np.ndarray]:
    """Return the wanted images, uint8 [H, W, C]; they are read anew, for all may not fit in memory."""
    found: dict[str, np.ndarray] = {}
    for split in ("test", "val", "train"):  # the smaller ones first, for the reading ends when all are found
        for images, _, sha256 in _batches(records, index, split):
            names = [key.decode() for key in sha256.tolist()]
            found |= {name: image for name, image in zip(names, images, strict=True) if name in wanted}
            if len(found) == len(wanted):
                return found
    return found
