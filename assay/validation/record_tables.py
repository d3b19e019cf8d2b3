"""What the shards hold, beside what they should: the tables of records that suites speak about.

The shards are read without TensorFlow, each record checked by its checksum. What should be in them is worked out from
the manifest anew, not taken from what `preprocess` believes to have written.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from assay import labels
from assay.dataset import batches
from assay.dataset.records import contents, reader
from assay.images import decode
from assay.validation.rules import TABLES

ALL = "*"  # instead of a class
WORST = 255  # the difference of an image that has another shape, or is no image any more


def build(
    folder: Path, raw: Path, index: contents.Index, rows: pd.DataFrame, p: decode.Preparation, *, n_samples: int
) -> dict[str, pd.DataFrame]:
    """Return every table, columns as in `suites.TABLES`; `rows`: those of the manifest that should be recorded.

    `n_samples` images are decoded again, those with the smallest SHA-256: as good as drawn by lot, and the same ones in
    every run.
    """
    wanted = rows.drop_duplicates("sha256").set_index("sha256")
    sampled = wanted.sort_index().head(n_samples)
    shards, found, samples = [], [], []
    for split, name in ((split, name) for split, own in index.splits.items() for name in own.shards):
        reason = ""
        try:
            for example in reader.read(folder / name, index):
                found.append((example.sha256, name, split, _label(example, index)))
                if example.sha256 in sampled.index:
                    row = sampled.loc[example.sha256]
                    samples.append((row["path"], name, difference(example.image, _fresh(row, raw, p))))
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
        except reader.Broken as error:
            path = wanted["path"].get(error.sha256)
            reason = f"{error}, the one of {path}" if path else str(error)
        shards.append((name, not reason, reason))
    seen = pd.DataFrame(found, columns=["sha256", "partner", "recorded_split", "recorded_label"])
    task = index.task
    return {
        "shards": pd.DataFrame(shards, columns=list(TABLES["shards"].columns)),
        "counts": counts(wanted, seen, task),
        "recorded": recorded(wanted, seen),
        "samples": pd.DataFrame(samples, columns=list(TABLES["samples"].columns)),
    }


def recorded(wanted: pd.DataFrame, seen: pd.DataFrame) -> pd.DataFrame:
    """Return a row per image: as the manifest has it (index `sha256`), and as each record that shows it has it."""
    both = wanted[["path", "split", "label"]].reset_index().merge(seen, on="sha256", how="outer")
    twice = both["sha256"].duplicated()
    both["path"] = both["path"].where(both["path"].notna(), both["sha256"])
    both["recorded_split"] = both["recorded_split"].where(~twice, both["recorded_split"] + " once more")
    both["partner"] = both["partner"].fillna("")
    return both[list(TABLES["recorded"].columns)]


def counts(wanted: pd.DataFrame, seen: pd.DataFrame, task: labels.Task) -> pd.DataFrame:
    """Return the images of each class in each split, and of all, in the manifest and in the records."""
    expected = _counted(wanted["split"], wanted["label"], task)
    found = _counted(seen["recorded_split"], seen["recorded_label"], task)
    both = pd.DataFrame({"n_images": expected, "n_recorded": found}).fillna(0).astype("int64")
    return both.rename_axis(["split", "label"]).reset_index()[list(TABLES["counts"].columns)]


def _counted(split: "pd.Series[str]", label: "pd.Series[str]", task: labels.Task) -> "pd.Series[int]":
    names = {each: [ALL, *labels.names(each, task)] for each in label.unique()}
    each = pd.DataFrame({"split": split, "label": label.map(names)}).explode("label")
    return each.groupby(["split", "label"]).size()


def _label(example: contents.Example, index: contents.Index) -> str:
    """Return the label as the manifest has it, or a text that no class is called by where a number stands for none."""
    marks: Iterable[int] = [example.label] if isinstance(example.label, int) else np.flatnonzero(example.label)
    names = [index.classes[mark] if mark < len(index.classes) else f"(class {mark})" for mark in marks]
    return labels.SEPARATOR.join(names)


def _fresh(row: pd.Series, raw: Path, p: decode.Preparation) -> np.ndarray | None:
    with (raw / row["batch"]).open("rb") as tar:
        content = batches.read_image(tar, offset=row["offset"], size=row["bytes"], sha256=str(row.name))
    try:
        return decode.prepare(content, **vars(p))
    except decode.Undecodable:
        return None


def difference(recorded: np.ndarray, fresh: np.ndarray | None) -> int:
    """Return the greatest difference between two images, uint8 [H, W, C], of all their pixels."""
    if fresh is None or recorded.shape != fresh.shape:
        return WORST
    return int(np.abs(recorded.astype(np.int16) - fresh.astype(np.int16)).max())
