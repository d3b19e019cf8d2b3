"""Quarantine: few images that break a rule about single images are set aside, and the gate stays open for the rest.

Every image that cannot be used counts, whatever the severity of the rules: one that cannot be read or has no label is
not used even where no rule minds. What a waiver names does not count, nor do so many as a rule allows by `allowed`.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import pandas as pd

from assay.validation.run import Result


@dataclass(frozen=True, kw_only=True)
class Quarantine:
    limit: float  # share of all images, in [0, 1]: gate.max_quarantined_share
    n_images: int  # that cannot be used, or break such a rule
    n_allowed: int  # of them: those that a rule allows
    share: float  # of all images: those beyond what is allowed
    paths: tuple[str, ...]  # of those that have a split and must not be used; none if they are too many

    @property
    def is_open(self) -> bool:
        return self.share <= self.limit


def broken(rows: pd.DataFrame, results: Iterable[Result], *, beyond: bool = False) -> "pd.Series[bool]":
    """Say of each row of the manifest whether it breaks one of the rules that set images aside.

    `beyond`: whether it is one of those that break a rule beyond the number that the rule allows.
    """
    aside = pd.Series(False, index=rows.index)
    for result in results:
        failing = result.failing.iloc[result.rule.allowed if beyond else 0 :]
        if result.rule.table == "images":  # by place: a path that is listed twice has a good row and a bad one
            aside[failing.index] = True
        else:
            aside |= rows["path"].isin(failing["name"])
    return aside


def unusable(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Say of each row of the manifest whether it cannot be read or has no label."""
    return ~rows["decodable"].astype("bool") | rows["label"].isna()


def settle(
    rows: pd.DataFrame, results: Iterable[Result], waived: Collection[str], limit: float
) -> tuple[Quarantine, list[Result]]:
    """Return what is set aside, and the results with the rules upheld if that is within the limit.

    `results` are those of the rules with `quarantine: true`, `waived` the paths that a waiver names.
    """
    results = list(results)
    aside = broken(rows, results)
    unseen = unusable(rows) & ~aside & ~rows["path"].isin(waived)
    n_beyond = int((broken(rows, results, beyond=True) | unseen).sum())
    n_images = int((aside | unseen).sum())
    share = n_beyond / max(len(rows), 1)
    used = sorted(rows.loc[aside & rows["split"].notna(), "path"]) if share <= limit else []
    found = Quarantine(limit=limit, n_images=n_images, n_allowed=n_images - n_beyond, share=share, paths=tuple(used))
    return found, [replace(each, success=found.is_open) if len(each.failing) else each for each in results]
