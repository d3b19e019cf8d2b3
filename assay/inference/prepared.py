"""Are images prepared for an answer as they were for training? Pixel by pixel, on images of the train split."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from assay import params
from assay.dataset import batches, manifest
from assay.dataset.records import contents, reader
from assay.evaluation.diagnosis.finding import SHOWN, Finding, contract
from assay.inference.classifier import Classifier
from assay.inference.exported import ABOUT
from assay.inference.model import Model

N_IMAGES = 200
LIMIT = 0.5  # grey levels, the mean of all pixels: what only rounds otherwise stays below


@dataclass(frozen=True, kw_only=True)
class Apart:
    """How far the pixels of `n_images` are apart, mean and largest absolute difference in [0, 255]."""

    n_images: int
    mean: float
    largest: float
    images: tuple[str, ...]  # SHA-256, those that differ most first; none that is equal


def otherwise(paths: params.Paths) -> Finding | None:
    """Return the finding that the exported model takes files otherwise than training did; None: it does not."""
    if not (paths.export / ABOUT).exists():
        return None
    rows, index = manifest.read(paths.manifest), contents.read_index(paths.index)
    apart = compare(Classifier.load(paths.export), rows, raw=paths.raw, records=paths.records, index=index)
    if apart.mean <= LIMIT:
        return None
    return contract(
        "prepared_otherwise",
        seen=(
            f"the pixels of {apart.n_images:,} train images, as {paths.export} takes them and as they were trained on, "
            f"are {apart.mean:.1f} grey levels apart on average; the limit is {LIMIT:g}"
        ),
        look=f"`preprocess` in params.yaml and `preprocessing` in {paths.export}/{ABOUT}; then `dvc repro`",
        images=apart.images[:SHOWN],
    )


def compare(model: Model, rows: pd.DataFrame, *, raw: Path, records: Path, index: contents.Index) -> Apart:
    """Return how far apart the pixels of train images are: as the model takes their files, and as they lie in records.

    `rows`: of the manifest, with sha256, batch, offset and bytes. The first images of the shards are taken, whose order
    is that of a hash. Pixels of another shape count as 255 apart.
    """
    named = rows.drop_duplicates("sha256").set_index("sha256")
    found: dict[str, np.ndarray] = {}
    for shard in index.splits["train"].shards:
        for example in reader.read(records / shard, index):
            content = _content(named.loc[example.sha256], example.sha256, raw)
            found[example.sha256] = _apart(model.pixels(content), example.image)
            if len(found) == N_IMAGES:
                return _summed(found)
    return _summed(found)


def _content(row: pd.Series, sha256: str, raw: Path) -> bytes:
    with (raw / str(row["batch"])).open("rb") as tar:
        return batches.read_image(tar, offset=int(row["offset"]), size=int(row["bytes"]), sha256=sha256)


def _apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    if one.shape != other.shape:
        return np.full(1, 255.0)
    return np.asarray(np.abs(one.astype(float) - other))


def _summed(found: dict[str, np.ndarray]) -> Apart:
    means = {sha256: float(apart.mean()) for sha256, apart in found.items()}
    return Apart(
        n_images=len(found),
        mean=float(np.mean(list(means.values()))) if means else 0.0,
        largest=max((float(apart.max()) for apart in found.values()), default=0.0),
        images=tuple(sorted((each for each in means if means[each] > 0), key=lambda each: (-means[each], each))),
    )
