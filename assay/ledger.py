"""The split ledger: which image belongs to which split and batch, for ever.

One row per distinct content: `sha256`, `group` (copies of one picture share it, and a group never spans two splits),
`split` (empty while the content cannot be decoded), `batch` (the number of the batch that it came with). Growth adds
rows; no row ever moves.
"""

from pathlib import Path

import pandas as pd

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
    """Return the ledger with a row for every image; rows that have a split keep it.

    `images`: one row per readable image with `sha256`, `pixels` (null: not decodable) and `label`. `shares`: of each
    class, by split, in [0, 1]; new groups fill the split of their class that lacks most.
    """
    images = images.drop_duplicates("sha256").sort_values("sha256")
    number = int(ledger["batch"].max()) + 1 if len(ledger) else 1
    fresh = images.loc[~images["sha256"].isin(ledger["sha256"]), ["sha256"]]
    extended = pd.concat([ledger, fresh.assign(group="", split="", batch=number)], ignore_index=True)
    usable = images[images["pixels"].notna() & images["label"].notna()].set_index("sha256")
    group = extended["sha256"].map(usable["pixels"].str[:GROUP_DIGITS])
    extended["group"] = extended["group"].where(extended["group"] != "", group.fillna(""))
    splits = _assign(extended, extended["sha256"].map(usable["label"]), shares)
    extended["split"] = extended["split"].where(extended["split"] != "", extended["group"].map(splits).fillna(""))
    return extended


def _assign(ledger: pd.DataFrame, label: pd.Series, shares: dict[str, float]) -> dict[str, str]:
    """Return the split of each group: the one it has, or the one that its class lacks most of."""
    rows = ledger.assign(label=label)[ledger["group"] != ""]
    had = rows[rows["split"] != ""].drop_duplicates("group")
    splits = dict(zip(had["group"], had["split"], strict=True))
    rows = rows[rows["label"].notna()]
    for _, of_class in rows.groupby("label", sort=True):
        lacking = {split: shares[split] * len(of_class) for split in SPLITS}
        for split, count in of_class["group"].map(splits).value_counts().items():
            lacking[str(split)] -= count
        sizes = of_class.groupby("group", sort=True).size()
        for group, size in sizes[~sizes.index.isin(list(splits))].items():
            # Of equals the later wins: the second image of a class goes to test.
            split = max(SPLITS, key=lambda name: (round(lacking[name], 9), SPLITS.index(name)))
            splits[str(group)] = split
            lacking[split] -= size
    return splits
