"""What the model says of a split, asked once and kept: logits and penultimate features of every image.

It is asked for the train images too, but for no more than are kept to hold new images against.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from assay import files, labels
from assay.errors import AssayError
from assay.evaluation import metrics, ood
from assay.training.outputs import Network

MOST_TRAIN = ood.MOST
BATCH_IMAGES = 64


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Of one split, in the order of `sha256`."""

    sha256: np.ndarray  # S64 [N]
    labels: np.ndarray  # int64 [N], or of a multi-label set 0 or 1 for each class [N, K]
    logits: np.ndarray  # float32 [N, K]
    features: np.ndarray  # float32 [N, D]
    properties: np.ndarray  # float32 [N, P], of the pixels: `ood.PROPERTIES`

    def actual(self) -> np.ndarray:
        """Return the classes that each image is in, bool [N, K]."""
        if self.labels.ndim == 2:
            return np.asarray(self.labels > 0)
        return metrics.one_hot(self.labels, self.logits.shape[1])

    def names(self) -> list[str]:
        """Return the SHA-256 of each image as text."""
        return [value.decode() for value in self.sha256]


Batches = Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]  # uint8 [N, H, W, C], int64 [N] or [N, K], S64 [N]


def predict(ask: Network, batches: Batches) -> Outputs:
    """Return the outputs for all images of the batches, of which there must be one."""
    found = []
    for images, numbers, sha256 in batches:
        features, logits = ask(images)
        found.append((sha256.astype("S64"), numbers.astype(np.int64), logits, features, ood.properties(images)))
    if not found:
        raise AssayError("predict: no image")
    columns = [np.concatenate(column) for column in zip(*found, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    sha256, numbers, *measured = (column[order] for column in columns)
    logits, features, seen = (column.astype(np.float32) for column in measured)
    return Outputs(sha256=sha256, labels=numbers, logits=logits, features=features, properties=seen)


def only(batches: Batches, wanted: Collection[bytes]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield the wanted images alone, in batches of one size but for the last: another size costs a compilation."""
    waiting: list[tuple[np.ndarray, ...]] = []
    for batch in batches:
        kept = np.array([sha256 in wanted for sha256 in batch[2].tolist()], bool)
        waiting += zip(*(part[kept] for part in batch), strict=True)
        while len(waiting) >= BATCH_IMAGES:
            yield _together(waiting[:BATCH_IMAGES])
            waiting = waiting[BATCH_IMAGES:]
    if waiting:
        yield _together(waiting)


def unnamed(images: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield batches of images without labels and names, [N, H, W, C]: they are numbered."""
    for start in range(0, len(images), BATCH_IMAGES):
        part = images[start : start + BATCH_IMAGES]
        names = np.array([f"{start + at:064d}".encode() for at in range(len(part))])
        yield part, np.zeros(len(part), np.int64), names


def _together(rows: list[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    images, numbers, sha256 = (np.stack(column) for column in zip(*rows, strict=True))
    return images, numbers, sha256


def stratified(rows: pd.DataFrame, most: int) -> set[bytes]:
    """Return the SHA-256 of at most so many images, of each label its share but at least one; `rows`: sha256, label.

    The smallest hashes are taken, which are random, so that a new image hardly changes which ones.
    """
    distinct = rows.drop_duplicates("sha256").sort_values("sha256")
    if len(distinct) <= most:
        return {value.encode() for value in distinct["sha256"]}
    taken = distinct.groupby("label").cumcount() < np.maximum(
        1, distinct.groupby("label")["sha256"].transform("size") * most // len(distinct)
    )
    return {value.encode() for value in distinct.loc[taken, "sha256"].head(most)}


def write(file: Path, outputs: Outputs) -> None:
    """Write the outputs as .npz, without the properties; equal arrays give equal bytes."""
    kept = {name: value for name, value in vars(outputs).items() if name != "properties"}
    with files.replacing(file) as out:
        np.savez_compressed(out, **kept)


def table(outputs: Outputs, answers: metrics.Answers, classes: tuple[str, ...]) -> pd.DataFrame:
    """Return one row per image: sha256, label, predicted, probability, and p_<class> of each class.

    `probability` is that of the class which is named; of a multi-label set, how sure the least sure decision is.
    """
    probabilities = answers.probabilities
    head = {
        "sha256": outputs.names(),
        "label": [labels.decode(row, classes) for row in answers.actual],
        "predicted": [labels.decode(row, classes) for row in answers.predicted],
        "probability": confidence(answers),
    }
    return pd.DataFrame(head | {f"p_{name}": probabilities[:, number] for number, name in enumerate(classes)})


def confidence(answers: metrics.Answers) -> np.ndarray:
    """Return the probability of what is named [N]; of a multi-label set that of the least sure decision."""
    probabilities = answers.probabilities
    if answers.task == "multi_label":
        return np.asarray(np.where(answers.predicted, probabilities, 1 - probabilities).min(axis=1))
    return np.asarray(probabilities.max(axis=1))


def sureness(answers: metrics.Answers) -> np.ndarray:
    """Return how sure the model is of its answers [N]; of a multi-label set: of the surest wrong decision, or 0."""
    if answers.task == "single_label":
        return confidence(answers)
    is_wrong = answers.actual != answers.predicted
    sure = np.where(answers.predicted, answers.probabilities, 1 - answers.probabilities)
    return np.asarray((sure * is_wrong).max(axis=1))
