"""Which new images make one group, and which split each group gets.

A ledger has the columns of splits.py; the images are the `usable` ones of `splits.extend`, with all columns that it
names. Nothing here is an object for each image: there may be ten million.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from assay.dataset import lookup
from assay.labels import SPLITS

GROUP_DIGITS = 16  # of the hash over the pixels; two pictures that share them by chance share a split, no more
PARTS = 10**9  # of an image: what a split lacks is counted in whole ones, so that equals are equal
PRIORITY = {split: number for number, split in enumerate(SPLITS)}  # of two splits the test images are worth most


def groups(ledger: pd.DataFrame, usable: pd.DataFrame, near: pd.DataFrame) -> tuple["pd.Series[str]", "pd.Series[str]"]:
    """Return the group of each row of the ledger, and the split that its group has or is given; empty: none.

    The groups of the ledger and of the source hold in any case. Equal pixels and pairs that are `near` put together
    what is in one split or in none yet; what is in none then joins what is in one.
    """
    wanted = pd.concat([usable["sha256"], near["sha256"], near["partner"]])
    at, *ends = np.split(lookup.places(ledger["sha256"], wanted), [len(usable), len(usable) + len(near)])
    held = ledger["group"][ledger["group"] != ""]
    given = _sorted(usable["given_group"].where(~elsewhere(usable)), at).dropna()
    pixels = _sorted(usable["pixels"].str[:GROUP_DIGITS], at)
    names = pd.concat([held, given, pixels])
    codes, keys = pd.factorize(names)
    links = np.stack([names.index.to_numpy(), len(ledger) + codes], axis=1)
    n_firm = len(held) + len(given)
    unit = _components(len(ledger) + len(keys), links[:n_firm])
    split = _fixed(_rank(ledger["split"]), _rank(usable["given_split"]), at, unit)

    is_usable = np.zeros(len(ledger) + 1, bool)  # the last of what the ledger does not have
    is_usable[at] = True
    pairs = np.stack(ends, axis=1)
    alike = unit[np.concatenate([links[n_firm:], pairs[is_usable[pairs].all(axis=1)]])]
    cluster = _components(len(split), alike[split[alike[:, 0]] == split[alike[:, 1]]])
    split = split[_first(cluster)]
    of_row = cluster[unit[: len(ledger)]]
    name, split = _joined(_names(names, n_firm, of_row, split), split, cluster[alike])
    splits = pd.Series([*SPLITS, ""], dtype="str").iloc[split[of_row]]
    return name.iloc[of_row].set_axis(ledger.index), splits.set_axis(ledger.index)


def _sorted(names: pd.Series, at: np.ndarray) -> "pd.Series[str]":
    """Return the names in their order, each at its row of the ledger."""
    return pd.Series(names.astype("str").array, index=at).sort_values()


def _first(cluster: np.ndarray) -> np.ndarray:
    """Return where each cluster stands first in [N] numbers of clusters, of which every one is there."""
    first = np.empty(cluster.max(initial=-1) + 1, np.int64)
    first[cluster[::-1]] = np.arange(len(cluster))[::-1]  # of equals the one that is written last stays
    return first


def _names(names: "pd.Series[str]", n_firm: int, of_row: np.ndarray, split: np.ndarray) -> "pd.Series[str]":
    """Return the name of each cluster: the first of `names`, of whose rows `of_row` says the cluster; empty: none."""
    of_name = of_row[names.index]
    at = np.full(len(split), -1)
    at[of_name[::-1]] = np.arange(len(names))[::-1]
    name = pd.Series("", index=range(len(split)), dtype="str")
    is_named = at >= 0
    # One picture can be given two splits; then it has two groups.
    suffix = pd.Series(["", *(f"-{name}" for name in SPLITS)], dtype="str").iloc[np.where(at < n_firm, 0, split + 1)]
    name[is_named] = names.iloc[at[is_named]].array + suffix.array[is_named]
    return name


def _rank(splits: "pd.Series[str]") -> np.ndarray:
    """Return each split as its place in `SPLITS`, [N]; -1: it is none of them."""
    return lookup.places(pd.Series(SPLITS), splits)


def elsewhere(usable: pd.DataFrame) -> "pd.Series[bool]":
    """Say which rows of a content are given another split than it gets, that of their given group.

    They must not bind: a blank image in two groups would take all of the one to the split of the other.
    """
    if usable["given_split"].isna().all():
        return pd.Series(False, index=usable.index)
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


def _fixed(had: np.ndarray, given: np.ndarray, at: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Return the split of each unit as a place in `SPLITS`: the one it has, or the one it is given; -1: none.

    `had`: that of each row of the ledger, `given`: that of each image, which stands at the row `at`, likewise.
    """
    n = unit.max(initial=-1) + 1
    best, least = np.full(n, -1), np.full(n, len(SPLITS))
    np.maximum.at(best, unit[at], given)
    np.minimum.at(least, unit[: len(had)], np.where(had < 0, len(SPLITS), had))
    return np.where(least < len(SPLITS), least, best)


