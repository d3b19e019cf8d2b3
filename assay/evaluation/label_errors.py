"""Which labels are probably wrong: a queue for a person to look through, worst first. Nothing is dropped for it.

Of a train image the margin counts that its label had while the network learned, averaged over the epochs (AUM: Pleiss
et al. 2020, https://arxiv.org/abs/2001.10528), for in the end the network may know it by heart. Of an image of val or
test the probability of its label counts. Both become a `trust` in [0, 1], low where the label is doubtful.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from assay.labels import Task

MOST = 1000  # rows of the queue
DOUBTED = 0.5  # labels that are trusted more are not in it
COLUMNS = ["rank", "path", "sha256", "split", "label", "suggested", "trust", "method"]


@dataclass(frozen=True, kw_only=True)
class Margins:
    """What `train` recorded of each train image."""

    sha256: np.ndarray  # S64 [N]
    aum: np.ndarray  # float32 [N], mean over the epochs: logit of the label less the largest other


def read_margins(file: Path) -> Margins | None:
    """Return what the training recorded; None if it did not."""
    if not file.exists():
        return None
    with np.load(file, allow_pickle=False) as content:
        return Margins(sha256=content["sha256"], aum=content["aum"])


def trust_in_margins(aum: np.ndarray) -> np.ndarray:
    """Return the trust [N] in labels by their margins: the probability that it would be of two classes."""
    return np.asarray(expit(aum.astype(np.float64)))


def trust_in_labels(probabilities: np.ndarray, actual: np.ndarray, task: Task) -> np.ndarray:
    """Return the trust [N] in labels of images that the model did not learn from; both [N, K].

    The probability of what the label says; of several classes, that of the most doubtful decision. A probability that
    is no number says nothing against the label.
    """
    agreed = np.where(actual, probabilities, 1.0 - probabilities if task == "multi_label" else np.inf)
    return np.asarray(np.nan_to_num(agreed.min(axis=1), nan=1.0))


def queue(rows: pd.DataFrame, trust: Mapping[str, tuple[float, str]], suggested: Mapping[str, str]) -> pd.DataFrame:
    """Return the doubtful images, worst first, `MOST` at most; columns as in `COLUMNS`.

    `rows`: of the manifest, with path, sha256, split and label; `trust`: of images by sha256, with what it comes from;
    `suggested`: the label that the model gives, where it was asked.
    """
    known = rows[rows["sha256"].isin(trust) & rows["split"].notna()].drop_duplicates("sha256")
    found = known[["path", "sha256", "split", "label"]].assign(
        trust=[trust[key][0] for key in known["sha256"]],
        method=[trust[key][1] for key in known["sha256"]],
        suggested=[suggested.get(key, "") for key in known["sha256"]],
    )
    found = found[(found["trust"] < DOUBTED) & (found["suggested"] != found["label"])]
    found = found.sort_values(["trust", "sha256"], ignore_index=True).head(MOST)
    return found.assign(rank=range(1, len(found) + 1))[COLUMNS]


def noise_share(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of single-label images whose label is probably wrong: confident learning, out of sample.

    A class is confidently named where its probability reaches the mean that it has in its own images; Northcutt et al.
    2021, https://arxiv.org/abs/1911.00068. A hard set or a weak model raises it too, to 0.05 and more with no label
    wrong, so it is a hint and not a measure.
    """
    n_classes = probabilities.shape[1]
    own = [probabilities[labels == k, k] for k in range(n_classes)]
    thresholds = np.array([of_class.mean() if len(of_class) else np.inf for of_class in own])
    confident = np.where(probabilities >= thresholds, probabilities, -1)
    named = confident.argmax(axis=1)
    is_confident = confident.max(axis=1) >= 0
    return float((is_confident & (named != labels) & (probabilities.argmax(axis=1) != labels)).mean())
