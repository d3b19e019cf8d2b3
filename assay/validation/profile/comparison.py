"""New data beside the approved: the tables that expectations/drift.yaml speaks about, and what an approval changes.

New are the images of batches that came after the approval. Where nothing is approved, or nothing is new, the tables of
drift have no rows.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from assay.labels import Task
from assay.validation.profile import distance, properties, strata
from assay.validation.profile.approved import Profile
from assay.validation.profile.distance import LEAST, Null

DRIFT = ("property", "statistic", "limit", "excess", "approved", "present")
GONE = ("sha256", "gone")
RANGE = 4  # times fewer levels than any approved image: bits were lost or moved, no lamp was dimmed


@dataclass(frozen=True, kw_only=True)
class _Sample:
    """The new images, as the profile counts."""

    values: np.ndarray  # [P, N]
    strata: np.ndarray  # [1, S]
    known: np.ndarray  # bool [N]: of a label that was approved
    stratum: np.ndarray  # [N]
    units: dict[str, np.ndarray]


def tables(approved: Profile | None, rows: pd.DataFrame, ledger: pd.DataFrame, task: Task) -> dict[str, pd.DataFrame]:
    """Return `drift`, `label_drift`, `file_drift` and `channel_order` with columns `DRIFT`, and `test_set` with `GONE`.

    A row of drift is a property; `statistic` in [0, 1] is how far the new images are from the approved, `limit` what
    whole groups drawn from the approved do not exceed, `excess` the one over the other; medians are `approved` and
    `present`. `test_set` has a row for each approved test image that is one no more.
    """
    nothing = pd.DataFrame(columns=list(DRIFT)).astype(dict.fromkeys(DRIFT[1:], "float64"))
    found = dict.fromkeys(("drift", "label_drift", "file_drift", "channel_order"), nothing)
    if approved is None:
        return found | {"test_set": pd.DataFrame(columns=list(GONE))}
    new = new_images(approved, rows)
    if len(new):
        found = _drift(approved, new, task)
    return found | {"test_set": gone(approved, rows, ledger)}


def new_images(approved: Profile, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that have a split and came after the approval."""
    return rows[rows["split"].notna() & ~is_old(approved, rows)]


def is_old(approved: Profile, rows: pd.DataFrame) -> np.ndarray:
    """Say of each row, bool [N], whether its image was there when the profile was approved."""
    old: np.ndarray = strata.batch_numbers(rows) <= approved.last_batch
    return old


def _drift(approved: Profile, new: pd.DataFrame, task: Task) -> dict[str, pd.DataFrame]:
    sample = _sample(approved, new)
    statistic = _statistic(approved, sample, sample.values)
    limit = limits(approved.nulls, sample.units, "properties")
    whole = _table(list(properties.NAMES), statistic, limit, approved.medians, distance.medians(sample.values))
    is_file = whole["property"].isin(properties.FILES)
    names, marks = strata.marked(new["label"], task)
    every = sorted({*approved.classes, *names})
    before = np.array([approved.classes.get(name, 0) for name in every])
    now = pd.Series(marks.sum(axis=0), index=names).reindex(every, fill_value=0).to_numpy()
    n_before, n_now = approved.n_images, len(new)
    moved = distance.label_distance(strata.parts(now, n_now, task)[None], strata.parts(before, n_before, task))
    most = int(np.abs(now / n_now - before / n_before).argmax())
    shares = [np.array([now_or_then[most] / n]) for now_or_then, n in ((before, n_before), (now, n_now))]
    by_label = _table([every[most]], moved, limits(approved.nulls, sample.units, "labels"), *shares)
    return {
        "drift": whole[~is_file].reset_index(drop=True),
        "file_drift": whole[is_file].reset_index(drop=True),
        "label_drift": by_label,
        "channel_order": _channel_order(approved, sample, whole),
    }


def _sample(approved: Profile, new: pd.DataFrame) -> _Sample:
    stratum = strata.stratum_of(new["label"], approved.strata)
    known = stratum >= 0
    return _Sample(
        values=properties.values(new),
        strata=np.bincount(stratum[known], minlength=len(approved.strata))[None],
        known=known,
        stratum=stratum,
        units=strata.units(new),
    )


def _statistic(approved: Profile, sample: _Sample, values: np.ndarray) -> np.ndarray:
    """Return the distance of each property [P], over the images of the sample whose label was approved."""
    if not sample.known.any():
        return np.zeros(len(values))
    reference = distance.cumulative(np.stack(list(approved.strata.values())))
    cells = distance.cells(values[:, sample.known], approved.edges)
    counts = distance.counts(cells, np.zeros(len(cells), np.int64), 1)
    found: np.ndarray = distance.distances(counts, sample.strata, reference)[0]
    return found


