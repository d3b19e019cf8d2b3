"""The pairs of images that show one picture, and the limit below which two do."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from assay import files
from assay.ingestion import candidates, near_duplicates, scan, turns
from assay.ingestion.near_duplicates import Look

SEED = 0  # of the pairs that the limit of near-duplicates is measured on


def read_limit(file: Path) -> dict[str, Any]:
    """Return what decides which images are near-duplicates: see `find`."""
    limit: dict[str, Any] = files.read_json(file) if file.exists() else {}
    return limit if "radius" in limit else {"n_images": 0}


def find(
    measured: pd.DataFrame, facts: pa.Table, limit: dict[str, Any], remembered: Path
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the pairs as `sha256`, `partner`, `distance` and `turned`, and their limit.

    One content stands for all with equal pixels. `turned` says how the one lies beside the other, in words, empty if as
    it does; such pairs must be nearer than others (`turns.STRICTER`), and those of two labels are none: an arrow to the
    left is one to the right, mirrored. The limit is the `distance` below which two are one picture, with the `radius`
    and `middle` of `near_duplicates.Look`, and those of `turned` copies. It stays until the images are twice
    `n_images`, so that growth does not change what is a near-duplicate.
    """
    columns = ["path", "sha256", "pixels", "label", "fact"]
    one_each = measured.loc[measured["pixels"].notna(), columns].drop_duplicates("pixels").sort_values("sha256")
    thumbnails = scan.Thumbnails(facts, one_each["fact"].to_numpy(np.int64))
    if len(thumbnails) >= 2 * limit["n_images"]:
        in_order = scan.Thumbnails(facts, one_each.sort_values("path")["fact"].to_numpy(np.int64))
        limit = {"distance": round(near_duplicates.calibrate(in_order, SEED), 6), "n_images": len(thumbnails)}
        limit |= asdict(near_duplicates.look(thumbnails))
    if "turned" not in limit:  # measured anew, or by a version that did not look for such
        limit = limit | {"turned": asdict(turns.look(thumbnails))}
    pixels, one_each = one_each["pixels"], one_each[["sha256", "label"]]
    upright = candidates.upright(thumbnails, _look(limit))
    in_turns = candidates.in_turns(thumbnails, _look(limit["turned"]))
    alike = _confirmed(candidates.candidates(upright, pixels, remembered), one_each, limit["distance"])
    others = candidates.candidates(in_turns, pixels, remembered / "turned")
    turned = _confirmed(others, one_each, limit["distance"] / turns.STRICTER)
    found = pd.concat([alike, turned[turned["one_label"]]]).drop(columns="one_label")
    return found.drop_duplicates(["sha256", "partner"], ignore_index=True), limit


def _look(limit: dict[str, Any]) -> Look:
    return Look(tuple(limit["middle"]), limit["radius"])


def _confirmed(found: tuple[np.ndarray, np.ndarray, np.ndarray], images: pd.DataFrame, limit: float) -> pd.DataFrame:
    """Return the candidates that are no further apart than the limit, and whether they can have one label."""
    pairs, distance, turn = (each[found[1] <= limit] for each in found)
    first, second = (images.iloc[pairs[:, side]].reset_index(drop=True) for side in (0, 1))
    rows = pd.DataFrame(
        {
            "sha256": first["sha256"],
            "partner": second["sha256"],
            "distance": distance.round(4),
            "turned": [turns.NAMES[each] for each in turn],
            "one_label": (first["label"] == second["label"]) | first["label"].isna() | second["label"].isna(),
        }
    )
    return rows.astype({"sha256": "str", "partner": "str", "turned": "str"})
