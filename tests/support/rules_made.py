"""The shipped rules, held against made tables."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from asked import probed, question
from cases import Case, write_data
from checkouts import ROOT
from rule_cases import CASES

from assay.dataset import manifest, splits
from assay.validation import data_tables, run, suites
from assay.validation import rules as validation_rules
from assay.validation.profile import approved, shortcuts
from assay.validation.rules import Rule

RULES = suites.read(
    ROOT / "expectations", validation_rules.OF_DATA
)  # tests/tasks/test_verify.py breaks those of the records
Tables = dict[str, pd.DataFrame]
Build = Callable[[str], Tables]


def for_classes(classes: Iterable[str]) -> list[Rule]:
    """Return the rules with these in the place of the known classes."""

    def arguments(rule: Rule) -> dict[str, Any]:
        known = {"value_set": list(classes)} if rule.column == "label" and "value_set" in rule.arguments else {}
        return rule.arguments | known

    here = f"{ROOT}/"
    return [replace(rule, arguments=arguments(rule), where=rule.where.removeprefix(here)) for rule in RULES]


def build(folder: Path, case: Case) -> Tables:
    """Return the tables of a case as `validate` builds them, by way of the files."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shortcuts, "probe", probed)
        return _built(folder, case)


def _built(folder: Path, case: Case) -> Tables:
    write_data(folder, case)
    data = folder / "data"
    beside = data_tables.Beside(
        approved=approved.read(data / "approved.json"),
        ledger=splits.read(data / "ledger.csv"),
        pixels=manifest.read_pixels(data / "manifest.parquet"),
    )
    rows, pairs = manifest.read(data / "manifest.parquet"), pq.read_table(data / "pairs.parquet").to_pandas()
    return data_tables.build(rows, pairs, case.task, case.classes, beside)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return a function that gives the tables of a case, built once."""
    done: dict[str, Tables] = {}

    def of_case(name: str) -> Tables:
        if name not in done:
            done[name] = build(tmp_path_factory.mktemp("case"), CASES[name])
        return done[name]

    return of_case


HELD: set[tuple[str, str]] = set()


def broken(rules: list[Rule], built: Tables) -> dict[str, run.Result]:
    """Return the results of the rules that do not hold, in their order.

    One that held is not asked again about the same values of its columns: most cases differ from each other in one or
    two columns, and Great Expectations takes long to ask.
    """
    found = {}
    for rule in rules:
        rows = built[rule.table]
        key = question(rule, rows, [*rule.columns, *(name for name in validation_rules.STEPS if name in rows)])
        if key in HELD:
            continue
        (result,) = run.check([rule], built)
        if result.success:
            HELD.add(key)
        else:
            found[rule.rule] = result
    return found


def names(results: dict[str, run.Result]) -> dict[str, list[str]]:
    return {rule: result.failing["name"].head(10).tolist() for rule, result in results.items()}
