"""What of an image's file is not used: levels that no image of its kind reaches, frames after the first.

Pure: a manifest in, columns of text out, empty where all is used.
"""

import pandas as pd

MANY = 10  # images of one depth: of fewer all may be dark
LEAST = 64  # of 255, which the brightest of them reaches: a quarter of the levels, which two bits less would be


def levels(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return what part of the levels of its depth any image uses, where that is less than a quarter.

    Cameras of 10, 12 or 14 bits write their values into files of 16 as they are: 16 levels of 256 are left of 12 bits.
    """
    said = pd.Series("", index=rows.index)
    seen = rows[rows["decodable"].astype(bool)]
    for depth, maximum in seen.dropna(subset=["maximum"]).groupby("bit_depth")["maximum"]:
        most = int(maximum.max())
        if len(maximum) >= MANY and most < LEAST:
            part = 2 ** (8 - max(1, most.bit_length()))
            left = f"{most + 1} of 256 are left"
            said[maximum.index] = f"of {2 ** int(depth):,} levels only the lowest 1/{part} are used: {left}"
    return said


def frames(rows: pd.DataFrame) -> "pd.Series[str]":
    """Return how many frames or pages there are, where only the first is read; of a JPEG the others are previews."""
    several = rows["decodable"].astype(bool) & (rows["n_frames"].fillna(1) > 1) & (rows["format"] != "JPEG")
    return ("the first of " + rows["n_frames"].astype("str")).where(several, "")
