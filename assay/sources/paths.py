"""Paths of a table's rows beside those of the files: how they differ, where one way of writing tells all apart."""

import posixpath
import unicodedata
from collections.abc import Callable, Collection
from itertools import combinations

LOOKED_AT = 1000  # rows
MOST_ABOVE = 8  # folders that stand before the paths of the rows, or of the files
ENOUGH = 0.9  # of the rows that name no file

WAYS: dict[str, Callable[[str], str]] = {
    "`/` for `\\`": lambda path: path.replace("\\", "/"),
    "accents written as in the names of the files (NFC and NFD look alike)": lambda path: unicodedata.normalize(
        "NFC", path
    ),
    "the case of the files": str.casefold,
    "the suffix of the files": lambda path: posixpath.splitext(path)[0],
}


def difference(rows: Collection[str], there: Collection[str]) -> tuple[str, str, str] | None:
    """Return how the paths of rows differ from those that are there, a row, and the file that it means.

    The least that must be changed so that nine of ten rows name one file and no other. None: no such change is known.
    """
    some = list(rows)[:: max(1, len(rows) // LOOKED_AT)]
    for n_ways in range(len(WAYS) + 1):
        for ways in combinations(WAYS, n_ways):
            for said, cut_row, cut_file in _prefixes(some, ways):
                known = {cut_file(_written(path, ways)): path for path in there}
                found = [(row, known.get(cut_row(_written(row, ways)))) for row in some]
                meant = [(row, file) for row, file in found if file and file != row]
                if len({file for _, file in meant}) >= ENOUGH * len(some) > 0:
                    return " and ".join([*ways, *([said] if said else [])]), *meant[0]
    return None


def _written(path: str, ways: Collection[str]) -> str:
    for way in ways:
        path = WAYS[way](path)
    return path


Cut = Callable[[str], str]


def _prefixes(rows: list[str], ways: Collection[str]) -> list[tuple[str, Cut, Cut]]:
    """Return what may stand before the paths: in words, and what takes it off those of the rows, and of the files."""
    whole: Cut = str
    found: list[tuple[str, Cut, Cut]] = [("", whole, whole)]
    for n in range(1, MOST_ABOVE + 1):
        before = {"/".join(_written(row, ways).split("/")[:n]) for row in rows}
        if len(before) == 1:
            found.append((f"without {min(before)!r} before them", _without(n), whole))
    return [*found, ("with the folder that they lie in before them", whole, _without(1))]


def _without(n: int) -> Cut:
    return lambda path: "/".join(path.split("/")[n:])