def limits(nulls: dict[str, Null], units: dict[str, np.ndarray], of: str) -> np.ndarray:
    """Return the largest limit that a null distribution sets, and `LEAST` at the least: [P], or [1] of labels."""
    found = [
        distance.limit(np.atleast_2d(getattr(null, of)), null.n_units, distance.effective(units[name]))
        for name, null in nulls.items()
    ]
    most: np.ndarray = np.maximum(np.max(found, axis=0), LEAST)
    return most


def _table(names: list[str], statistic: np.ndarray, limit: np.ndarray, *middles: np.ndarray) -> pd.DataFrame:
    columns = [names, statistic.round(4), limit.round(4), (statistic / limit).round(4), *(m.round(4) for m in middles)]
    return pd.DataFrame(dict(zip(DRIFT, columns, strict=True)))


def _channel_order(approved: Profile, sample: _Sample, whole: pd.DataFrame) -> pd.DataFrame:
    """Return one row; its excess is 0 unless the new images are like the approved when red and blue are swapped."""
    at = {name: place for place, name in enumerate(properties.NAMES)}
    swapped = sample.values.copy()
    for name, (other, sign) in properties.SWAPPED.items():
        swapped[at[name]] = sign * sample.values[at[other]]
    places = [at[name] for name in properties.DIFFERENCES]
    limit, now = whole["limit"].to_numpy()[places], whole["statistic"].to_numpy()[places]
    then = _statistic(approved, sample, swapped)[places]
    worst = int((now / limit).argmax())
    is_swapped = now[worst] > limit[worst] and (then <= limit).all()
    row = whole.iloc[[places[worst]]].assign(property="red and blue").reset_index(drop=True)
    return row if is_swapped else row.assign(statistic=0.0, excess=0.0)


def unlike(approved: Profile | None, rows: pd.DataFrame) -> "pd.Series[str]":
    """Return what of each image was never approved, `mode RGBA, approved: L`; empty: nothing, or it does not decode."""
    said = pd.Series("", index=rows.index)
    if approved is None:
        return said
    decodes = rows["decodable"].astype(bool)
    is_dim = decodes & (rows["maximum"].fillna(255) * RANGE < approved.least_maximum)
    most = rows.loc[is_dim, "maximum"].astype("str")
    said[is_dim] = "no value above " + most + f", approved: {approved.least_maximum} and more"
    for name in ("bit_depth", "mode"):
        known = [*approved.facts[name]]
        values = rows[name].drop_duplicates().dropna()
        is_new = decodes & rows[name].isin(values[~values.astype("str").isin(known)])
        shown = name.replace("_", " ") + " " + rows.loc[is_new, name].astype("str")
        said[is_new] = shown + f", approved: {', '.join(known)}"
    return said


def gone(approved: Profile, rows: pd.DataFrame, ledger: pd.DataFrame) -> pd.DataFrame:
    """Return `sha256` and `gone` of the approved test images, those that are none now first; empty while all are there.

    `ledger` lists all that ever were one. If it is not the one of the approval there is a single row without a name.
    """
    approved_then = ledger.loc[(ledger["split"] == "test") & (ledger["batch"] <= approved.last_batch), "sha256"]
    now = rows.loc[rows["split"] == "test", "sha256"]
    if strata.identity(now[now.isin(approved_then)]) == approved.test_sha256:
        return pd.DataFrame(columns=list(GONE))
    missing = sorted(set(approved_then) - set(now))
    if not missing:
        return pd.DataFrame({"sha256": ["unknown: the ledger is not that of the approval"], "gone": True})
    left = sorted(set(approved_then) - set(missing))
    return pd.DataFrame({"sha256": missing + left, "gone": [True] * len(missing) + [False] * len(left)})


def changes(before: Profile | None, after: Profile) -> list[str]:
    """Return, for people, what an approval changes: a line each."""
    if before is None:
        return [f"{after.n_images:,} images in {len(after.classes)} classes; nothing was approved before"]
    lines = [f"images: {before.n_images:,} -> {after.n_images:,}"]
    if before.test_sha256 != after.test_sha256:
        lines.append(f"test images: {before.test_n_images:,} -> {after.test_n_images:,}, not the same")
    pairs = [("class", before.classes, after.classes)]
    pairs += [(name.replace("_", " "), before.facts[name], after.facts[name]) for name in after.facts]
    for kind, old, new in pairs:
        of_old, of_new = max(sum(old.values()), 1), max(sum(new.values()), 1)
        for name in sorted({*old, *new}):
            was, is_ = old.get(name, 0) / of_old, new.get(name, 0) / of_new
            if round(was, 3) != round(is_, 3):
                lines.append(f"{kind} {name}: {100 * was:.1f}% -> {100 * is_:.1f}%")
    for place, name in enumerate(properties.NAMES):
        was, is_ = before.medians[place], after.medians[place]
        if not np.array_equal(was, is_, equal_nan=True):
            lines.append(f"{name}: median {was:g} -> {is_:g}")
    return lines
