"""Drift: do new images come from where the approved ones came from? Pure: arrays in, numbers out.

A property is compared by the largest difference between two cumulative distributions (Kolmogorov and Smirnov), at the
edges of the approved twentieths: `cells` says between which of them a value lies, or on which. What is expected of the
new images is a mixture of the approved distributions of each stratum, a label, with the shares that the labels have
among the new ones, so that a change of the shares alone is none of the pixels; `label_distance` sees that.

Images of one group (a patient, a film, a day) are alike, so new ones differ from the approved even when all is well,
the more the fewer groups they are. How much is measured, not assumed: whole groups are drawn from the approved data as
the new ones might have been, again and again. `Null` keeps what 99 of 100 such draws do not exceed in any property.
No group is drawn twice into one sample, for no batch holds one twice: with few groups those that do are far out.

Shapes: P properties, K edges, C = 2 K + 1 cells, S strata, U units that are drawn whole, R draws. The classes part the
images in Q ways into D parts: of a single-label set in one way, into as many as there are classes; of a multi-label set
in a way for each class, into those that are in it and the others. See `profile.parts`.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

EDGES = 21  # the least, each twentieth, the most
REDRAWS = 1000
FAMILY = 0.99  # of the redraws stay within the limits in all properties at once
DRAWS = tuple(2**power for power in range(10))  # units in a draw; in between and beyond by the law of the square root
UNITS = 1000  # at most these are drawn from: more say nothing new
LEAST = 0.1  # a distance: what is drawn from a million images differs beyond chance, and no model cares


@dataclass(frozen=True, kw_only=True)
class Null:
    """How far apart draws of so many units of the approved images are from all of them, at most."""

    n_units: int
    properties: np.ndarray  # [P, len(DRAWS)]
    labels: np.ndarray  # [len(DRAWS)]


def edges(values: np.ndarray) -> np.ndarray:
    """Return the distinct edges of the twentieths of each property [P, N], float64 [P, K], +inf where there are fewer.

    NaN are left out.
    """
    found = np.full((len(values), EDGES), np.inf)
    for row, of_property in zip(found, values, strict=True):
        known = of_property[~np.isnan(of_property)]
        if len(known):
            distinct = np.unique(np.quantile(known, np.linspace(0, 1, EDGES), method="inverted_cdf"))
            row[: len(distinct)] = distinct
    return found


def medians(values: np.ndarray) -> np.ndarray:
    """Return the median of each property [P, N], a value that occurs, the lower one of two; NaN where there is none.

    NaN are left out.
    """
    known = [of_property[~np.isnan(of_property)] for of_property in values]
    return np.array([np.quantile(each, 0.5, method="inverted_cdf") if len(each) else np.nan for each in known])


def cells(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the cell of each value [P, N], uint8 [N, P]: 2 k + 1 on edge k, even between edges, 0 below or NaN."""
    below = np.nan_to_num(values, nan=-np.inf)
    found = [
        np.searchsorted(edge, row, "left") + np.searchsorted(edge, row, "right")
        for row, edge in zip(below, edges, strict=True)
    ]
    return np.stack(found, axis=1).astype(np.uint8)


def counts(cells: np.ndarray, of: np.ndarray, n: int) -> np.ndarray:
    """Return how many images of each kind, `of` int [N] in [0, n), lie in each cell: float64 [n, P, C]."""
    n_cells = 2 * EDGES + 1
    each = [np.bincount(of * n_cells + column, minlength=n * n_cells) for column in cells.T]
    return np.stack([of_property.reshape(n, n_cells) for of_property in each], axis=1).astype(np.float64)


def cumulative(counts: np.ndarray) -> np.ndarray:
    """Return the cumulative shares [..., C] of the counts; 0 where there are none."""
    totals = counts.sum(axis=-1, keepdims=True)
    shares: np.ndarray = np.cumsum(counts, axis=-1) / np.maximum(totals, 1)
    return shares


