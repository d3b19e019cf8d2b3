"""What a diagnosis stands on: what the stages left, read once. Every rule is a function of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from assay import files, params
from assay.dataset import manifest
from assay.dataset.records import contents
from assay.evaluation import answering, calibration, groups, intervals, metrics
from assay.evaluation.intervals import Share
from assay.labels import SPLITS, Task
from assay.training import left

What = Literal["data", "stopped", "run"]
COLUMNS = ("path", "label", "split", "group", "sha256", "pixels", "brightness", "contrast", "sharpness")


@dataclass(frozen=True, kw_only=True)
class Split:
    """What the model says of one split, the images in the order of `sha256`."""

    sha256: tuple[str, ...]
    actual: np.ndarray  # bool [N, K]
    probabilities: np.ndarray  # float64 [N, K]
    predicted: np.ndarray  # bool [N, K]
    groups: np.ndarray  # int [N]
    accuracy: Share

    @property
    def right(self) -> np.ndarray:
        """Return which images are right in every class, bool [N]."""
        return np.asarray((self.actual == self.predicted).all(axis=1))


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a model that was trained to the end says of all splits."""

    task: Task
    classes: tuple[str, ...]
    n_train: tuple[int, ...]  # train images of each class
    train: Split  # at most 10,000 of its images
    val: Split
    test: Split

    @property
    def is_single(self) -> bool:
        return self.task == "single_label"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    train: params.Train
    register: params.Register
    rows: pd.DataFrame  # of the manifest: `COLUMNS`
    pixels: np.ndarray  # uint8 [N, 2, 60]: border and centre of each row
    pairs: pd.DataFrame  # near-duplicates: path and partner
    failed: tuple[Mapping[str, Any], ...]  # expectations of the data that failed
    record: Mapping[str, Any] | None  # record.json of a training, or what one left that was stopped
    stopped: str  # why the training was stopped, empty if it was not
    run: Run | None  # None: there is no evaluation, or not of these data
    closed: str = ""  # why the gate is closed, empty if it is open
    n_looks: int = 0  # models that were measured on these very test images


def read(p: params.Params, what: What) -> Evidence:
    """Return what the stages left: of the data alone, of a training that was stopped too, or of a whole run."""
    rows = manifest.read(p.paths.manifest)[list(COLUMNS)]
    pairs = pq.read_table(p.paths.pairs, columns=["path", "partner"]).to_pandas()
    said = files.read_json(p.paths.validation / "results.json")
    stopped = files.read_json(p.paths.memo.training / left.STOPPED) if what == "stopped" else None
    whole = files.read_json(p.paths.training / left.RECORD) if what == "run" else None
    return Evidence(
        train=p.train,
        register=p.register,
        rows=rows,
        pixels=manifest.read_pixels(p.paths.manifest),
        pairs=pairs,
        failed=tuple(each for each in said["expectations"] if not each["success"]),
        record=stopped["record"] if stopped else whole,
        stopped=stopped["said"] if stopped else "",
        run=_run(p, rows, pairs) if what == "run" else None,
    )


def _run(p: params.Params, rows: pd.DataFrame, pairs: pd.DataFrame) -> Run:
    """Return what the evaluation left."""
    index = contents.read_index(p.paths.index)
    chosen = answering.read(p.paths.answering)
    named = rows.drop_duplicates("sha256").set_index("sha256", drop=False)
    of_split = {
        name: _split(p.paths.outputs / f"{name}.npz", index.task, chosen, named, pairs, p.evaluate.confidence)
        for name in SPLITS
    }
    return Run(task=index.task, classes=index.classes, n_train=index.splits["train"].class_counts, **of_split)


def _split(
    file: Path, task: Task, chosen: answering.Answering, named: pd.DataFrame, pairs: pd.DataFrame, confidence: float
) -> Split:
    with np.load(file, allow_pickle=False) as content:
        sha256 = tuple(name.decode() for name in content["sha256"])
        numbers, logits = content["labels"], content["logits"].astype(np.float64)
    actual = numbers > 0 if numbers.ndim == 2 else metrics.one_hot(numbers, logits.shape[1])
    probabilities = calibration.probabilities(logits, task, chosen.temperature.value)
    of = groups.of_rows(named.reindex(list(sha256)).reset_index(drop=True), pairs)
    found = metrics.answers(actual, probabilities, of, task=task, thresholds=chosen.thresholds)
    return Split(
        sha256=sha256,
        actual=found.actual,
        probabilities=found.probabilities,
        predicted=found.predicted,
        groups=found.groups,
        accuracy=intervals.share(found.right, found.groups, confidence),
    )
