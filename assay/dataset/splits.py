"""The split ledger: which image belongs to which split and batch, for ever.

One row per distinct content: `sha256`, `group` (copies and near-duplicates of one picture share it, and so do images
that the source says belong together; no group spans two splits unless the source forces it, see `contradictions`),
`split` (empty while the content cannot be decoded, `FORGOTTEN` after `assay forget`), `batch` (the number of the batch
that it came with). Growth adds rows; no row ever moves. Two that are found to be one picture only when both have a
split keep it: `leaks` names the one that must not be used beside the other.
"""

import hashlib
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from assay import files
from assay.dataset import dividing, lookup
from assay.errors import AssayError
from assay.labels import SPLITS

COLUMNS = ["sha256", "group", "split", "batch"]
FORGOTTEN = "forgotten"
BATCH_BYTES = 2**30  # of images in one batch, about: what a kill costs, and what `assay forget` writes again
MEND = "take the file of one side of the merge whole, and run `dvc repro`"


def read(file: Path) -> pd.DataFrame:
    """Return the ledger; an absent file is an empty ledger. Raises `AssayError` for one that a merge has damaged."""
    if not file.exists():
        return pd.DataFrame({name: pd.Series(dtype="int64" if name == "batch" else "str") for name in COLUMNS})
    try:
        types = {"batch": pa.int64(), **dict.fromkeys(COLUMNS[:3], pa.string())}
        options = csv.ConvertOptions(column_types=types, null_values=[])
        several_lines = csv.ParseOptions(newlines_in_values=True)  # what a source calls a group may have some
        rows = csv.read_csv(file, parse_options=several_lines, convert_options=options).to_pandas()
        pa.default_memory_pool().release_unused()  # as much as it read
    except ValueError as error:  # what a merge leaves: marks of conflict, or nothing
        raise AssayError(f"{file}: no ledger: {' '.join(str(error).split())}; {MEND}") from None
    if list(rows) != COLUMNS:
        raise AssayError(f"{file}: no ledger: its columns are {', '.join(rows)}; {MEND}")
    if twice := rows["sha256"][rows["sha256"].duplicated()].head(1).tolist():
        raise AssayError(f"{file}: {twice[0]} is listed twice; {MEND}")
    if wrong := sorted(set(rows["split"].unique()) - {*SPLITS, FORGOTTEN, ""}):
        raise AssayError(f"{file}: {wrong[0]!r} is no split; {MEND}")
    return rows


def write(file: Path, ledger: pd.DataFrame) -> None:
    files.write_csv(file, ledger.sort_values(["batch", "sha256"]))


def identity(ledger: pd.DataFrame) -> str:
    """Return what stays of a ledger as it grows and forgets: a hash of the first batch; empty while there is none."""
    first = ledger.loc[ledger["batch"] == 1, "sha256"]
    return hashlib.sha256("\n".join(sorted(first)).encode()).hexdigest() if len(first) else ""


def extend(ledger: pd.DataFrame, images: pd.DataFrame, shares: dict[str, float], near: pd.DataFrame) -> pd.DataFrame:
    """Return the ledger with a row for every image; rows that have a group or a split keep it.

    `images`: one row per image with `sha256` (null: not readable), `bytes`, `pixels` (null: not decodable) and
    `classes` (a tuple of names; null: not labelled), and perhaps `given_group` and `given_split` (null: not given).
    `near`: pairs of near-duplicates as `sha256` and `partner`. New images that share pixels, a given group or a pair
    become one group, or join the one that they share it with; of several, one of train before val before test. A new
    group has its given split; others fill the split of their rarest class that lacks most (Sechidis, Tsoumakas and
    Vlahavas, "On the stratification of multi-label data", 2011). `shares`: of each class, by split, in [0, 1]. A val or
    test that is given is complete: nothing else joins it, and the others share the rest.
    """
    extended, usable = with_new(ledger, images), _usable(images)
    group, split = dividing.groups(extended, usable, near)
    extended["group"] = extended["group"].where(extended["group"] != "", group)
    lacks = extended.index[extended["split"] == ""]  # few of a grown set: the rest is not looked up
    if len(lacks):
        filled = dividing.fill(extended.assign(split=split), usable, shares)[lacks]
        extended.loc[lacks, "split"] = split[lacks].where(split[lacks] != "", filled)
    return extended