def distances(counts: np.ndarray, strata: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return how far each sample is from what its strata make one expect, [R, P] in [0, 1].

    `counts` [R, P, C] and `strata` [R, S]: the images of each sample by cell and by stratum; `reference` [S, P, C]: the
    cumulative shares of the approved strata.
    """
    shares = strata / np.maximum(strata.sum(axis=1, keepdims=True), 1)
    expected = (shares @ reference.reshape(len(reference), -1)).reshape(len(shares), *reference.shape[1:])
    apart: np.ndarray = np.abs(cumulative(counts) - expected).max(axis=-1)
    return apart


def label_distance(parts: np.ndarray, approved: np.ndarray) -> np.ndarray:
    """Return the share of the images that would need other classes, at the least, for all shares to be the approved.

    That is the total variation distance [R] of counts [R, Q, D] from counts [Q, D], the largest of those of the Q ways:
    for two classes the change of a share, for many it does not vanish as each share does.
    """
    own, wanted = (each / np.maximum(each.sum(axis=-1, keepdims=True), 1) for each in (parts, approved))
    apart: np.ndarray = (np.abs(own - wanted).sum(axis=-1) / 2).max(axis=-1, initial=0)
    return apart


@dataclass(frozen=True, kw_only=True)
class _Units:
    """The units that are drawn from, and what all their images are like together."""

    reference: np.ndarray  # [S, P, C], cumulative
    cells: np.ndarray  # [U, S P C]: images of each
    strata: np.ndarray  # [U, S]: images of each
    parts: np.ndarray  # [U, Q D]
    approved: np.ndarray  # [Q, D]: of all units


def null(cells: np.ndarray, strata: np.ndarray, parts: np.ndarray, unit: np.ndarray, seed: int) -> Null:
    """Return the null distribution of draws of whole units from the approved images.

    `cells` [N, P]; `strata` [N] in [0, S); `parts` [N, Q, D], 1 where an image is; `unit` int [N], which unit an image
    belongs to.
    """
    random = np.random.default_rng(seed)
    names, unit = np.unique(unit, return_inverse=True)
    chosen = np.sort(random.permutation(len(names))[:UNITS])
    units = _units(cells, strata, parts, unit, chosen, len(names))
    n_units = len(chosen)
    order = random.permuted(np.tile(np.arange(n_units), (REDRAWS, 1)), axis=1)
    label_units = np.concatenate([units.parts, _extremes(units.approved) / n_units])
    label_order = random.permuted(np.tile(np.arange(len(label_units)), (REDRAWS, 1)), axis=1)
    limits: list[np.ndarray] = []
    label_limits: list[float] = []
    for n_drawn in DRAWS:
        if n_drawn > max(1, n_units // 2):  # too many of all for a draw to differ from them: by the law instead
            limits.append(limits[-1] / np.sqrt(2))
            label_limits.append(label_limits[-1] / np.sqrt(2))
            continue
        # A draw is a part of what it is compared with, and nearer to it by so much than new units are.
        nearer = np.sqrt(1 - min(n_drawn / n_units, 0.5))
        limits.append(_family(_apart(units, order[:, :n_drawn])) / nearer)
        apart = _labels_apart(units, label_units, label_order[:, :n_drawn])
        label_limits.append(float(np.quantile(apart, FAMILY) / nearer))
    return Null(n_units=len(names), properties=np.stack(limits, axis=1), labels=np.array(label_limits))


def _units(
    cells: np.ndarray, strata: np.ndarray, parts: np.ndarray, unit: np.ndarray, chosen: np.ndarray, n_names: int
) -> _Units:
    """Return the chosen units, and their own images as the reference: a draw would differ from others beyond chance."""
    place = np.full(n_names, -1)
    place[chosen] = np.arange(len(chosen))
    kept = place[unit] >= 0
    of = place[unit][kept]
    reference = cumulative(counts(cells[kept], strata[kept], strata.max() + 1))
    columns = parts[kept].reshape(len(of), parts[0].size).T  # none where all images are in no class
    of_parts = np.array([np.bincount(of, each, len(chosen)) for each in columns]).reshape(-1, len(chosen)).T
    return _Units(
        reference=reference,
        cells=counts(cells[kept], of, len(chosen)).reshape(len(chosen), -1),
        strata=_table(of, strata[kept], len(chosen), len(reference)),
        parts=of_parts,
        approved=of_parts.sum(axis=0).reshape(parts.shape[1:]),
    )


def _apart(units: _Units, drawn: np.ndarray) -> np.ndarray:
    """Return how far each draw is from all units, by property; `drawn` int [REDRAWS, n]: the units of each."""
    times = _times(drawn, len(units.cells))
    samples = (times @ units.cells).reshape(REDRAWS, *units.reference.shape[1:])
    return distances(samples, times @ units.strata, units.reference)


def _labels_apart(units: _Units, label_units: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Return how far the labels of each draw are from those of all units."""
    samples = (_times(drawn, len(label_units)) @ label_units).reshape(REDRAWS, *units.approved.shape)
    return label_distance(samples, units.approved)


def _times(drawn: np.ndarray, n_units: int) -> np.ndarray:
    """Return how often each draw has each unit [REDRAWS, U]."""
    return _table(np.arange(REDRAWS).repeat(drawn.shape[1]), drawn.ravel(), REDRAWS, n_units)


def _extremes(approved: np.ndarray) -> np.ndarray:
    """Return two samples [2, Q D] of as many images as the approved: all in the commonest part, all in the rarest.

    A few units do not show how far the next can be from them; a film of one class alone is drawn beside them, for each
    end, as the rule of succession counts a success and a failure more than were seen.
    """
    ends = np.stack([approved.argmax(axis=-1), approved.argmin(axis=-1)])
    found: np.ndarray = np.eye(approved.shape[-1])[ends] * approved.sum(axis=-1, keepdims=True)
    return found.reshape(2, -1)


def _table(rows: np.ndarray, columns: np.ndarray, n_rows: int, n_columns: int) -> np.ndarray:
    """Return how often each pair of row and column occurs, float64 [n_rows, n_columns]."""
    found = np.bincount(rows * n_columns + columns, minlength=n_rows * n_columns)
    return found.reshape(n_rows, n_columns).astype(np.float64)


def _family(distances: np.ndarray) -> np.ndarray:
    """Return a limit for each property, in one proportion to its own spread, that `FAMILY` of the draws [R, P] keep."""
    scale = np.maximum(np.quantile(distances, 0.95, axis=0), 1e-9)
    limits: np.ndarray = scale * np.quantile((distances / scale).max(axis=1), FAMILY)
    return limits


def limit(of_draws: np.ndarray, n_units: int, n_drawn: float) -> np.ndarray:
    """Return the limit for a sample of so many units; `of_draws` [..., len(DRAWS)] of a `Null` of `n_units`.

    The approved images are a sample too, and their spread is known the less well the fewer units they are: Student's
    t in place of the normal distribution.
    """
    if n_units < 2:
        return np.ones(of_draws.shape[:-1])
    steps = np.log(DRAWS)
    at = np.log(min(max(n_drawn, 1), DRAWS[-1]))
    base = np.apply_along_axis(lambda row: np.interp(at, steps, row), -1, of_draws)
    base = base * np.sqrt(DRAWS[-1] / max(n_drawn, DRAWS[-1]))
    student = stats.t.ppf((1 + FAMILY) / 2, n_units - 1) / stats.norm.ppf((1 + FAMILY) / 2)
    limits: np.ndarray = np.minimum(base * np.sqrt(1 + n_drawn / n_units) * student, 1)
    return limits


def effective(unit: np.ndarray) -> float:
    """Return to how many units of one size the units of the images [N] come."""
    sizes = np.unique(unit, return_counts=True)[1].astype(float)
    return float(sizes.sum() ** 2 / (sizes**2).sum())
