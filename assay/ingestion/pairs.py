"""The pairs of images that show one picture, and the limit below which two do."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from assay import files
from assay.ingestion import candidates, near_duplicates, scan

SEED = 0  # of the pairs that the limit of near-duplicates is measured on


def read_limit(file: Path) -> dict[str, Any]:
    """Return what decides which images are near-duplicates: see `find`."""
    limit: dict[str, Any] = files.read_json(file) if file.exists() else {}
    return limit if "radius" in limit else {"n_images": 0}


def find(
    measured: pd.DataFrame, facts: pa.Table, limit: dict[str, Any], remembered: Path
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the pairs as `sha256`, `partner` and `distance`, one content for all with equal pixels, and their limit.

    The limit is the `distance` below which two are one picture, with the `radius` and `middle` of
    `near_duplicates.Look`. It stays until the images are twice `n_images`, so that growth does not change what is a
    near-duplicate.
    """
    one_each = measured[measured["pixels"].notna()].drop_duplicates("pixels").sort_values("sha256")
    thumbnails = scan.Thumbnails(facts, one_each["fact"].to_numpy(np.int64))
    if len(thumbnails) >= 2 * limit["n_images"]:
        in_order = scan.Thumbnails(facts, one_each.sort_values("path")["fact"].to_numpy(np.int64))
        limit = {"distance": round(near_duplicates.calibrate(in_order, SEED), 6), "n_images": len(thumbnails)}
        limit |= asdict(near_duplicates.look(thumbnails))
    how = near_duplicates.Look(tuple(limit["middle"]), limit["radius"])
    pairs, distance = candidates.candidates(thumbnails, one_each["pixels"], how, remembered)
    pairs, distance = pairs[distance <= limit["distance"]], distance[distance <= limit["distance"]]
    sha256 = one_each["sha256"].to_numpy()
    found = {"sha256": sha256[pairs[:, 0]], "partner": sha256[pairs[:, 1]], "distance": distance.round(4)}
    return pd.DataFrame(found).astype({"sha256": "str", "partner": "str"}), limit
