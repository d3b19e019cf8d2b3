"""What changed in the data between two commits: images, labels, classes, and what the pictures are like."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import ks_2samp

from assay.labels import Task, counts
from assay.pages import code, markdown
from assay.versions.at_commit import PROPERTIES

MOVED = 0.1  # of a distribution: a smaller distance is told by numbers alone
SHOWN = 20  # relabelled images


@dataclass(frozen=True, kw_only=True)
class DataChange:
    n_old: int  # images with a split, distinct ones
    n_new: int
    n_added: int
    n_removed: int
    n_resplit: int  # in another split than before: never, by growth alone
    relabelled: tuple[tuple[str, str, str], ...]  # path, label before, label after
    shares: dict[str, tuple[float, float]]  # of each class among the images, before and after
    distances: dict[str, float]  # between the distributions of each property, in [0, 1] (Kolmogorov and Smirnov)

    @property
    def is_any(self) -> bool:
        return bool(self.n_added or self.n_removed or self.n_resplit or self.relabelled)


def look(old: pd.DataFrame, new: pd.DataFrame, task: Task) -> DataChange:
    """Return what changed between two manifests, see `at_commit.manifest`."""
    both = old.index.intersection(new.index)
    differ = both[(old.loc[both, "label"] != new.loc[both, "label"]).to_numpy()]
    return DataChange(
        n_old=len(old),
        n_new=len(new),
        n_added=len(new) - len(both),
        n_removed=len(old) - len(both),
        n_resplit=int((old.loc[both, "split"] != new.loc[both, "split"]).sum()),
        relabelled=tuple((new.at[key, "path"], old.at[key, "label"], new.at[key, "label"]) for key in differ),
        shares=_shares(old, new, task),
        distances=_distances(old, new),
    )


def _shares(old: pd.DataFrame, new: pd.DataFrame, task: Task) -> dict[str, tuple[float, float]]:
    before, after = (counts(rows["label"].value_counts().items(), task) for rows in (old, new))
    return {
        name: (before.get(name, 0) / max(1, len(old)), after.get(name, 0) / max(1, len(new)))
        for name in sorted(before.keys() | after.keys())
    }


def _distances(old: pd.DataFrame, new: pd.DataFrame) -> dict[str, float]:
    found = {}
    for name in PROPERTIES:
        if name in old and name in new:
            values = [rows[name].to_numpy(np.float64, na_value=np.nan) for rows in (old, new)]
            known = [each[~np.isnan(each)] for each in values]
            if all(len(each) for each in known):
                found[name] = float(ks_2samp(*known).statistic)
    return found


def lines(change: DataChange) -> list[str]:
    """Return the change as Markdown."""
    if not change.is_any:
        return [f"The data are the same {change.n_new:,} images with the same labels."]
    told = [
        f"{change.n_old:,} → {change.n_new:,} images: {change.n_added:,} added, {change.n_removed:,} removed, "
        f"{len(change.relabelled):,} relabelled"
        + (f", **{change.n_resplit:,} in another split**" if change.n_resplit else "")
    ]
    told += [
        f"- {code(path)}: {markdown(before) or '(none)'} → {markdown(after) or '(none)'}"
        for path, before, after in change.relabelled[:SHOWN]
    ]
    moved = {name: (a, b) for name, (a, b) in change.shares.items() if abs(b - a) >= 0.01}
    told += [f"- share of {markdown(name)}: {100 * a:.1f} % → {100 * b:.1f} %" for name, (a, b) in moved.items()]
    far = {name: distance for name, distance in change.distances.items() if distance >= MOVED}
    told += [f"- {name} moved: {distance:.2f} of its distribution" for name, distance in far.items()]
    return told
