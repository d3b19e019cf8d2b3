"""The rows of the manifest, as measurements, ledger and near-duplicates make them."""

from pathlib import Path
from typing import Any

import pandas as pd

from assay import labels
from assay.dataset import lookup, manifest, splits


def without_forgotten(measured: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Return the rows; one that must not be stored again has nothing but its name, its label and the reason."""
    is_named = lookup.places(known.loc[known["split"] == splits.FORGOTTEN, "sha256"], measured["sha256"]) >= 0
    if not is_named.any():
        return measured
    kept = measured[["path", "label", "decodable"]]
    rows = measured.astype({"fact": "Int64"}).where(pd.Series(~is_named, index=measured.index)).assign(**kept)
    rows.loc[is_named, "decodable"] = False
    rows.loc[is_named, "reason"] = "forgotten: delete it in the source too"
    return rows


def divided(
    measured: pd.DataFrame, known: pd.DataFrame, alike: pd.DataFrame, contradictions: pd.DataFrame
) -> pd.DataFrame:
    """Return the rows with `group` and `split` of the ledger; what must not be used has a `reason` and no split.

    `contradictions`: as `splits.contradictions` finds them; the gate closes on them.
    """
    rows = joined(measured, known[["sha256", "group", "split"]])
    refused = contradictions.drop_duplicates("path").set_index("path")["reason"]
    is_refused = pd.Series(lookup.places(contradictions["path"], rows["path"]) >= 0, index=rows.index)
    rows["split"] = rows["split"].where(rows["decodable"] & rows["label"].notna() & ~is_refused)
    leaks = splits.leaks(rows, alike)
    rows["reason"] = rows["reason"].where(leaks == "", leaks)
    rows["split"] = rows["split"].where(leaks == "")
    rows.loc[is_refused, "reason"] = labels.REFUSED + rows.loc[is_refused, "path"].map(refused)
    return rows


def joined(rows: pd.DataFrame, of_content: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with the other columns of the one row of `of_content` that has their `sha256`."""
    at = lookup.places(of_content["sha256"], rows["sha256"])
    found = of_content.drop(columns="sha256").reset_index(drop=True).reindex(at)
    return rows.assign(**found.set_axis(rows.index))


def write_pairs(file: Path, rows: pd.DataFrame, alike: pd.DataFrame) -> None:
    """Write the near-duplicates, the closest first."""
    is_named = lookup.places(pd.concat([alike["sha256"], alike["partner"]]), rows["sha256"]) >= 0
    known = rows[is_named].drop_duplicates("sha256").set_index("sha256")
    path, group = known["path"], known["given_group"].replace("", None)
    named = alike.assign(
        path=alike["sha256"].map(path),
        partner=alike["partner"].map(path),
        one_group=alike["sha256"].map(group) == alike["partner"].map(group),
    )
    manifest.write_pairs(file, named.sort_values(["distance", "path", "partner"]))


def summary(rows: pd.DataFrame, task: labels.Task) -> dict[str, Any]:
    """Return the numbers of metrics/data.json; an image counts in each of its classes."""
    used = rows[rows["split"].notna()]
    by_class = labels.counts(used["label"].value_counts().items(), task)
    per_image = round(sum(by_class.values()) / max(len(used), 1), 4)
    of_sets = {"n_in_no_class": int((used["label"] == "").sum()), "classes_per_image": per_image}
    slugs = labels.slugs(by_class)
    return {
        "n_images": len(rows),
        "n_set_aside": len(rows) - len(used),
        "n_copies": int(used["pixels"].duplicated().sum()),
        "n_classes": len(by_class),
        **(of_sets if task == "multi_label" else {}),
        "imbalance": round(max(by_class.values()) / min(by_class.values()), 4) if by_class else 0,
        "split": {split: int((used["split"] == split).sum()) for split in labels.SPLITS},
        "class": {slugs[label]: n for label, n in by_class.items()},
    }