def _joined(name: "pd.Series[str]", split: np.ndarray, alike: np.ndarray) -> tuple["pd.Series[str]", np.ndarray]:
    """Return name and split of each cluster after those without a split took both from one that they are like.

    The one in train goes first: of all that cannot stay beside each other, `leaks` then takes out what is new.
    """
    ways = np.concatenate([alike, alike[:, ::-1]])
    ways = ways[(split[ways[:, 0]] < 0) & (split[ways[:, 1]] >= 0)]
    names = name.iloc[ways[:, 1]].array
    choices = pd.DataFrame({"of": ways[:, 0], "split": split[ways[:, 1]], "name": names})
    chosen = choices.sort_values(["of", "split", "name"]).drop_duplicates("of").set_index("of")
    name, split = name.copy(), split.copy()
    name[chosen.index] = chosen["name"]
    split[chosen.index] = chosen["split"]
    return name, split


def fill(ledger: pd.DataFrame, usable: pd.DataFrame, shares: dict[str, float]) -> "pd.Series[str]":
    """Return the split of each row whose group has none: the one that its rarest class lacks most of; empty: none."""
    given = set(usable["given_split"].unique())
    open_shares = {name: shares[name] for name in SPLITS if name == "train" or name not in given}
    rows = _with_classes(ledger, usable)
    lacking = {str(name): _lacking(of_class["split"], open_shares) for name, of_class in rows.groupby("classes")}
    n_images = rows["classes"].value_counts()
    by_rarity = sorted(lacking, key=lambda name: (int(n_images[name]), name))
    code, groups = pd.factorize(ledger["group"])
    chosen = np.full(len(groups), len(SPLITS))
    for group, counts in _in_turn(rows[rows["split"] == ""], code, groups, by_rarity):
        wanted = lacking[by_rarity[counts[0][0]]]
        # Of equals the later wins: the second image of a class goes to test.
        split = max(open_shares, key=lambda split: (wanted[split], PRIORITY[split]))
        chosen[group] = PRIORITY[split]
        for rank, n in counts:
            lacking[by_rarity[rank]][split] -= n * PARTS
    return pd.Series([*SPLITS, ""], dtype="str").iloc[chosen[code]].set_axis(ledger.index)


def _with_classes(ledger: pd.DataFrame, usable: pd.DataFrame) -> pd.DataFrame:
    """Return `split` and `classes` of each image and class, at its row of the ledger; in none of them: an empty one."""
    first = usable.drop_duplicates("sha256")
    at = lookup.places(ledger["sha256"], first["sha256"])
    rows = pd.DataFrame({"classes": first["classes"].to_numpy(), "split": ledger["split"].iloc[at].array}, index=at)
    rows = rows.explode("classes")
    return rows.assign(classes=rows["classes"].fillna("").astype("category"))


def _in_turn(
    rows: pd.DataFrame, code: np.ndarray, groups: "pd.Index[str]", by_rarity: list[str]
) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Yield each group that has no split in its turn, and how many images of it are in which class, the rarest first.

    Groups are numbers that `code` has for each row of the ledger, and `rows` are those of `_with_classes`; classes are
    places in `by_rarity`. Of a class the large groups go first: where they do not fit, the small ones that follow make
    up for it.
    """
    rank = rows["classes"].cat.set_categories(by_rarity).cat.codes.to_numpy().astype(np.int64)
    both, n_images = np.unique(code[rows.index] * len(by_rarity) + rank, return_counts=True)
    group, rank = np.divmod(both, max(1, len(by_rarity)))
    start = np.flatnonzero(np.diff(group, prepend=-1))
    stop = np.append(start[1:], len(group))
    name = np.empty(len(groups), np.int64)
    name[groups.argsort()] = np.arange(len(groups))
    for n in np.lexsort([name[group[start]], -n_images[start], rank[start]]):
        own = slice(start[n], stop[n])
        yield int(group[start[n]]), list(zip(rank[own].tolist(), n_images[own].tolist(), strict=True))


def _lacking(held: "pd.Series[str]", shares: dict[str, float]) -> dict[str, int]:
    """Return how many `PARTS` of images of a class each split lacks; `held`: the split of each, empty: none yet."""
    n_parts = int(held.isin(["", *shares]).sum()) * PARTS
    counts = held.value_counts()
    whole = sum(shares.values())
    return {
        split: round(share / whole * n_parts) - int(counts.get(split, 0)) * PARTS for split, share in shares.items()
    }
