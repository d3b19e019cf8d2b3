"""Quarantine: few images that break a rule about single images are set aside, and the gate stays open for the rest."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd

from assay.expectations import Result


@dataclass(frozen=True, kw_only=True)
class Quarantine:
    limit: float  # share of all images, in [0, 1]: gate.max_quarantined_share
    n_images: int  # that break such a rule
    share: float
    paths: tuple[str, ...]  # of those that have a split and must not be used; none if they are too many

    @property
    def is_open(self) -> bool:
        return self.share <= self.limit


def broken(rows: pd.DataFrame, results: Iterable[Result]) -> "pd.Series[bool]":
    """Say of each row of the manifest whether it breaks one of the rules that set images aside."""
    aside = pd.Series(False, index=rows.index)
    for result in results:
        if result.rule.table == "images":  # by place: a path that is listed twice has a good row and a bad one
            aside[result.failing.index] = True
        else:
            aside |= rows["path"].isin(result.failing["name"])
    return aside


def settle(
    rows: pd.DataFrame, results: Iterable[Result], aside: "pd.Series[bool]", limit: float
) -> tuple[Quarantine, list[Result]]:
    """Return what is set aside, and the results with the rules upheld if that is within the limit.

    `results` are those of the rules with `quarantine: true`, `aside` is what `broken` says of them.
    """
    share = int(aside.sum()) / max(len(rows), 1)
    used = sorted(rows.loc[aside & rows["split"].notna(), "path"]) if share <= limit else []
    found = Quarantine(limit=limit, n_images=int(aside.sum()), share=share, paths=tuple(used))
    return found, [replace(each, success=found.is_open) if len(each.failing) else each for each in results]
