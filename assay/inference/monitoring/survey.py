"""A survey: are new images, of whose classes nobody told, like the approved ones, and does the champion see them as it
saw its test images? Pure: tables in, comparisons out.

Three questions, each with a limit that clean images exceed in one look of a hundred at most:

- pixels: each property beside its approved distribution (validation/profile). That depends on the classes, so the
  approved classes are mixed as the champion names them, but for as many images as it may have wrong. A property has
  moved where no such mixture comes near enough; so a mere change of class shares never moves one.
- classes: which of them the champion names, beside those that it named on its test images.
- confidence: how sure it is, beside its test images of the class that it names.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import linprog

from assay import labels
from assay.evaluation import intervals
from assay.validation.profile import distance, properties, strata
from assay.validation.profile.approved import Profile
from assay.validation.profile.distance import LEAST, Null

FEWEST = 20  # images: of fewer nothing is said
SEED = 0  # of the redraws
UNSURE_SHARE = 0.05  # of the test images are less sure than what is called unsure
SURE = 0.95  # confidence of the interval of a recall


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """`statistic` and `limit` are distances in [0, 1]; `before` and `now`: medians, shares or means."""

    name: str
    statistic: float
    limit: float
    before: float
    now: float
    of: str = ""  # the class whose share it is

    @property
    def has_moved(self) -> bool:
        return self.statistic > self.limit


def pixels(approved: Profile, rows: pd.DataFrame, test: pd.DataFrame | None) -> list[Comparison]:
    """Return a comparison for each property of the pictures that the new ones and the approved have.

    `rows`: the new images, with the columns of the manifest that are measured, `group`, and `predicted` where there is
    a champion; `test`: its test images with `label` and `predicted`, None without a champion: then every mixture of the
    approved classes is thought possible.
    """
    values = properties.values(rows)
    reference = distance.cumulative(np.stack(list(approved.strata.values())))
    cells = distance.cells(values, approved.edges)
    now = distance.cumulative(distance.counts(cells, np.zeros(len(cells), np.int64), 1))[0]
    shares, slack = mixture(approved, rows, test)
    apart = np.abs(now - np.tensordot(shares, reference, axes=1)).max(axis=-1)
    limit = limits(approved.nulls, drawn(rows["group"], approved.nulls, approved.n_images), "properties")
    for place in np.flatnonzero(apart > limit):
        apart[place] = unexplained(now[place], reference[:, place], shares, slack)
    columns = zip(properties.NAMES, apart, limit, approved.medians, distance.medians(values), strict=True)
    found = [_comparison(*column) for column in columns if column[0] in properties.PIXELS]
    return [each for each in found if not np.isnan([each.before, each.now]).any()]


def mixture(approved: Profile, rows: pd.DataFrame, test: pd.DataFrame | None) -> tuple[np.ndarray, float]:
    """Return the shares of the approved strata [S] among the new images, and how much of them may be otherwise.

    No more of the images are of another class than the champion may have wrong of the class that it knows worst, if
    what it gets right of each did not change.
    """
    if test is not None:
        place = strata.stratum_of(rows["predicted"], approved.strata)
        if (place >= 0).any():
            right = (test["label"] == test["predicted"]).groupby(test["label"]).agg(["sum", "count"])
            recall = min(intervals.wilson(int(n) / int(of), int(of), SURE)[0] for _, n, of in right.itertuples())
            counts = np.bincount(place[place >= 0], minlength=len(approved.strata))
            return counts / counts.sum(), 1 - recall
    counts = np.array([of[0].sum() for of in approved.strata.values()])
    return counts / counts.sum(), 1.0


def unexplained(seen: np.ndarray, reference: np.ndarray, shares: np.ndarray, slack: float) -> float:
    """Return how far cumulative shares [C] are at least from every mixture of those of the strata [S, C].

    The weights of a mixture differ from `shares` [S] by at most `slack`, in [0, 1] (total variation). A linear program.
    """
    n_strata, n_cells = reference.shape
    none, ones, each = np.zeros((n_cells, n_strata)), np.ones((n_cells, 1)), np.eye(n_strata)
    # The unknowns: weight of each stratum, its difference from `shares`, and the distance.
    above = np.vstack(
        [
            np.hstack([reference.T, none, -ones]),
            np.hstack([-reference.T, none, -ones]),
            np.hstack([each, -each, np.zeros((n_strata, 1))]),
            np.hstack([-each, -each, np.zeros((n_strata, 1))]),
            np.hstack([np.zeros(n_strata), np.ones(n_strata), [0]])[None],
        ]
    )
    below = np.concatenate([seen, -seen, shares, -shares, [2 * slack]])
    whole = np.hstack([np.ones(n_strata), np.zeros(n_strata + 1)])[None]
    wanted = np.hstack([np.zeros(2 * n_strata), [1]])
    return float(linprog(wanted, above, below, whole, [1.0], bounds=(0, None), method="highs").fun)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the champion said of its test images, as new ones are held against it; S labels that it gave, K classes."""

    task: labels.Task
    strata: list[str]  # [S]
    edges: np.ndarray  # [1, E] of the probabilities
    reference: np.ndarray  # cumulative shares [S, 1, C]
    classes: "pd.Series[int]"  # how often each was named
    mean: float  # probability
    nulls: dict[str, Null]
    n_images: int


