"""Which images belong together: what the source says, else near-duplicates, else each by itself."""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def of_rows(rows: pd.DataFrame, pairs: pd.DataFrame) -> np.ndarray:
    """Return the group of each row [N], by its path and group; `pairs`: of near-duplicates, path and partner."""
    places = {path: at for at, path in enumerate(rows["path"])}
    both = pairs[["path", "partner"]].apply(lambda column: column.map(places)).dropna().to_numpy(np.int64)
    return number(rows["group"].fillna("").tolist(), both.reshape(-1, 2))


def number(own: list[str], pairs: np.ndarray) -> np.ndarray:
    """Return the group of each image, int [N]: its own if it has one, else that of its near-duplicates, else itself.

    `own`: the name of each image's group, empty if it is in none. `pairs`: int [P, 2], places of near-duplicates.
    """
    n, names = len(own), sorted({name for name in own if name})
    has_none = np.array([not name for name in own], bool)
    kept = pairs[has_none[pairs].all(axis=1)] if len(pairs) else np.empty((0, 2), int)
    joined = coo_array((np.ones(len(kept)), (kept[:, 0], kept[:, 1])), shape=(n, n))
    clusters = connected_components(joined, directed=False)[1] if n else np.empty(0, int)
    places = {name: place for place, name in enumerate(names)}
    keys = [places[name] if name else len(places) + int(clusters[at]) for at, name in enumerate(own)]
    return np.unique(np.array(keys, int), return_inverse=True)[1]
