"""The test images with what the model said of each, the champion before it, and who was held against them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from assay import labels, params
from assay.dataset import manifest
from assay.dataset.records.contents import Index
from assay.evaluation import groups, intervals
from assay.evaluation.against import Sides
from assay.evaluation.intervals import Share
from assay.labels import Task

Champion = Mapping[str, Any]  # an entry of champions.json
Look = dict[str, Any]  # of a model at test images: ledger, last_batch, model


@dataclass(frozen=True, kw_only=True)
class Tested:
    """One model on N test images, sorted by `sha256`."""

    sha256: tuple[str, ...]
    batch: np.ndarray  # int [N], the number of the batch that each image came in
    actual: np.ndarray  # bool [N, K]
    predicted: np.ndarray  # bool [N, K]
    groups: np.ndarray  # int [N]
    classes: tuple[str, ...]
    task: Task

    @property
    def right(self) -> np.ndarray:
        """Return which images are right in every class, bool [N]."""
        return np.asarray((self.actual == self.predicted).all(axis=1))

    def shares(self, confidence: float) -> tuple[Share, dict[str, Share]]:
        """Return the accuracy, and the recall of each class."""
        accuracy, recalls = intervals.recalls(self.actual, self.predicted, self.groups, confidence)
        return accuracy, dict(zip(self.classes, recalls, strict=True))


def read(paths: params.Paths, index: Index) -> Tested:
    """Return what `evaluate` left of the test images."""
    texts = {"sha256": str, "label": str, "predicted": str}
    said = pd.read_csv(paths.predictions, dtype=texts, keep_default_na=False, usecols=list(texts)).sort_values("sha256")
    rows = manifest.read(paths.manifest).drop_duplicates("sha256")
    test = said.merge(rows[["sha256", "path", "group", "batch"]], on="sha256", how="left", validate="one_to_one")
    pairs = pq.read_table(paths.pairs, columns=["path", "partner"]).to_pandas()
    return Tested(
        sha256=tuple(test["sha256"]),
        batch=test["batch"].str.partition("-")[0].astype(int).to_numpy(),
        actual=marks(test["label"], index.classes, index.task),
        predicted=marks(test["predicted"], index.classes, index.task),
        groups=groups.of_rows(test, pairs),
        classes=index.classes,
        task=index.task,
    )


def marks(texts: Sequence[str], classes: Sequence[str], task: Task) -> np.ndarray:
    """Return which of the classes each label names, bool [N, K]; a name that is none of them marks nothing."""
    held = {text: set(labels.names(text, task)) for text in set(texts)}
    of_each = {text: [name in names for name in classes] for text, names in held.items()}
    return np.array([of_each[text] for text in texts], bool).reshape(len(texts), len(classes))


def champion_of(champions: Sequence[Champion], model_sha256: str) -> Champion | None:
    """Return the last champion that is not the model itself, so that a released model keeps the verdict it had."""
    others = [champion for champion in champions if champion["model"] != model_sha256]
    return others[-1] if others else None


def obstacle(champion: Champion, test: Tested, ledger_id: str) -> str:
    """Return why the two cannot be compared, empty if they can; `ledger_id`: `splits.identity` of this ledger."""
    version, its_task = champion["version"], champion.get("task", "single_label")
    if its_task != test.task:
        return f"champion {version} was made for other labels: {its_task}, and this model for {test.task}"
    if champion.get("ledger") not in (None, ledger_id):
        return f"champion {version} was tested on images of another ledger: none is known to be in common"
    if not (test.batch <= champion["last_batch"]).any():
        return f"no test image in common with champion {version}"
    return ""


def sides(champion: Champion, test: Tested) -> Sides:
    """Return champion and challenger on the test images that both have seen, at least one.

    No image ever leaves the test split or joins an old batch, so the champion's are those up to its last batch. What it
    said is known of those that it had wrong; what it had right it named as the label says. An older one kept no more
    than which were wrong, and one of other classes was judged by the labels of then: of both only that is compared.
    """
    both = test.batch <= champion["last_batch"]
    actual, names = test.actual[both], np.array(test.sha256)[both]
    wrong = np.isin(names, champion["errors"])
    named = dict(zip(champion["errors"], champion.get("named") or [], strict=False))
    old = None
    if tuple(champion.get("classes", test.classes)) == test.classes and len(named) == len(champion["errors"]):
        old = actual.copy()
        old[wrong] = marks([named[name] for name in names[wrong]], test.classes, test.task)
        wrong = (old != actual).any(axis=1)  # a label may have been corrected since
    return Sides(
        actual=actual,
        old=old,
        old_right=~wrong,
        new=test.predicted[both],
        groups=np.unique(test.groups[both], return_inverse=True)[1],
        classes=test.classes,
        task=test.task,
    )


def other_classes(champion: Champion, test: Tested) -> str:
    """Return a sentence for a champion of other classes, empty for one of the same."""
    its_classes = champion.get("classes", list(test.classes))
    if tuple(its_classes) == test.classes:
        return ""
    return f"the champion was made for other classes, and judged by the labels of then: {', '.join(its_classes)}"


def with_look(looks: Sequence[Look], look: Look) -> list[Look]:
    """Return the looks with one more, if it is new: the same model twice is one look."""
    return [*looks, look] if look not in looks else list(looks)


def n_looks(looks: Sequence[Look], champion: Champion, ledger_id: str) -> int:
    """Return how many models were held against the champion's test images so far: all that have its last batch."""
    of = [each for each in looks if each["ledger"] == ledger_id and each["last_batch"] >= champion["last_batch"]]
    return len({look["model"] for look in of})
