"""The approved profile, data/approved.json: what the images are like that a person has accepted.

It is a few kilobytes in git and says nothing of any single image; new images are held against it, never against those
of yesterday, so that a slow change is seen too. The same images give the same bytes.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from assay import drift, files, labels, ledger, properties
from assay.drift import Null
from assay.errors import AssayError
from assay.labels import Task

FORMAT = 2  # of the file
SEED = 0  # of the redraws
STRATA = 50  # labels that have distributions of their own; the rarer ones share one
OTHERS = "(all others)"  # the name of that one
FACTS = ("format", "mode", "channels", "bit_depth", "camera")
DIGITS = 6  # significant ones of an edge and a median
FEWEST_DELIVERIES = 3  # that say how much one differs from the next


@dataclass(frozen=True, kw_only=True)
class Profile:
    n_images: int
    last_batch: int  # number of the newest batch: what comes in later ones is new
    test_n_images: int
    test_sha256: str  # over the sorted SHA-256 of the test images
    classes: dict[str, int]  # images, by class
    facts: dict[str, dict[str, int]]  # images, by what the file says: of each of FACTS
    least_maximum: int  # of the brightest values of the images, the lowest
    edges: np.ndarray  # [P, K], see assay/drift.py; P as in `properties.NAMES`
    medians: np.ndarray  # [P], NaN where no image has the property
    strata: dict[str, np.ndarray]  # by label: counts [P, C]
    nulls: dict[str, Null]  # by what was drawn whole: image, group, batch (all of a delivery, see `deliveries`)
    auc: dict[str, dict[str, float]]  # by property and class, see assay/shortcuts.py
    probe: dict[str, dict[str, float]]  # by class: of the border and of the centre


def build(rows: pd.DataFrame, task: Task, auc: pd.DataFrame, probe: pd.DataFrame) -> Profile:
    """Return the profile of the rows of a manifest that have a split; `auc`, `probe`: of assay/shortcuts.py.

    Raises `AssayError` if there are none.
    """
    used = rows[rows["split"].notna()].sort_values("path", ignore_index=True)
    if used.empty:
        raise AssayError("approve: no image has a split, so there is nothing to approve; run `dvc repro` and look")
    values = properties.values(used)
    edges = _rounded(drift.edges(values))
    cells = drift.cells(values, edges)
    names = list(used["label"].value_counts(sort=False).sort_index().sort_values(ascending=False, kind="stable").index)
    strata = names if len(names) <= STRATA else [*names[: STRATA - 1], OTHERS]
    stratum = stratum_of(used["label"], strata)
    every, marks = marked(used["label"], task)
    tests = used.loc[used["split"] == "test", "sha256"]
    return Profile(
        n_images=len(used),
        last_batch=int(batch_numbers(used).max()),
        test_n_images=int(tests.nunique()),
        test_sha256=identity(tests),
        classes={name: int(n) for name, n in zip(every, marks.sum(axis=0), strict=True)},
        facts={name: _counted(used[name]) for name in FACTS},
        least_maximum=int(used["maximum"].min()),
        edges=edges,
        medians=np.array([_shortened(median) for median in drift.medians(values)]),
        strata=dict(zip(strata, drift.counts(cells, stratum, len(strata)), strict=True)),
        nulls={
            name: drift.null(cells, stratum, parts(marks.astype(int), 1, task), unit, SEED)
            for name, unit in units(used).items()
            if name != "batch" or len(np.unique(unit)) >= FEWEST_DELIVERIES
        },
        auc={str(name): dict(zip(of["label"], of["auc"], strict=True)) for name, of in auc.groupby("property")},
        probe={row.label: {"border": row.auc, "centre": row.centre} for row in probe.itertuples()},
    )


def units(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return which image, group and delivery each row is of, as numbers."""
    return {"image": np.arange(len(rows)), "group": groups(rows), "batch": deliveries(rows)}


def groups(rows: pd.DataFrame) -> np.ndarray:
    """Return the group of each row, as a number: an image without a group is its own."""
    own = pd.Series(np.arange(len(rows)), index=rows.index).astype("str")
    group = rows["group"].where(rows["group"].fillna("") != "", "\0" + own)
    number: np.ndarray = pd.factorize(group, sort=True)[0]
    return number


def deliveries(rows: pd.DataFrame) -> np.ndarray:
    """Return the number of each row's batch, or of the first of those that one delivery was cut into.

    `ledger.with_new` cuts along the sorted SHA-256: a part is nearly full, and the next goes on where it ends. They are
    random parts of one whole, so between them is none of what makes one delivery differ from the next.
    """
    number = batch_numbers(rows)
    batches, of = np.unique(number, return_inverse=True)
    is_large = np.bincount(of, rows["bytes"].to_numpy(float), len(batches)) >= ledger.BATCH_BYTES / 2
    goes_on = is_large[:-1] & (np.diff(batches) == 1)
    asked = np.append(goes_on, False)[of] | np.insert(goes_on, 0, False)[of]
    hashes = rows["sha256"][asked].groupby(of[asked]).agg(["min", "max"]).reindex(range(len(batches)))
    is_next = np.insert(goes_on, 0, False) & (hashes["min"] > hashes["max"].shift()).to_numpy(bool)
    first: np.ndarray = batches[np.maximum.accumulate(np.where(is_next, 0, np.arange(len(batches))))]
    return first[of]


