"""What the images of a set have in common: groups, deliveries, strata of labels."""

import hashlib
from collections.abc import Iterable

import numpy as np
import pandas as pd

from assay import labels
from assay.dataset import splits
from assay.labels import Task

STRATA = 50  # labels that have distributions of their own; the rarer ones share one
OTHERS = "(all others)"  # the name of that one


def units(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return which image, group and delivery each row is of, as numbers."""
    return {"image": np.arange(len(rows)), "group": groups(rows), "batch": deliveries(rows)}


def groups(rows: pd.DataFrame) -> np.ndarray:
    """Return the group of each row, as a number: an image without a group is its own."""
    own = pd.Series(np.arange(len(rows)), index=rows.index).astype("str")
    group = rows["group"].where(rows["group"].fillna("") != "", "\0" + own)
    number: np.ndarray = pd.factorize(group, sort=True)[0]
    return number


def deliveries(rows: pd.DataFrame) -> np.ndarray:
    """Return the number of each row's batch, or of the first of those that one delivery was cut into.

    `ledger.with_new` cuts along the sorted SHA-256: a part is nearly full, and the next goes on where it ends. They are
    random parts of one whole, so between them is none of what makes one delivery differ from the next.
    """
    number = batch_numbers(rows)
    batches, of = np.unique(number, return_inverse=True)
    is_large = np.bincount(of, rows["bytes"].to_numpy(float), len(batches)) >= splits.BATCH_BYTES / 2
    goes_on = is_large[:-1] & (np.diff(batches) == 1)
    asked = np.append(goes_on, False)[of] | np.insert(goes_on, 0, False)[of]
    hashes = rows["sha256"][asked].groupby(of[asked]).agg(["min", "max"]).reindex(range(len(batches)))
    is_next = np.insert(goes_on, 0, False) & (hashes["min"] > hashes["max"].shift()).to_numpy(bool)
    first: np.ndarray = batches[np.maximum.accumulate(np.where(is_next, 0, np.arange(len(batches))))]
    return first[of]


def batch_numbers(rows: pd.DataFrame) -> np.ndarray:
    """Return the number at the head of each batch's name; 0 where there is no batch."""
    codes, names = pd.factorize(rows["batch"].fillna("0"))
    numbers: np.ndarray = np.array([int(name.partition("-")[0]) for name in names], np.int64)[codes]
    return numbers


def stratum_of(label: "pd.Series[str]", strata: Iterable[str]) -> np.ndarray:
    """Return the place of each label among the strata, that of `OTHERS` if it is no other's; -1: in none."""
    places = {name: place for place, name in enumerate(strata)}
    found: np.ndarray = label.map(places).fillna(places.get(OTHERS, -1)).to_numpy(np.int64)
    return found


def marked(label: "pd.Series[str]", task: Task) -> tuple[list[str], np.ndarray]:
    """Return the class names, sorted, and which of them each image is in: bool [N, K]."""
    codes, distinct = pd.factorize(label)
    of_distinct = [labels.names(str(name), task) for name in distinct]
    every = sorted({name for names in of_distinct for name in names})
    table = np.array([[name in names for name in every] for names in of_distinct], bool).reshape(
        len(distinct), len(every)
    )
    return every, table[codes]


def parts(counts: np.ndarray, n_images: int, task: Task) -> np.ndarray:
    """Return into which parts the classes divide the images, as drift.py counts them; `counts` [..., K] of the classes.

    [..., 1, K] of a single-label set; of a multi-label one [..., K, 2]: in the class, and not.
    """
    if task == "single_label":
        return counts[..., None, :]
    return np.stack([counts, n_images - counts], axis=-1)


def identity(sha256: Iterable[str]) -> str:
    """Return one hash for a set of images, whatever their order."""
    return hashlib.sha256("\n".join(sorted(set(sha256))).encode()).hexdigest()
