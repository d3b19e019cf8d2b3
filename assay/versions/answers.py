"""What each of two models answered of its test images: by the list of predictions, or by the errors and the manifest.

DVC may have lost the lists of an older commit, where git still has its candidate.json: which images were wrong, and
what was named instead. What was right was named as the label says.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from assay import params
from assay.versions import at_commit
from assay.versions.at_commit import Side


def of(old: Side, new: Side, paths: params.Paths) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Return label, predicted and probability of each test image of both sides by sha256, None where not known."""
    before, after = (at_commit.predictions(each.rev, paths) for each in (old, new))
    labels = [_labels(old), None if after is None else after["label"], _labels(new)]
    was = before if before is not None else of_errors(old.candidate, labels)
    labels = [_labels(new), None if before is None else before["label"], _labels(old)]
    return was, after if after is not None else of_errors(new.candidate, labels)


def _labels(side: Side) -> pd.Series | None:
    """Return the label of each test image by sha256, as the manifest has it, None where there is none."""
    known = side.manifest
    return None if known is None else known.loc[known["split"] == "test", "label"].fillna("")


def of_errors(said: Mapping[str, Any], labels: Sequence[pd.Series | None]) -> pd.DataFrame | None:
    """Return what a candidate.json says of its test images, by the first of the labels that are of the same images."""
    errors, named = said["errors"], said.get("named")
    known = next((each for each in labels if each is not None and identity(each.index) == said["split"]["test"]), None)
    if known is None or named is None or len(named) != len(errors) or not set(errors) <= set(known.index):
        return None
    predicted = known.copy()
    predicted[errors] = named
    return pd.DataFrame({"label": known, "predicted": predicted, "probability": float("nan")})


def identity(sha256: Sequence[str]) -> str:
    """Return the one hash of a test split, as candidate.json has it."""
    return hashlib.sha256("".join(sorted(sha256)).encode()).hexdigest()


def is_same_split(was: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    return bool(was["split"]["test"]) and was["split"]["test"] == now["split"]["test"]


def new_errors(old: Side, new: Side, after: pd.DataFrame | None) -> pd.DataFrame:
    """Return label, old, new and probability of the new errors by sha256, as far as known; by the errors of both alone.

    None where the test splits are not the same.
    """
    was, now = old.candidate, new.candidate
    wrong = sorted(set(now["errors"]) - set(was["errors"])) if is_same_split(was, now) else []
    if after is None:
        named = dict(zip(now["errors"], now.get("named") or [], strict=False))
        label = next((each for each in (_labels(new), _labels(old)) if each is not None), pd.Series(dtype=str))
        after = pd.DataFrame({"label": label.reindex(wrong), "predicted": [named.get(key) for key in wrong]}, wrong)
    rows = after.reindex(index=wrong, columns=["label", "predicted", "probability"])
    return rows.rename(columns={"predicted": "new"}).assign(old=rows["label"])