def batch_numbers(rows: pd.DataFrame) -> np.ndarray:
    """Return the number at the head of each batch's name; 0 where there is no batch."""
    codes, names = pd.factorize(rows["batch"].fillna("0"))
    numbers: np.ndarray = np.array([int(name.partition("-")[0]) for name in names], np.int64)[codes]
    return numbers


def stratum_of(label: "pd.Series[str]", strata: Iterable[str]) -> np.ndarray:
    """Return the place of each label among the strata, that of `OTHERS` if it is no other's; -1: in none."""
    places = {name: place for place, name in enumerate(strata)}
    found: np.ndarray = label.map(places).fillna(places.get(OTHERS, -1)).to_numpy(np.int64)
    return found


def marked(label: "pd.Series[str]", task: Task) -> tuple[list[str], np.ndarray]:
    """Return the class names, sorted, and which of them each image is in: bool [N, K]."""
    codes, distinct = pd.factorize(label)
    of_distinct = [labels.names(str(name), task) for name in distinct]
    every = sorted({name for names in of_distinct for name in names})
    table = np.array([[name in names for name in every] for names in of_distinct], bool).reshape(
        len(distinct), len(every)
    )
    return every, table[codes]


def parts(counts: np.ndarray, n_images: int, task: Task) -> np.ndarray:
    """Return into which parts the classes divide the images, as drift.py counts them; `counts` [..., K] of the classes.

    [..., 1, K] of a single-label set; of a multi-label one [..., K, 2]: in the class, and not.
    """
    if task == "single_label":
        return counts[..., None, :]
    return np.stack([counts, n_images - counts], axis=-1)


def identity(sha256: Iterable[str]) -> str:
    """Return one hash for a set of images, whatever their order."""
    return hashlib.sha256("\n".join(sorted(set(sha256))).encode()).hexdigest()


def _rounded(edges: np.ndarray) -> np.ndarray:
    """Return the edges as the file has them: rounding may make two of them one."""
    rounded = [np.unique([_shortened(edge) for edge in row[np.isfinite(row)]]) for row in edges]
    return np.stack([np.pad(row, (0, drift.EDGES - len(row)), constant_values=np.inf) for row in rounded])


def _shortened(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _counted(column: "pd.Series[Any]") -> dict[str, int]:
    found = column.dropna().astype("str").value_counts().sort_index()
    return {str(value): int(n) for value, n in found.items()}


def write(file: Path, profile: Profile | None) -> None:
    """Write the profile, a list of numbers on each line; None: nothing is approved."""
    text = json.dumps({} if profile is None else _plain(profile), indent=1, ensure_ascii=False, allow_nan=False)
    files.write_text(file, re.sub(r"\[[^\[\]\"{}]*\]", lambda numbers: re.sub(r"\s+", " ", numbers[0]), text) + "\n")


def _plain(profile: Profile) -> dict[str, Any]:
    names = properties.NAMES
    return asdict(profile) | {
        "format": FORMAT,
        "edges": {name: row[np.isfinite(row)].tolist() for name, row in zip(names, profile.edges, strict=True)},
        "medians": {name: float(m) for name, m in zip(names, profile.medians, strict=True) if not np.isnan(m)},
        "strata": {
            label: {name: _trimmed(row) for name, row in zip(names, counts, strict=True)}
            for label, counts in profile.strata.items()
        },
        "nulls": {
            unit: {
                "n_units": null.n_units,
                "labels": null.labels.round(4).tolist(),
                "properties": {name: row.round(4).tolist() for name, row in zip(names, null.properties, strict=True)},
            }
            for unit, null in profile.nulls.items()
        },
    }


def _trimmed(counts: np.ndarray) -> list[int]:
    last = np.flatnonzero(counts)[-1:]
    return [int(n) for n in counts[: int(last[0]) + 1 if len(last) else 0]]


def read(file: Path) -> Profile | None:
    """Return the approved profile; None: nothing is approved. Raises `AssayError` for one of another form."""
    content = files.read_json(file)
    if content == {}:
        return None
    try:
        return _profile(content)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise AssayError(
            f"{file}: damaged, or written by another version of Assay; look at the data and run `assay approve`"
        ) from None


def _profile(content: dict[str, Any]) -> Profile:
    names = properties.NAMES
    if content.pop("format", None) != FORMAT or tuple(content["edges"]) != names:
        raise ValueError("of another form")
    medians = np.array([content["medians"].get(name, np.nan) for name in names])
    arrays = {"edges": _padded(content["edges"], drift.EDGES, np.inf), "medians": medians}
    strata = {label: _padded(of, 2 * drift.EDGES + 1, 0) for label, of in content["strata"].items()}
    nulls = {
        unit: Null(
            n_units=null["n_units"],
            labels=np.array(null["labels"]),
            properties=np.array([null["properties"][name] for name in names]),
        )
        for unit, null in content["nulls"].items()
    }
    return Profile(**content | arrays | {"strata": strata, "nulls": nulls})


def _padded(rows: dict[str, list[float]], length: int, with_: float) -> np.ndarray:
    return np.stack(
        [np.pad(np.array(row, float), (0, length - len(row)), constant_values=with_) for row in rows.values()]
    )
