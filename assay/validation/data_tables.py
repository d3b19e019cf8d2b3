"""The tables that suites speak about, made of the manifest: columns as in `suites.TABLES`."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from assay import labels
from assay.labels import Task
from assay.validation.profile import comparison, opposites, outliers, shortcuts, unread
from assay.validation.profile.approved import Profile
from assay.validation.rules import TABLES

UNLIKE = ("levels", "frames", "inverted", "exchanged")  # columns of words that approved images do not have
GREY, COLOUR = "L 8", "RGB 8"  # modes and depths


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What images are compared with, or by, beside the manifest."""

    approved: Profile | None  # None: nothing is
    ledger: pd.DataFrame
    pixels: np.ndarray  # uint8 [N, 2, D]: of border and centre, at the index of the manifest's rows


def build(
    rows: pd.DataFrame,
    pairs: pd.DataFrame,
    task: Task = "single_label",
    classes: Collection[str] = (),
    beside: Beside | None = None,
) -> dict[str, pd.DataFrame]:
    """Return every table; those of drift and shortcuts only with `beside`.

    `rows` is the manifest, `pairs` its near-duplicates (`manifest.PAIRS`). `classes` are those that may be: no other is
    counted, and one that has no images has rows in `splits` all the same. Without them all are.
    """
    used = rows[rows["split"].notna()].drop_duplicates("sha256")  # as `preprocess` takes them
    counted = _labels(used, task).dropna(subset="label")
    every = sorted(set(classes) or set(counted["label"]))
    counted = counted[counted["label"].isin(every)]
    counts = pd.crosstab(counted["label"], counted["split"]).reindex(every, columns=labels.SPLITS, fill_value=0)
    found = _beside(rows, task, beside) if beside else {}
    return found | {
        "images": _images(rows, beside),
        "labels": _labels(rows, task),
        "classes": _classes(counts, len(used)),
        "splits": _splits(counts),
        "pairs": near_duplicates(pairs, rows),
    }


def _beside(rows: pd.DataFrame, task: Task, beside: Beside) -> dict[str, pd.DataFrame]:
    drifts = comparison.tables(beside.approved, rows, beside.ledger, task)
    return drifts | shortcuts.tables(beside.approved, rows, beside.pixels[rows.index], task)


def _images(rows: pd.DataFrame, beside: Beside | None) -> pd.DataFrame:
    approved = beside.approved if beside else None
    group = rows["group"].where(rows["group"] != "")
    is_listed = rows["reason"] != labels.UNLISTED
    found = rows.assign(group=group, listed=is_listed, has_file=rows["sha256"].notna(), mode_share=_mode_share(rows))
    reason = rows["reason"].fillna("")
    is_refused = reason.str.startswith(labels.REFUSED)  # of it another rule speaks
    found["refused"] = reason.str.removeprefix(labels.REFUSED).where(is_refused, "")
    found["reason"] = rows["reason"].where(~is_refused, "")
    found = found.assign(levels=unread.levels(rows), frames=unread.frames(rows))
    is_old = comparison.is_old(approved, rows) if approved else None  # a person has seen them
    pixels = beside.pixels[rows.index] if beside else None
    found = found.assign(inverted=opposites.inverted(pixels, rows, is_old), exchanged=opposites.exchanged(rows, is_old))
    distances = outliers.outliers(rows, is_old)
    if is_old is not None:
        distances[is_old], found.loc[is_old, "mode_share"], found.loc[is_old, list(UNLIKE)] = 0.0, 1.0, ""
    return found.assign(unapproved=comparison.unlike(approved, rows)).join(distances)


def _mode_share(rows: pd.DataFrame) -> "pd.Series[float]":
    """Return the share of the images that have the mode and the depth of each, (0, 1]; NaN: it does not decode.

    Grey of 8 bits counts among colour too, which it is turned into without loss: photos from anywhere hold some.
    """
    kind = rows["mode"].str.cat(rows["bit_depth"].astype("str"), sep=" ")
    share = kind.value_counts(normalize=True)
    if GREY in share:
        share[GREY] += share.get(COLOUR, 0.0)
    return kind.map(share).astype("float64")


def _labels(rows: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Return a row per image and class; none for an image that is in no class, nor for a file that no row lists."""
    listed = rows.loc[rows["reason"] != labels.UNLISTED, ["path", "label", "split"]]
    if task == "single_label":
        return listed.reset_index(drop=True)
    names = {label: labels.names(label, task) for label in listed["label"].dropna().unique()}
    several = listed.assign(label=[(None,) if pd.isna(label) else names[label] for label in listed["label"]])
    return several[several["label"].map(len) > 0].explode("label", ignore_index=True).astype({"label": "str"})


def _classes(counts: pd.DataFrame, n_all: int) -> pd.DataFrame:
    """Return the classes that have images; `n_all`: images with a split."""
    n_images = counts.sum(axis=1)
    classes = counts.assign(n_images=n_images, share=n_images / max(n_all, 1), imbalance=n_images.max() / n_images)
    found = classes[n_images > 0].rename_axis(index="label", columns=None).reset_index()
    return found[list(TABLES["classes"].columns)]


def _splits(counts: pd.DataFrame) -> pd.DataFrame:
    rows = [(split, label, int(counts.loc[label, split])) for label in counts.index for split in labels.SPLITS]
    return pd.DataFrame(rows, columns=list(TABLES["splits"].columns))


def near_duplicates(pairs: pd.DataFrame, rows: pd.DataFrame, aside: "pd.Series[bool] | None" = None) -> pd.DataFrame:
    """Return `pairs` of which both images are there; one without a split is in no split and across none.

    Nor is one that is set `aside`. Its label counts all the same, if others have it too: what shows the same under two
    labels is wrong in one of them, and that may be the one that is used.
    """
    if aside is not None and aside.any():
        label = rows["label"].where(~aside | rows["label"].isin(rows.loc[~aside, "label"]))
        rows = rows.assign(label=label, split=rows["split"].where(~aside)).loc[aside.sort_values(kind="stable").index]
    known = rows.drop_duplicates("path").set_index("path")[["label", "split"]]
    at = np.stack([known.index.get_indexer(pairs[side]) for side in ("path", "partner")])  # 20 times as fast as isin
    is_known = (at >= 0).all(axis=0)
    both = pairs[is_known].reset_index(drop=True)
    own, other = (known.iloc[side[is_known]].reset_index() for side in at)
    used = own["split"].notna() & other["split"].notna()
    same = own["split"] == other["split"]
    unlabelled = own["label"].isna() | other["label"].isna()
    found = both.assign(
        in_one_split=used & same & ~both["one_group"].astype(bool),
        across_splits=used & ~same,
        same_label=(own["label"] == other["label"]) | unlabelled,
    )
    return found[list(TABLES["pairs"].columns)]
