"""Statistics of one image: uint8 arrays in, numbers out. `grey` is [H, W], `rgb` [H, W, 3], both in [0, 255].

Sums are those of whole numbers, so that every processor finds the same.
"""

import math

import numpy as np

END_LEVELS = 8  # how many of the 256 count as black, and as many as white: JPEG blurs the last few
CLIPPED_LEVELS = 3  # of the 256 count as the upper end of a channel: JPEG moves what was 255 by one or two
PERCENTILES = (1, 5, 50, 95, 99)
BLOCK_PX = 8  # of JPEG
# So large a share of the pixels from one block beyond a flat rest (a row of blocks may have been left half flat) to two
# is of another level. Any sky has a few flat blocks, so a small rest has to be cut off more sharply.
CUT_OFF, SMALL_CUT_OFF = 0.3, 0.6
MANY_PX = 1024
UNLIKE_LEVELS = 8
# The luminance table of JPEG at quality 50: ITU T.81, Annex K.1.
LUMINANCE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip


def _table_sums() -> np.ndarray:
    """Return the sum of libjpeg's luminance table at each quality from 1 to 100: int [100]."""
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    sums: np.ndarray = np.clip((np.outer(scale, LUMINANCE) + 50) // 100, 1, 255).sum(axis=1)
    return sums


TABLE_SUMS = _table_sums()
# Places in the copy of 16 x 16 pixels that border and centre are taken from.
_AT = np.arange(256).reshape(16, 16)
BORDER = np.concatenate([_AT[0, :-1], _AT[:-1, -1], _AT[-1, :0:-1], _AT[:0:-1, 0]])
CENTRE = np.delete(_AT[4:12, 4:12].ravel(), [0, 7, 56, 63])


def of_levels(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Return the statistics [N] of histograms [N, 256], by name.

    Mean and standard deviation are in [0, 255], entropy in bits, the rest shares and levels. A percentile is the lowest
    level that so many of a hundred pixels do not exceed.
    """
    levels, n = np.arange(256), counts.sum(axis=1)
    total, squares = (counts * levels).sum(axis=1), (counts * levels**2).sum(axis=1)
    share = counts / n[:, None]
    below = 100 * np.cumsum(counts, axis=1)
    return {
        "brightness": total / n,
        "contrast": np.sqrt(n * squares - total**2) / n,
        "entropy": -(share * np.log2(np.where(share > 0, share, 1))).sum(axis=1),
        "black_share": counts[:, :END_LEVELS].sum(axis=1) / n,
        "white_share": counts[:, -END_LEVELS:].sum(axis=1) / n,
    } | {f"p{percent}": (below < (percent * n)[:, None]).sum(axis=1) for percent in PERCENTILES}


def sharpness(grey: np.ndarray) -> float:
    """Return the standard deviation, [0, 1020], of the Laplacian of four neighbours inside a grey uint8 [H, W].

    Blur lowers it, noise raises it. 0 where no pixel has four neighbours. Pech-Pacheco et al., "Diatom autofocusing in
    brightfield microscopy" (2000).
    """
    wide = grey.astype(np.int16)
    laplacian = (4 * wide[1:-1, 1:-1] - wide[:-2, 1:-1] - wide[2:, 1:-1] - wide[1:-1, :-2] - wide[1:-1, 2:]).ravel()
    if not laplacian.size:
        return 0.0
    exact = laplacian.astype(np.float64)
    n, total, squares = laplacian.size, int(exact.sum()), int(exact @ exact)
    return math.sqrt(n * squares - total**2) / n


def noise(grey: np.ndarray) -> float:
    """Return the standard deviation of the noise, in grey levels; 0 where no pixel has eight neighbours.

    The mean absolute answer to a mask that is blind to planes: J. Immerkær, "Fast noise variance estimation" (1996).
    """
    if min(grey.shape) < 3:
        return 0.0
    answer = np.diff(np.diff(grey.astype(np.int16), 2, axis=0), 2, axis=1)
    return math.sqrt(math.pi / 2) * int(np.abs(answer).sum(dtype=np.int64)) / (6 * answer.size)


def comb(counts: np.ndarray) -> np.ndarray:
    """Return how far the counts [N, 256] of the levels are from those of their neighbours, over all: [N], in [0, 2].

    Brightness or contrast that is changed after the pixels became whole numbers makes some levels hold two of those
    before, and others none. What is clipped, at both ends, is left out.
    """
    uneven = np.abs(2 * counts[:, 1:-1] - counts[:, :-2] - counts[:, 2:]).sum(axis=1)
    share: np.ndarray = uneven / (2 * counts.sum(axis=1))
    return share


def blockiness(grey: np.ndarray) -> float | None:
    """Return how many times larger the steps on the 8 px grid are than those within its blocks, or None below 16 px.

    The grid begins at the first pixel. One level is added to both, so that it is 1 where there are no steps. Wang,
    Bovik and Evans, "Blind measurement of blocking artifacts in images" (2000), without their frequencies.
    """
    if min(grey.shape) < 2 * BLOCK_PX:
        return None
    wide = grey.astype(np.int16)
    steps = [np.abs(np.diff(wide, axis=1)), np.abs(np.diff(wide, axis=0)).T]
    edges = [each[:, BLOCK_PX - 1 :: BLOCK_PX] for each in steps]
    total, n = sum(int(each.sum(dtype=np.int64)) for each in steps), sum(each.size for each in steps)
    on_grid, n_on_grid = sum(int(each.sum(dtype=np.int64)) for each in edges), sum(each.size for each in edges)
    return (1 + on_grid / n_on_grid) / (1 + (total - on_grid) / (n - n_on_grid))


def flat_share(grey: np.ndarray) -> float:
    """Return the share of rows, or of columns if it is more, at one edge that are all of one level and cut off.

    Where a decoder stopped, the rest of a picture is such; black bars and white margins are not, and a sky or a wall
    is not cut off: beyond its last row much of the picture is still of its level. Nor is the ground on which a thing
    was pasted, which is there at the opposite edge too.
    """
    return max(_flat_rows(side) for side in (grey, grey[::-1], grey.T, grey.T[::-1]))


def _flat_rows(grey: np.ndarray) -> float:
    """Return the share of the rows that are flat and cut off, of those from the first on."""
    level = int(grey[0, 0])
    if not END_LEVELS <= level < 256 - END_LEVELS or (grey[0] != level).any():
        return 0.0
    if 2 * np.count_nonzero(grey[-1] == level) > grey.shape[1]:
        return 0.0
    is_flat = (grey == level).all(axis=1)
    n_flat = int(is_flat.argmin())  # 0 where all are: that is a constant image
    beyond = grey[n_flat + BLOCK_PX : n_flat + 2 * BLOCK_PX + 1] if n_flat + BLOCK_PX < len(grey) else grey[-1:]
    is_unlike = np.abs(beyond.astype(np.int16) - level) > UNLIKE_LEVELS
    needed = CUT_OFF if n_flat * grey.shape[1] >= MANY_PX else SMALL_CUT_OFF
    return n_flat / len(grey) if np.count_nonzero(is_unlike) >= needed * is_unlike.size else 0.0


def of_colours(planes: np.ndarray) -> dict[str, float]:
    """Return the mean of each of the planes red, green and blue, uint8 [3, H, W], and what they say together.

    The means are in [0, 255]; the saturation and the share of clipped pixels in [0, 1]. Saturation is the mean S of
    HSV; black has none. A pixel is clipped if a channel has reached its upper end: what was brighter there is lost, and
    its colour with it; a white object reaches the end in all channels at once.
    """
    red, green, blue = planes
    high, low = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    sums = planes.sum(axis=(1, 2), dtype=np.int64).tolist()
    return {name: total / red.size for name, total in zip(("red", "green", "blue"), sums, strict=True)} | {
        "saturation": float(((high - low) / np.maximum(high, 1)).mean()),
        "clipped_share": int(np.count_nonzero(high >= 256 - CLIPPED_LEVELS)) / high.size,
    }


def border_and_centre(thumbnail: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the outermost pixels of a thumbnail [32, 32] at half its size, and as many in its middle: uint8 [60] each.

    The border clockwise from the left upper corner; the middle is 8 x 8 without its corners, row by row.
    """
    wide = thumbnail.astype(np.uint16)
    half = (wide[::2, ::2] + wide[1::2, ::2] + wide[::2, 1::2] + wide[1::2, 1::2] + 2) // 4
    small = half.astype(np.uint8).ravel()
    return small[BORDER], small[CENTRE]


def jpeg_quality(table: list[int]) -> int:
    """Return the quality, [1, 100], at which libjpeg writes the luminance table [64] whose sum is nearest.

    Other writers have other tables and scales; the number then orders theirs.
    """
    return int(np.abs(TABLE_SUMS - sum(table)).argmin()) + 1
