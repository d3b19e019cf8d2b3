"""What the shards hold, beside what they should: the tables of records that suites speak about.

The shards are read without TensorFlow, each record checked by its checksum. What should be in them is worked out from
the manifest anew, not taken from what `preprocess` believes to have written.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from assay import labels
from assay.dataset import batches
from assay.dataset.records import contents, reader
from assay.errors import AssayError
from assay.images import decode
from assay.validation import proofs
from assay.validation.rules import TABLES

ALL = "*"  # instead of a class
WORST = 255  # the difference of an image that has another shape, or is no image any more


def build(
    folder: Path,
    raw: Path,
    index: contents.Index,
    rows: pd.DataFrame,
    p: decode.Preparation,
    *,
    n_samples: int,
    proven: Path,
) -> dict[str, pd.DataFrame]:
    """Return every table, columns as in `suites.TABLES`; `rows`: those of the manifest that should be recorded.

    `n_samples` images are decoded again, those with the smallest SHA-256: as good as drawn by lot, and the same ones in
    every run. `proven`: the folder of the proofs of shards that were read before.
    """
    wanted = rows.drop_duplicates("sha256").set_index("sha256")
    found = proofs.shards(folder, index, proven)
    records = [
        (sha256, shard.name, shard.split, label)
        for shard in found
        for sha256, label in zip(shard.records.sha256, shard.records.label, strict=True)
    ]
    seen = pd.DataFrame(records, columns=["sha256", "partner", "recorded_split", "recorded_label"])
    shards = [(shard.name, not shard.reason, _reason(shard, wanted["path"])) for shard in found]
    sampled = wanted.sort_index().head(n_samples)[["path", "batch", "offset", "bytes"]].to_dict("index")
    samples = [
        (sampled[sha256]["path"], name, difference(image, _fresh(sha256, sampled[sha256], raw, p)))
        for sha256, name, image in _sampled(folder, index, found, sampled)
    ]
    return {
        "shards": pd.DataFrame(shards, columns=list(TABLES["shards"].columns)),
        "counts": counts(wanted, seen, index.task),
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


def _reason(shard: proofs.Shard, paths: "pd.Series[str]") -> str:
    """Return why the shard is not whole, with the image at which it breaks."""
    path = paths.get(shard.broken)
    return f"{shard.reason}, the one of {path}" if path else shard.reason


def _sampled(
    folder: Path, index: contents.Index, shards: Iterable[proofs.Shard], wanted: Collection[str]
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield each record of the wanted images: their SHA-256, the shard, and the recorded image."""
    for shard in shards:
        for sha256, start in zip(shard.records.sha256, shard.records.start, strict=True):
            if sha256 in wanted:
                _, example = next(reader.located(folder / shard.name, index, start))
                yield sha256, shard.name, example.image


def _fresh(sha256: str, row: Mapping[str, Any], raw: Path, p: decode.Preparation) -> np.ndarray | None:
    file = raw / row["batch"]
    try:
        with file.open("rb") as tar:
            content = batches.read_image(tar, offset=row["offset"], size=row["bytes"], sha256=sha256)
    except OSError as error:
        raise AssayError(f"{file}: cannot be read: {error.strerror}; run `dvc checkout`, or `dvc pull`") from None
    try:
        return decode.prepare(content, **vars(p))
    except decode.Undecodable:
        return None


def difference(recorded: np.ndarray, fresh: np.ndarray | None) -> int:
    """Return the greatest difference between two images, uint8 [H, W, C], of all their pixels."""
    if fresh is None or recorded.shape != fresh.shape:
        return WORST
    return int(np.abs(recorded.astype(np.int16) - fresh.astype(np.int16)).max())