def seen(test: pd.DataFrame, task: labels.Task) -> Seen:
    """Return it, of a table with predicted, probability and group."""
    known = sorted(test["predicted"].unique())
    probability = test["probability"].to_numpy()[None]
    edges = distance.edges(probability)
    cells = distance.cells(probability, edges)
    stratum = strata.stratum_of(test["predicted"], known)
    names, marks = strata.marked(test["predicted"], task)
    parts = strata.parts(marks.astype(int), 1, task)
    units = {"image": np.arange(len(test)), "group": strata.groups(test)}
    return Seen(
        task=task,
        strata=known,
        edges=edges,
        reference=distance.cumulative(distance.counts(cells, stratum, len(known))),
        classes=pd.Series(marks.sum(axis=0), index=names),
        mean=float(probability.mean()),
        nulls={name: distance.null(cells, stratum, parts, unit, SEED) for name, unit in units.items()},
        n_images=len(test),
    )


def predictions(test: Seen, rows: pd.DataFrame) -> list[Comparison]:
    """Return the comparisons `predicted classes` and `confidence` of rows with predicted, probability and group."""
    n_drawn = drawn(rows["group"], test.nulls, test.n_images)
    counts = class_counts(test, rows)
    then, now = (
        strata.parts(counts[name].to_numpy(), n, test.task) for name, n in (("test", test.n_images), ("now", len(rows)))
    )
    moved = float(distance.label_distance(now[None], then)[0])
    shares = counts / [test.n_images, len(rows)]
    apart = (shares["now"] - shares["test"]).abs()
    most = str(apart.idxmax()) if len(apart) else ""  # in none of the classes, all of them
    before, after = shares.loc[most] if most else (0, 0)
    of_classes = limits(test.nulls, n_drawn, "labels")[0]
    of_confidence = limits(test.nulls, n_drawn, "properties")[0]
    mean = float(rows["probability"].mean())
    return [
        _comparison("predicted classes", moved, of_classes, before, after, most),
        _comparison("confidence", _apart(test, rows), of_confidence, test.mean, mean),
    ]


def _apart(test: Seen, rows: pd.DataFrame) -> float:
    """Return how far the probabilities are from those of the test images of the same predictions."""
    stratum = strata.stratum_of(rows["predicted"], test.strata)
    known = stratum >= 0
    if not known.any():
        return 0.0
    cells = distance.cells(rows.loc[known, "probability"].to_numpy()[None], test.edges)
    counts = distance.counts(cells, np.zeros(len(cells), np.int64), 1)
    held = np.bincount(stratum[known], minlength=len(test.strata))[None]
    return float(distance.distances(counts, held, test.reference)[0, 0])


def class_counts(test: Seen, rows: pd.DataFrame) -> pd.DataFrame:
    """Return how often each class was named of the `test` images and is `now`, by name."""
    names, marks = strata.marked(rows["predicted"], test.task)
    now = pd.Series(marks.sum(axis=0), index=names)
    return pd.DataFrame({"test": test.classes, "now": now}).fillna(0).astype(int).sort_index()


def unsure(test: pd.DataFrame) -> float:
    """Return the probability that all but UNSURE_SHARE of the test images reach."""
    return float(test["probability"].quantile(UNSURE_SHARE, interpolation="lower"))


def drawn(group: "pd.Series[str]", nulls: Mapping[str, Null], n_images: int) -> dict[str, float]:
    """Return to how many units of each null distribution, made of `n_images`, the new images come.

    Those without a group are taken to come in groups as large as there; all of them are one batch.
    """
    known = group[group.fillna("") != ""]
    in_groups = distance.effective(known.to_numpy()) if len(known) else 0.0
    found = {"image": float(len(group)), "batch": 1.0}
    if "group" in nulls:
        found["group"] = in_groups + (len(group) - len(known)) * nulls["group"].n_units / n_images
    return found


def limits(nulls: Mapping[str, Null], n_drawn: Mapping[str, float], of: str) -> np.ndarray:
    """Return the largest limit that a null distribution sets, and `LEAST` at the least: [P], or [1] of labels."""
    found = [
        distance.limit(np.atleast_2d(getattr(null, of)), null.n_units, n_drawn[name]) for name, null in nulls.items()
    ]
    most: np.ndarray = np.maximum(np.max(found, axis=0), LEAST)
    return most


def _comparison(name: str, statistic: float, limit: float, before: float, now: float, of: str = "") -> Comparison:
    return Comparison(
        name=name,
        statistic=round(float(statistic), 4),
        limit=round(float(limit), 4),
        before=round(float(before), 4),
        now=round(float(now), 4),
        of=of,
    )


def extremes(values: np.ndarray, edges: np.ndarray, approved: np.ndarray, n: int) -> np.ndarray:
    """Return the places of the `n` images whose values [N] lie furthest on the side to which the property moved.

    `edges` [K] and cumulative shares [C] of the approved values.
    """
    place = distance.cells(values[None], edges[None])[:, 0]
    rank = (approved + np.append(0, approved[:-1])) / 2  # of each cell; one half on average over the approved images
    side = 1 if rank[place].mean() >= 0.5 else -1
    by_value = np.where(np.isnan(values), -np.inf, side * values)
    chosen: np.ndarray = np.argsort(-by_value, kind="stable")[:n]
    return chosen
