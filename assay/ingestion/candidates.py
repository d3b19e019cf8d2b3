"""Candidates for near-duplicates, looked for once: growth compares the new images with all, and no two old ones again.

The memo is two tables: the distance of every pair of candidates, and the hashes of the images that were compared with
all others. The second holds only beside the pairs that were found with it.
"""

import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from assay.compute import fingerprint, memo
from assay.ingestion import chunk, hamming, near_duplicates, turns
from assay.ingestion.near_duplicates import Look, Thumbnails

CODE = (*chunk.CODE, hamming, near_duplicates, turns)
PAIRS = pa.schema([("first", pa.uint64()), ("second", pa.uint64()), ("distance", pa.float64()), ("turn", pa.uint8())])
DIGITS = 16  # of the hash over the pixels: two pictures that share them by chance would have to be candidates too


@dataclass(frozen=True)
class Search:
    """A look for candidates: how images are hashed, and what is measured of a pair: its distance and its turn."""

    thumbnails: Thumbnails
    how: Look
    n_codes: int
    codes: Callable[[np.ndarray], np.ndarray]  # of those that [M] names: [n_codes, M]
    measured: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def upright(thumbnails: Thumbnails, how: Look) -> Search:
    def measured(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return near_duplicates.distance(thumbnails, pairs), np.zeros(len(pairs), np.uint8)

    codes = partial(near_duplicates.codes, thumbnails, middle=how.middle)
    return Search(thumbnails, how, len(near_duplicates.WAVES), codes, measured)


def in_turns(thumbnails: Thumbnails, how: Look) -> Search:
    return Search(thumbnails, how, 1, partial(turns.codes, thumbnails, how=how), partial(turns.closest, thumbnails))


def candidates(search: Search, pixels: Collection[str], remembered: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the candidates [P, 2], and the distance and the turn [P] of each.

    `pixels`: the hash over the pixels of each image [N], as the manifest has it, none twice. What `remembered` knows is
    neither looked for nor measured again.
    """
    names = np.fromiter((int(each[:DIGITS], 16) for each in pixels), np.uint64, len(pixels))
    known, searched = _known_pairs(remembered), _searched(search, remembered)
    codes, is_old = _codes(search, names, searched)
    star, is_listed = hamming.stars(codes[0])
    listed = np.flatnonzero(is_listed)
    new = listed[hamming.search(codes[:, listed], ~is_old[listed], search.how.radius)]
    pairs = hamming.ordered(np.concatenate([star, _among(known, names, is_old & is_listed), new]), len(names))
    distance, turn = _measured(search, names, pairs, known, remembered)
    if set(searched["name"].to_numpy()) != set(names[listed]) or not len(_searched(search, remembered)):
        # After a kill there are none, and not those of before beside the new ones: the two were never compared.
        shutil.rmtree(remembered / "hashes", ignore_errors=True)
        rows = pa.table([names[listed], *codes[:, listed]], _hashes(search))
        memo.write(remembered / "hashes", rows, _made_by(search, remembered))
    return pairs, distance, turn


def _hashes(search: Search) -> pa.Schema:
    return pa.schema([("name", pa.uint64()), *((f"code_{v}", pa.uint64()) for v in range(search.n_codes))])


def _known_pairs(remembered: Path) -> pd.DataFrame:
    found = memo.read(remembered, PAIRS, fingerprint.fingerprint(CODE)).to_pandas()
    return found.drop_duplicates(["first", "second"])


def _made_by(search: Search, remembered: Path) -> str:
    """Return what the hashes hold for: a look, and the pairs as they are on the disk."""
    parts = [memo.stamp(str(file)) for file in sorted(remembered.glob("*.arrow"))]
    return f"{fingerprint.fingerprint(CODE)} {search.how} {parts}"


def _searched(search: Search, remembered: Path) -> pa.Table:
    return memo.read(remembered / "hashes", _hashes(search), _made_by(search, remembered))


def _codes(search: Search, names: np.ndarray, searched: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Return the hashes [V, N], and which images were compared with all others before: bool [N]."""
    place = _places(searched["name"].to_numpy(), names)
    is_old, found = place >= 0, np.empty((search.n_codes, len(names)), np.uint64)
    found[:, is_old] = np.stack([column.to_numpy()[place[is_old]] for column in searched.columns[1:]])
    found[:, ~is_old] = search.codes(np.flatnonzero(~is_old))
    return found, is_old


def _places(among: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the index in `among` of each wanted number, -1 where it is not there."""
    if not len(among):
        return np.full(len(wanted), -1)
    order = np.argsort(among, kind="stable")
    at = order[np.searchsorted(among, wanted, sorter=order).clip(max=len(among) - 1)]
    place: np.ndarray = np.where(among[at] == wanted, at, -1)
    return place


def _among(known: pd.DataFrame, names: np.ndarray, is_old: np.ndarray) -> np.ndarray:
    """Return the known pairs [P, 2] of images that are both old, as places among `names`."""
    both = np.stack([_places(names, known[side].to_numpy()) for side in ("first", "second")], axis=1)
    both = both[(both >= 0).all(axis=1)]
    found: np.ndarray = both[is_old[both].all(axis=1)]
    return found


def _measured(
    search: Search, names: np.ndarray, pairs: np.ndarray, known: pd.DataFrame, remembered: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances and the turns [P]; those of pairs that are not known are measured, all are remembered."""
    wanted = pd.DataFrame({"first": names[pairs[:, 0]], "second": names[pairs[:, 1]]})
    found = wanted.merge(known, on=["first", "second"], how="left")
    distance, turn = found["distance"].to_numpy(copy=True), found["turn"].fillna(0).to_numpy(np.uint8, copy=True)
    new = np.isnan(distance)
    distance[new], turn[new] = search.measured(pairs[new])
    if new.any() or len(known) != len(wanted):
        rows = pa.Table.from_pandas(wanted.assign(distance=distance, turn=turn), PAIRS, preserve_index=False)
        memo.write(remembered, rows, fingerprint.fingerprint(CODE))
    return distance, turn
