"""Judgement: rules held against the tables, with what is waived, and without what is set aside.

Rules about single images come first: those that break one with `quarantine: true` are set aside, if they are few enough
(quarantine.py), and all other rules see the rest.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pandas as pd

from assay.labels import Task
from assay.validation import data_tables, quarantine, run
from assay.validation.quarantine import Quarantine
from assay.validation.rules import PER_IMAGE, STEPS, Rule
from assay.validation.run import Result


@dataclass(frozen=True, kw_only=True)
class Data:
    """What is judged: the manifest, its near-duplicates, and what the images are compared with."""

    rows: pd.DataFrame
    pairs: pd.DataFrame
    task: Task
    classes: Collection[str]  # that may be, as in `data_tables.build`
    beside: data_tables.Beside | None = None

    def tables(self, aside: "pd.Series[bool] | None" = None) -> dict[str, pd.DataFrame]:
        """Return the tables of all images, or of those that are not set aside."""
        if aside is None or not aside.any():
            return data_tables.build(self.rows, self.pairs, self.task, self.classes, self.beside)
        left = data_tables.build(self.rows[~aside], self.pairs, self.task, self.classes, self.beside)
        left["pairs"] = data_tables.near_duplicates(self.pairs, self.rows, aside)
        return left


@dataclass(frozen=True, kw_only=True)
class Judgement:
    checked: list[Result]  # in the order of the rules
    quarantine: Quarantine
    left: dict[str, pd.DataFrame]  # the tables without what is set aside

    @property
    def passed(self) -> bool:
        """Whether the gate opens, but for a waiver that has run out by then."""
        upheld = all(result.success or result.severity != "critical" for result in self.checked)
        return upheld and self.quarantine.is_open


def judge(
    written: list[Rule],
    data: Data,
    whole: Mapping[str, pd.DataFrame],
    excused: Mapping[tuple[str, str], Collection[str]],
    limit: float,
) -> Judgement:
    """Return what the rules say of the data; `whole`: its tables, `excused`: names by suite and rule (waivers.py).

    `limit`: the share of all images that may be set aside beyond what rules allow, in [0, 1].
    """
    waived = {
        name
        for rule in written
        if rule.table in PER_IMAGE and rule.column in (*STEPS, "label")
        for name in excused.get((rule.suite, rule.rule), ())
    }
    of_images = run.check([rule for rule in written if rule.quarantine], whole, excused)
    found, of_images = quarantine.settle(data.rows, of_images, waived, limit)
    aside = quarantine.broken(data.rows, of_images)
    left = data.tables(aside) if found.is_open and aside.any() else dict(whole)
    of_rest = run.check([rule for rule in written if not rule.quarantine], left, excused)
    place = {id(rule): number for number, rule in enumerate(written)}
    checked = sorted([*of_images, *of_rest], key=lambda result: place[id(result.rule)])
    return Judgement(checked=checked, quarantine=found, left=left)