def with_new(ledger: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Return the ledger with a row for each new content, in batches of about `BATCH_BYTES`, without group and split."""
    is_new = images["sha256"].notna() & (lookup.places(ledger["sha256"], images["sha256"]) < 0)
    fresh = images.loc[is_new, ["sha256", "bytes"]].drop_duplicates("sha256").sort_values("sha256")
    first = int(ledger["batch"].max()) + 1 if len(ledger) else 1
    number = (fresh["bytes"].astype("int64").cumsum() - 1) // BATCH_BYTES
    numbered = fresh.assign(group="", split="", batch=first + number.rank(method="dense").astype("int64") - 1)
    return pd.concat([ledger, numbered[COLUMNS]], ignore_index=True)


def members(ledger: pd.DataFrame, number: int) -> list[str]:
    """Return the SHA-256 of the images that the batch holds."""
    is_member = (ledger["batch"] == number) & (ledger["split"] != FORGOTTEN)
    return sorted(map(str, ledger.loc[is_member, "sha256"]))


def forget(ledger: pd.DataFrame, hashes: Collection[str]) -> pd.DataFrame:
    """Return the ledger with the images of these SHA-256 in no group and no split, for good."""
    is_named = ledger["sha256"].isin(hashes)
    return ledger.assign(group=ledger["group"].where(~is_named, ""), split=ledger["split"].where(~is_named, FORGOTTEN))


def contradictions(ledger: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `images` whose given split or group the extended ledger cannot follow.

    They have their `group` and `split` of the ledger and the `reason` besides: the image, or another of its given
    group, was in another split before, or the images of its given group are given different ones.
    """
    usable = _usable(images)
    usable = usable[usable["given_split"].notna() | usable["given_group"].notna()]  # of a million, often none
    rows = usable.merge(ledger[["sha256", "group", "split"]], on="sha256")
    split, given = rows["split"], rows["given_split"]
    as_given = (given == split).groupby(rows["sha256"]).transform("any")
    moved = given.notna() & ~as_given
    own = rows["split"].where(~dividing.elsewhere(rows))
    n_splits = own.groupby(rows["given_group"]).transform("nunique")
    beside = rows["given_group"].notna() & rows["given_group"].isin(rows.loc[moved, "given_group"])
    is_torn = ~moved & own.notna() & ((n_splits > 1) | beside)
    because = "given " + given.astype("str") + ", but in " + split + " with group " + rows["group"]
    torn = "in " + split + ", but its group " + rows["given_group"].astype("str")
    torn += np.where(n_splits > 1, " is in other splits too", " is given another split too")
    rows["reason"] = because.where(moved, torn)
    return rows[moved | is_torn].reset_index(drop=True)


def without_refused(extended: pd.DataFrame, known: pd.DataFrame, refused: pd.DataFrame) -> pd.DataFrame:
    """Return the extended ledger, in which what is new of the `contradictions` has no group and no split yet.

    So it is divided once the source is mended; what was `known` keeps its split.
    """
    if refused.empty:
        return extended
    is_new = lookup.places(known.loc[known["split"] != "", "sha256"], extended["sha256"]) < 0
    is_open = is_new & (lookup.places(refused["sha256"], extended["sha256"]) >= 0)
    return extended.assign(group=extended["group"].where(~is_open, ""), split=extended["split"].where(~is_open, ""))


def leaks(rows: pd.DataFrame, near: pd.DataFrame) -> "pd.Series[str]":
    """Return why a row must not be used though it has a split: empty, or which row of another split shows its picture.

    `rows`: `path`, `sha256`, `pixels`, `split` (null: none) and `given_split`; `near`: as in `extend` with `distance`,
    one content of those with equal pixels is enough. Of two the one in train goes before that in val, and val before
    test; of several the nearest is named. Of one file that is given two splits one row is used.
    """
    reason = pd.Series("", index=rows.index)
    elsewhere = rows["given_split"].notna() & rows["split"].notna() & (rows["given_split"] != rows["split"])
    reason[elsewhere] = "given " + rows["given_split"].astype("str") + ", but the same file is in " + rows["split"]
    decoded = rows.loc[rows["pixels"].notna(), ["sha256", "pixels"]]
    ends = (lookup.places(decoded["sha256"], near[side]) for side in ("sha256", "partner"))
    both = np.stack(list(ends), axis=1)
    is_here = (both >= 0).all(axis=1)
    first, second = (decoded["pixels"].iloc[side].array for side in both[is_here].T)
    pairs = pd.DataFrame({"pixels": first, "seen": second, "distance": near["distance"].to_numpy()[is_here]})
    both_ways = pd.concat([pairs, pairs.set_axis(["seen", "pixels", "distance"], axis=1)])
    rows = rows[_is_alike(rows["pixels"], both_ways["pixels"])]  # few of all
    for split in ("val", "train"):
        used = rows[rows["split"].notna() & (reason[rows.index] == "")].sort_values("path")
        own = used.loc[used["split"] == split, ["pixels"]].reset_index()
        others = used.loc[used["split"].map(dividing.PRIORITY) > dividing.PRIORITY[split], ["pixels", "path", "split"]]
        seen = others.drop_duplicates("pixels").rename(columns={"pixels": "seen"})
        close = own.merge(both_ways, on="pixels").merge(seen, on="seen")
        equal = own.assign(seen=own["pixels"], distance=0.0).merge(seen, on="seen")
        for kind, found in (("near-duplicate", close), ("copy", equal)):
            first = found.sort_values(["distance", "path"]).drop_duplicates("index").set_index("index")
            reason.loc[first.index] = kind + " of " + first["path"] + ", which is in " + first["split"]
    return reason


def _is_alike(pixels: "pd.Series[str]", near: "pd.Series[str]") -> np.ndarray:
    """Say which of the images have the pixels of another, or of one of those that are `near` another."""
    known = pixels.dropna()
    twice = known[known.duplicated()]
    return lookup.places(pd.concat([twice, near]), pixels) >= 0


def _usable(images: pd.DataFrame) -> pd.DataFrame:
    """Return the images that can have a split, with the optional columns."""
    is_usable = images["pixels"].notna() & images["classes"].notna()
    usable = images if is_usable.all() else images[is_usable]
    absent = {name: None for name in ("given_group", "given_split") if name not in usable}
    return usable.assign(**absent)
