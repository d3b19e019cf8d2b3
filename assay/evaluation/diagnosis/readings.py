"""What the rules read of a training: shares and ratios that mean the same for every set and every network.

Losses are held against that of guessing, ln K of K classes alike, so that a limit means the same for two classes and
for a thousand. A number that was none stands as null in record.json.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from assay import params
from assay.training import catalogue

Record = Mapping[str, Any]  # record.json

PATH, UNFIT = 0.5, 0.1  # sum of all steps to the size of the kernels; loss on train to that of guessing: not fitted yet
UNDONE = 0.05  # loss on train to that of guessing, of a run whose kernels have hardly moved: it would fall further
SHRUNK = 0.5  # times the size that the kernels began with: a penalty has made them so
BY_HEART = 0.97  # accuracy on train in the last epochs: nothing is left to be learnt of these images
FEW = 30  # train images of a class
LEAST_PLAIN = 0.1  # above chance, that is most like its own class before augmentation: of less nothing can be lost


def number(value: Any) -> float:
    return float("inf") if value is None else float(value)


def fit(record: Record) -> float:
    """Return the loss on train as in use, to that of guessing."""
    return float(number(record["regularisation"]["clean"]) / record["guessing"])


def grown(record: Record) -> float:
    return float(np.median([each["rms"] / max(each["rms_began"], 1e-30) for each in record["kernels"].values()]))


def added(record: Record, name: str) -> float:
    of = record["regularisation"]
    found = (number(of[name]) - number(of["clean"])) / record["guessing"]
    return float(found) if math.isfinite(found) else 0.0


def left(record: Record) -> float | None:
    """Return how much of being most like images of its own class augmentation leaves an image, beyond chance."""
    of = record.get("augmentation")
    if not of or of["plain"] - of["chance"] < LEAST_PLAIN:
        return None
    return float((of["augmented"] - of["chance"]) / (of["plain"] - of["chance"]))


def likeness(record: Record) -> float:
    """Return how an augmented image correlates with itself, beside the mean image; 1 where that was not measured."""
    return float((record.get("augmentation") or {}).get("correlation", 1.0))


def first(record: Record) -> float:
    """Return what a step of the first epoch changes the kernels by, to their size."""
    return number(record["epochs"][0]["update_ratio"]) if record["epochs"] else float("inf")


def per_class(record: Record) -> float:
    """Return how many train images there are for each class."""
    return float(record["n_images"]["train"] / record["n_classes"])


def are_few(record: Record, p: params.Train) -> bool:
    """Say whether there are too few images of a class to learn from nothing; a backbone needs fewer."""
    return per_class(record) < FEW and p.network not in catalogue.BACKBONES


def is_early(record: Record) -> bool:
    """Say whether the kernels have hardly moved yet, which any other loss of the run follows from.

    An epoch may be kept that was before the end: what the last ones came to counts too. Few images can be learnt by
    heart in few steps, and the loss of an epoch before that be kept.
    """
    if is_by_heart(record):
        return False
    last = number(record["epochs"][-1]["clean_loss"]) / record["guessing"] if record["epochs"] else math.inf
    return record["path"] < PATH and min(fit(record), last) > UNDONE


def is_by_heart(record: Record) -> bool:
    """Say whether the last epochs answered the train images right, whatever epoch is kept."""
    return late(record, "clean_accuracy") >= BY_HEART


def late(record: Record, name: str) -> float:
    """Return the mean of the last fifth of the epochs."""
    rows = record["epochs"][-max(1, len(record["epochs"]) // 5) :]
    return float(np.mean([number(row[name]) for row in rows])) if rows else math.nan


def kept(record: Record, name: str) -> float:
    """Return what the epoch that is kept had; NaN where none is."""
    return next((number(row[name]) for row in record["epochs"] if row["epoch"] == record["kept"]["epoch"]), math.nan)
