"""The approved profile, data/approved.json: what the images are like that a person has accepted.

It is a few kilobytes in git and says nothing of any single image; new images are held against it, never against those
of yesterday, so that a slow change is seen too. The same images give the same bytes.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from assay import files
from assay.errors import AssayError
from assay.labels import Task
from assay.validation.profile import distance, properties
from assay.validation.profile.distance import Null
from assay.validation.profile.strata import OTHERS, STRATA, batch_numbers, identity, marked, parts, stratum_of, units

FORMAT = 2  # of the file
SEED = 0  # of the redraws
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
    edges: np.ndarray  # [P, K], see distance.py; P as in `properties.NAMES`
    medians: np.ndarray  # [P], NaN where no image has the property
    strata: dict[str, np.ndarray]  # by label: counts [P, C]
    nulls: dict[str, Null]  # by what was drawn whole: image, group, batch (all of a delivery, see `deliveries`)
    auc: dict[str, dict[str, float]]  # by property and class, see shortcuts.py
    probe: dict[str, dict[str, float]]  # by class: of the border, of the centre, of one pixel


def build(rows: pd.DataFrame, task: Task, auc: pd.DataFrame, probe: pd.DataFrame) -> Profile:
    """Return the profile of the rows of a manifest that have a split; `auc`, `probe`: of shortcuts.py.

    Raises `AssayError` if there are none.
    """
    used = rows[rows["split"].notna()].sort_values("path", ignore_index=True)
    if used.empty:
        raise AssayError("approve: no image has a split, so there is nothing to approve; run `dvc repro` and look")
    values = properties.values(used)
    edges = _rounded(distance.edges(values))
    cells = distance.cells(values, edges)
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
        medians=np.array([_shortened(median) for median in distance.medians(values)]),
        strata=dict(zip(strata, distance.counts(cells, stratum, len(strata)), strict=True)),
        nulls={
            name: distance.null(cells, stratum, parts(marks.astype(int), 1, task), unit, SEED)
            for name, unit in units(used).items()
            if name != "batch" or len(np.unique(unit)) >= FEWEST_DELIVERIES
        },
        auc={str(name): dict(zip(of["label"], of["auc"], strict=True)) for name, of in auc.groupby("property")},
        probe={row.label: {"border": row.auc, "centre": row.centre, "place": row.place} for row in probe.itertuples()},
    )


def _rounded(edges: np.ndarray) -> np.ndarray:
    """Return the edges as the file has them: rounding may make two of them one."""
    rounded = [np.unique([_shortened(edge) for edge in row[np.isfinite(row)]]) for row in edges]
    return np.stack([np.pad(row, (0, distance.EDGES - len(row)), constant_values=np.inf) for row in rounded])


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
    arrays = {"edges": _padded(content["edges"], distance.EDGES, np.inf), "medians": medians}
    strata = {label: _padded(of, 2 * distance.EDGES + 1, 0) for label, of in content["strata"].items()}
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
