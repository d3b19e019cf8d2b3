"""The split ledger: which image belongs to which split and batch, for ever.

One row per distinct content: `sha256`, `group` (copies and near-duplicates of one picture share it, and so do images
that the source says belong together; no group spans two splits unless the source forces it, see `contradictions`),
`split` (empty while the content cannot be decoded, `FORGOTTEN` after `assay forget`), `batch` (the number of the batch
that it came with). Growth adds rows; no row ever moves. Two that are found to be one picture only when both have a
split keep it: `leaks` names the one that must not be used beside the other.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from assay import files
from assay.errors import AssayError
from assay.labels import SPLITS

COLUMNS = ["sha256", "group", "split", "batch"]
FORGOTTEN = "forgotten"
GROUP_DIGITS = 16  # of the hash over the pixels; two pictures that share them by chance share a split, no more
BATCH_BYTES = 2**30  # of images in one batch, about: what a kill costs, and what `assay forget` writes again
PARTS = 10**9  # of an image: what a split lacks is counted in whole ones, so that equals are equal
MEND = "take the file of one side of the merge whole, and run `dvc repro`"
PRIORITY = {split: number for number, split in enumerate(SPLITS)}  # of two splits the test images are worth most


def read(file: Path) -> pd.DataFrame:
    """Return the ledger; an absent file is an empty ledger. Raises `AssayError` for one that a merge has damaged."""
    if not file.exists():
        return pd.DataFrame({name: pd.Series(dtype="int64" if name == "batch" else "str") for name in COLUMNS})
    try:
        rows = pd.read_csv(file, dtype={"batch": "int64", **dict.fromkeys(COLUMNS[:3], "str")}, keep_default_na=False)
    except ValueError as error:  # what a merge leaves: marks of conflict, or nothing
        raise AssayError(f"{file}: no ledger: {' '.join(str(error).split())}; {MEND}") from None
    if list(rows) != COLUMNS:
        raise AssayError(f"{file}: no ledger: its columns are {', '.join(rows)}; {MEND}")
    if twice := rows["sha256"][rows["sha256"].duplicated()].head(1).tolist():
        raise AssayError(f"{file}: {twice[0]} is listed twice; {MEND}")
    if wrong := sorted(set(rows["split"]) - {*SPLITS, FORGOTTEN, ""}):
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

    `images`: one row per readable image with `sha256`, `bytes`, `pixels` (null: not decodable) and `classes` (a tuple
    of names; null: not labelled), and perhaps `given_group` and `given_split` (null: not given). `near`: pairs of
    near-duplicates as `sha256` and `partner`. New images that share pixels, a given group or a pair become one group,
    or join the one that they share it with; of several, one of train before val before test. A new group has its given
    split; others fill the split of their rarest class that lacks most (Sechidis, Tsoumakas and Vlahavas, "On the
    stratification of multi-label data", 2011). `shares`: of each class, by split, in [0, 1]. A val or test that is
    given is complete: nothing else joins it, and the others share the rest.
    """
    extended, usable = with_new(ledger, images), _usable(images)
    group, split = _groups(extended, usable, near)
    extended["group"] = extended["group"].where(extended["group"] != "", group)
    lacks = extended.index[extended["split"] == ""]  # few of a grown set: the rest is not looked up
    if lacks.empty:
        return extended
    filled = extended["group"][lacks].map(_fill(extended.assign(split=split), usable, shares)).fillna("")
    extended.loc[lacks, "split"] = split[lacks].where(split[lacks] != "", filled)
    return extended


