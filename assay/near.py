"""Distances of pairs of images, measured once: growth measures those of the new images only."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from assay import chunk, code, memo, neighbours

CODE = (*chunk.CODE, neighbours)
PAIRS = pa.schema([("first", pa.uint64()), ("second", pa.uint64()), ("distance", pa.float64())])
DIGITS = 16  # of the hash over the pixels: two pictures that share them by chance would have to be candidates too


def distances(
    thumbnails: neighbours.Thumbnails, pixels: "pd.Series[str]", pairs: np.ndarray, remembered: Path
) -> np.ndarray:
    """Return `neighbours.distance` of the pairs [P]; those that `remembered` knows are not measured again.

    `pixels`: the hash over the pixels of each image [N], as the manifest has it.
    """
    made_by = code.fingerprint(CODE)
    names = np.array([int(each[:DIGITS], 16) for each in pixels], np.uint64)
    wanted = pd.DataFrame({"first": names[pairs[:, 0]], "second": names[pairs[:, 1]]})
    known = memo.read(remembered, PAIRS, made_by).to_pandas().drop_duplicates(["first", "second"])
    found: np.ndarray = wanted.merge(known, on=["first", "second"], how="left")["distance"].to_numpy(copy=True)
    new = np.isnan(found)
    found[new] = neighbours.distance(thumbnails, pairs[new])
    if new.any() or len(known) != len(wanted):
        memo.write(
            remembered, pa.Table.from_pandas(wanted.assign(distance=found), PAIRS, preserve_index=False), made_by
        )
    return found
