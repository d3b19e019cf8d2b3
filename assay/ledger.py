"""The split ledger: which image belongs to which split and batch, for ever.

One row per distinct content: `sha256`, `group` (copies of one picture share it, and so do images that the source says
belong together; no group spans two splits unless the source forces it, see `contradictions`), `split` (empty while the
content cannot be decoded), `batch` (the number of the batch that it came with). Growth adds rows; no row ever moves.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from assay import files
from assay.manifest import SPLITS

COLUMNS = ["sha256", "group", "split", "batch"]
GROUP_DIGITS = 16  # of the hash over the pixels; two pictures that share them by chance share a split, no more


def read(file: Path) -> pd.DataFrame:
    """Return the ledger; an absent file is an empty ledger."""
    if not file.exists():
        return pd.DataFrame({name: pd.Series(dtype="int64" if name == "batch" else "str") for name in COLUMNS})
    return pd.read_csv(file, dtype={"batch": "int64", **dict.fromkeys(COLUMNS[:3], "str")}, keep_default_na=False)


def write(file: Path, ledger: pd.DataFrame) -> None:
    files.write_text(file, ledger.sort_values(["batch", "sha256"]).to_csv(index=False, lineterminator="\n"))


def extend(ledger: pd.DataFrame, images: pd.DataFrame, shares: dict[str, float]) -> pd.DataFrame:
    """Return the ledger with a row for every image; rows that have a group or a split keep it.

    `images`: one row per readable image with `sha256`, `pixels` (null: not decodable) and `label`, and perhaps
    `given_group` and `given_split` (null: not given). Images that share pixels or a given group become one group. A
    new group has its given split; others fill the split of their class that lacks most. `shares`: of each class, by
    split, in [0, 1]. A val or test that is given is complete: nothing else joins it, and the others share the rest.
    """
    number = int(ledger["batch"].max()) + 1 if len(ledger) else 1
    is_new = ~images["sha256"].isin(ledger["sha256"])
    fresh = images.loc[is_new, ["sha256"]].drop_duplicates().sort_values("sha256")
    extended = pd.concat([ledger, fresh.assign(group="", split="", batch=number)], ignore_index=True)
    usable = _usable(images)
    extended["group"] = _groups(extended, usable)
    splits = _assign(extended, usable, shares)
    extended["split"] = extended["split"].where(extended["split"] != "", extended["group"].map(splits).fillna(""))
    return extended


def contradictions(ledger: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `images` whose given split or group the extended ledger cannot follow.

    They have their `group` and `split` of the ledger and the `reason` besides: the image, or another of its group,
    was in another split before, or the images of its group are given different ones.
    """
    rows = _usable(images).merge(ledger[["sha256", "group", "split"]], on="sha256")
    split, given = rows["split"], rows["given_split"]
    moved = given.notna() & (given != split)
    n_splits = rows.groupby("given_group")["split"].transform("nunique")
    is_torn = ~moved & (n_splits > 1)
    because = "given " + given.astype("str") + ", but in " + split + " with group " + rows["group"]
    torn = "in " + split + ", but its group " + rows["given_group"].astype("str") + " is in other splits too"
    rows["reason"] = because.where(moved, torn)
    return rows[moved | is_torn].reset_index(drop=True)


def _usable(images: pd.DataFrame) -> pd.DataFrame:
    """Return the images that can have a split, with the optional columns."""
    usable = images[images["pixels"].notna() & images["label"].notna()]
    absent = {name: None for name in ("given_group", "given_split") if name not in usable}
    return usable.assign(**absent)


def _groups(ledger: pd.DataFrame, usable: pd.DataFrame) -> "pd.Series[str]":
    """Return the group of each row of the ledger: the one it has, or that of the rows it is linked with, or a new one.

    The links are the ledger's groups, given groups and pixels; the first of them names a new group.
    """
    rows = pd.Series(ledger.index, index=ledger["sha256"])[usable["sha256"]].to_numpy()
    given = pd.Series(usable["given_group"].to_numpy(), index=rows, dtype="object").dropna().sort_values()
    pixels = pd.Series(usable["pixels"].str[:GROUP_DIGITS].to_numpy(), index=rows).sort_values()
    links = pd.concat([ledger["group"][ledger["group"] != ""], given, pixels]).astype("str")
    codes, keys = pd.factorize(links)
    n_nodes = len(ledger) + len(keys)
    edges = coo_array((np.ones(len(links), bool), (links.index, len(ledger) + codes)), shape=(n_nodes, n_nodes))
    component = connected_components(edges, directed=False)[1]
    names = links.groupby(component[links.index]).first()
    linked = pd.Series(component[: len(ledger)], index=ledger.index).map(names)
    return ledger["group"].where(ledger["group"] != "", linked.fillna(""))


def _assign(ledger: pd.DataFrame, usable: pd.DataFrame, shares: dict[str, float]) -> dict[str, str]:
    """Return the split of each group: the one it has, the one it is given, or the one that its class lacks most of."""
    given = usable[usable["given_split"].notna()].merge(ledger[["sha256", "group"]], on="sha256")
    had = ledger[ledger["split"] != ""].drop_duplicates("group")
    splits = dict(zip(given["group"], given["given_split"], strict=True))
    splits |= dict(zip(had["group"], had["split"], strict=True))
    open_splits = [name for name in SPLITS if name == "train" or name not in set(given["given_split"])]
    label = ledger["sha256"].map(usable.drop_duplicates("sha256").set_index("sha256")["label"])
    rows = ledger.assign(label=label)[label.notna()]
    for _, of_class in rows.groupby("label", sort=True):
        held = of_class["group"].map(splits)
        lacking = _lacking(held, {name: shares[name] for name in open_splits})
        sizes = of_class[held.isna()].groupby("group", sort=True).size()
        for group, size in sizes.items():
            # Of equals the later wins: the second image of a class goes to test.
            split = max(open_splits, key=lambda name: (round(lacking[name], 9), SPLITS.index(name)))
            splits[str(group)] = split
            lacking[split] -= size
    return splits


def _lacking(held: "pd.Series[str]", shares: dict[str, float]) -> dict[str, float]:
    """Return how many images of a class each split lacks; `held`: the split of each, null where it has none yet."""
    n_images = (held.isna() | held.isin(list(shares))).sum()
    counts = held.value_counts()
    return {split: share / sum(shares.values()) * n_images - counts.get(split, 0) for split, share in shares.items()}