def with_new(ledger: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Return the ledger with a row for each new content, in batches of about `BATCH_BYTES`, without group and split."""
    is_new = pd.Index(ledger["sha256"]).get_indexer(images["sha256"]) < 0  # ten times as fast as isin
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
    told = usable[usable["given_split"].notna() | usable["given_group"].notna()]  # none, of most sources
    rows = told.merge(ledger[["sha256", "group", "split"]], on="sha256")
    split, given = rows["split"], rows["given_split"]
    as_given = (given == split).groupby(rows["sha256"]).transform("any")
    moved = given.notna() & ~as_given
    own = rows["split"].where(~_elsewhere(rows))
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
    is_new = ~extended["sha256"].isin(known.loc[known["split"] != "", "sha256"])
    is_open = is_new & extended["sha256"].isin(refused["sha256"])
    return extended.assign(group=extended["group"].where(~is_open, ""), split=extended["split"].where(~is_open, ""))


def leaks(rows: pd.DataFrame, near: pd.DataFrame) -> "pd.Series[str]":
    """Return why a row must not be used though it has a split: empty, or which row of another split shows its picture.

    `rows`: `path`, `sha256`, `pixels`, `split` (null: none) and `given_split`; `near`: as in `extend`, one content of
    those with equal pixels is enough. Of two the one in train goes before that in val, and val before test. Of one file
    that is given two splits one row is used.
    """
    reason = pd.Series("", index=rows.index)
    elsewhere = rows["given_split"].notna() & rows["split"].notna() & (rows["given_split"] != rows["split"])
    reason[elsewhere] = "given " + rows["given_split"].astype("str") + ", but the same file is in " + rows["split"]
    pixels = rows.dropna(subset="pixels").drop_duplicates("sha256").set_index("sha256")["pixels"]
    pairs = pd.DataFrame({"pixels": near["sha256"].map(pixels), "seen": near["partner"].map(pixels)}).dropna()
    both_ways = pd.concat([pairs, pairs.set_axis(["seen", "pixels"], axis=1)])
    for split in ("val", "train"):
        used = rows[rows["split"].notna() & (reason == "")].sort_values("path")
        own = used.loc[used["split"] == split, ["pixels"]].reset_index()
        others = used.loc[used["split"].map(PRIORITY) > PRIORITY[split], ["pixels", "path", "split"]]
        seen = others.drop_duplicates("pixels").rename(columns={"pixels": "seen"})
        close = own.merge(both_ways, on="pixels").merge(seen, on="seen")
        equal = own.assign(seen=own["pixels"]).merge(seen, on="seen")
        for kind, found in (("near-duplicate", close), ("copy", equal)):
            first = found.sort_values("path").drop_duplicates("index").set_index("index")
            reason.loc[first.index] = kind + " of " + first["path"] + ", which is in " + first["split"]
    return reason


def _usable(images: pd.DataFrame) -> pd.DataFrame:
    """Return the images that can have a split, with the optional columns."""
    usable = images[images["pixels"].notna() & images["classes"].notna()]
    absent = {name: None for name in ("given_group", "given_split") if name not in usable}
    return usable.assign(**absent)


def _groups(
    ledger: pd.DataFrame, usable: pd.DataFrame, near: pd.DataFrame
) -> tuple["pd.Series[str]", "pd.Series[str]"]:
    """Return the group of each row of the ledger, and the split that its group has or is given; empty: none.

    The groups of the ledger and of the source hold in any case. Equal pixels and pairs that are `near` put together
    what is in one split or in none yet; what is in none then joins what is in one.
    """
    row = pd.Series(ledger.index, index=ledger["sha256"])
    at = row[usable["sha256"]].to_numpy()
    held = ledger["group"][ledger["group"] != ""]
    binding = usable["given_group"].where(~_elsewhere(usable))
    given = pd.Series(binding.to_numpy(), index=at, dtype="object").dropna().sort_values()
    pixels = pd.Series(usable["pixels"].str[:GROUP_DIGITS].to_numpy(), index=at, dtype="object").sort_values()
    names = pd.concat([held, given, pixels]).astype("object")
    codes, keys = pd.factorize(names)
    links = np.stack([names.index.to_numpy(), len(ledger) + codes], axis=1)
    n_firm = len(held) + len(given)
    unit = _components(len(ledger) + len(keys), links[:n_firm])
    split = _fixed(ledger["split"], pd.Series(usable["given_split"].to_numpy(), index=at), unit)

    known = pd.Index(usable["sha256"].unique())
    near = near[(known.get_indexer(near["sha256"]) >= 0) & (known.get_indexer(near["partner"]) >= 0)]
    pairs = np.stack([row[near["sha256"]], row[near["partner"]]], axis=1).astype(np.int64)
    alike = unit[np.concatenate([links[n_firm:], pairs])]
    cluster = _components(len(split), alike[split[alike[:, 0]] == split[alike[:, 1]]])
    split = split[np.unique(cluster, return_index=True)[1]]
    of_row = cluster[unit[: len(ledger)]]
    # One picture can be given two splits; then it has two groups.
    names.iloc[n_firm:] += np.array([*(f"-{name}" for name in SPLITS), ""])[split[of_row[pixels.index]]]
    name = names.groupby(of_row[names.index]).first().reindex(range(len(split)), fill_value="")
    name, split = _joined(name, split, cluster[alike])
    splits = np.array([*SPLITS, ""])[split[of_row]]
    return pd.Series(name.to_numpy()[of_row], index=ledger.index), pd.Series(splits, index=ledger.index)


def _elsewhere(usable: pd.DataFrame) -> "pd.Series[bool]":
    """Say which rows of a content are given another split than it gets, that of their given group.

    They must not bind: a blank image in two groups would take all of the one to the split of the other.
    """
    rank = usable["given_split"].map(PRIORITY)
    is_outbid = rank < rank.groupby(usable["sha256"]).transform("max")
    others = rank.where(~is_outbid).groupby(usable["given_group"]).transform("count")
    elsewhere: pd.Series[bool] = is_outbid & (others > 0)
    return elsewhere


def _components(n: int, pairs: np.ndarray) -> np.ndarray:
    """Return the number of the component of each node [n] that pairs [P, 2] make."""
    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    component: np.ndarray = connected_components(links, directed=False)[1]
    return component


def _fixed(had: "pd.Series[str]", given: "pd.Series[str]", unit: np.ndarray) -> np.ndarray:
    """Return the split of each unit as a place in `SPLITS`: the one it has, or the one it is given; -1: none."""
    split = np.full(unit.max(initial=-1) + 1, -1)
    of_given, of_had = given.map(PRIORITY).dropna(), had.map(PRIORITY).dropna()
    best, least = of_given.groupby(unit[of_given.index]).max(), of_had.groupby(unit[of_had.index]).min()
    split[best.index] = best
    split[least.index] = least
    return split


def _joined(name: "pd.Series[str]", split: np.ndarray, alike: np.ndarray) -> tuple["pd.Series[str]", np.ndarray]:
    """Return name and split of each cluster after those without a split took both from one that they are like.

    The one in train goes first: of all that cannot stay beside each other, `leaks` then takes out what is new.
    """
    ways = np.concatenate([alike, alike[:, ::-1]])
    ways = ways[(split[ways[:, 0]] < 0) & (split[ways[:, 1]] >= 0)]
    choices = pd.DataFrame({"of": ways[:, 0], "split": split[ways[:, 1]], "name": name.to_numpy()[ways[:, 1]]})
    chosen = choices.sort_values(["of", "split", "name"]).drop_duplicates("of").set_index("of")
    split = split.copy()
    split[chosen.index] = chosen["split"]
    return chosen["name"].combine_first(name).reindex(name.index), split


def _fill(ledger: pd.DataFrame, usable: pd.DataFrame, shares: dict[str, float]) -> dict[str, str]:
    """Return the split of each group that has none: the one that its rarest class lacks most of."""
    splits: dict[str, str] = {}
    given = set(usable["given_split"])
    open_shares = {name: shares[name] for name in SPLITS if name == "train" or name not in given}
    classes = usable.drop_duplicates("sha256").set_index("sha256")["classes"]
    rows = ledger.assign(classes=ledger["sha256"].map(classes)).dropna(subset="classes").explode("classes")
    rows["classes"] = rows["classes"].fillna("")  # in none of them
    lacking = {str(name): _lacking(of_class["split"], open_shares) for name, of_class in rows.groupby("classes")}
    by_rarity = sorted(lacking, key=lambda name: (int((rows["classes"] == name).sum()), name))
    rank = {name: number for number, name in enumerate(by_rarity)}
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for (group, name), n_images in rows[rows["split"] == ""].groupby(["group", "classes"]).size().items():
        counts[group][name] = n_images
    # Of a class the large groups go first: where they do not fit, the small ones that follow make up for it.
    rarest = {group: min(by, key=rank.__getitem__) for group, by in counts.items()}
    for group in sorted(counts, key=lambda group: (rank[rarest[group]], -counts[group][rarest[group]], group)):
        wanted = lacking[rarest[group]]
        # Of equals the later wins: the second image of a class goes to test.
        splits[group] = max(open_shares, key=lambda split: (wanted[split], PRIORITY[split]))
        for name, n_images in counts[group].items():
            lacking[name][splits[group]] -= n_images * PARTS
    return splits


def _lacking(held: "pd.Series[str]", shares: dict[str, float]) -> dict[str, int]:
    """Return how many `PARTS` of images of a class each split lacks; `held`: the split of each, empty: none yet."""
    n_parts = int(held.isin(["", *shares]).sum()) * PARTS
    counts = held.value_counts()
    whole = sum(shares.values())
    return {
        split: round(share / whole * n_parts) - int(counts.get(split, 0)) * PARTS for split, share in shares.items()
    }
