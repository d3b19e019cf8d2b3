"""Every rule of expectations/ is broken by the smallest data that break it, says so, and without it they pass.

They are asked in this process, about the tables that `validate` would build; tests/test_validate.py runs the stage.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from cases import CASES, Case, sound, write_data
from conftest import ROOT

from assay import expectations, ledger, manifest, profile, suites, tables
from assay.suites import Rule

RULES = suites.read(ROOT / "expectations", suites.OF_DATA)  # tests/test_verify.py breaks those of the records
WARNINGS = {rule.rule for rule in RULES if rule.severity != "critical"}

SOUND = Case(table=sound(), broken={}, said="")
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
    write_data(folder, case)
    data = folder / "data"
    beside = tables.Beside(
        approved=profile.read(data / "approved.json"),
        ledger=ledger.read(data / "ledger.csv"),
        pixels=manifest.read_pixels(data / "manifest.parquet"),
    )
    rows, pairs = manifest.read(data / "manifest.parquet"), pq.read_table(data / "pairs.parquet").to_pandas()
    return tables.build(rows, pairs, case.task, case.classes, beside)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Return a function that gives the tables of a case, built once."""
    done: dict[str, Tables] = {}

    def of_case(name: str) -> Tables:
        if name not in done:
            done[name] = build(tmp_path_factory.mktemp("case"), CASES[name])
        return done[name]

    return of_case


HELD: set[str] = set()


def broken(rules: list[Rule], built: Tables) -> dict[str, expectations.Result]:
    """Return the results of the rules that do not hold, in their order.

    One that held is not asked again about the same values of its columns: most cases differ from each other in one or
    two columns, and Great Expectations takes long to ask.
    """
    found = {}
    for rule in rules:
        columns = dict.fromkeys([*rule.columns, *(name for name in suites.STEPS if name in built[rule.table])])
        content = built[rule.table][list(columns)].to_csv() if columns else str(len(built[rule.table]))
        key = hashlib.sha256(f"{rule}\0{content}".encode()).hexdigest()
        if key in HELD:
            continue
        (result,) = expectations.check([rule], built)
        if result.success:
            HELD.add(key)
        else:
            found[rule.rule] = result
    return found


def names(results: dict[str, expectations.Result]) -> dict[str, list[str]]:
    return {rule: result.failing["name"].head(10).tolist() for rule, result in results.items()}


@pytest.mark.parametrize("case", CASES)
def test_broken_rule_names_its_rows_and_its_limit(built: Build, case: str) -> None:
    results = broken(for_classes(CASES[case].classes), built(case))
    assert names(results) == CASES[case].broken
    assert results[next(iter(CASES[case].broken))].message.startswith(CASES[case].said)
    assert {rule for rule, result in results.items() if result.severity != "critical"} == set(results) & WARNINGS


@pytest.mark.parametrize("rule", [rule.rule for rule in RULES if rule.rule != "images at all"])
def test_without_a_rule_what_breaks_it_passes(built: Build, rule: str) -> None:
    """The mutation test of the suites: the case that breaks the fewest other rules is caught by this one."""
    cases = [name for name, case in CASES.items() if rule in case.broken]
    assert cases, f"{rule}: no case of CASES breaks it"
    fewest = min(cases, key=lambda name: len(CASES[name].broken))
    others = {name: rows for name, rows in CASES[fewest].broken.items() if name != rule}
    without = suites.related([each for each in for_classes(CASES[fewest].classes) if each.rule != rule])
    left = names(broken(without, built(fewest)))
    if rule == "label present":  # then missing labels break every other rule on labels
        assert set(left) == {"known class", "one spelling"}
        return
    assert left == others
    # Without its images a class is absent in every split too.
    assert set(others) <= WARNINGS or rule == "every known class"


def test_sound_images_break_no_rule(tmp_path: Path) -> None:
    assert broken(for_classes(SOUND.classes), build(tmp_path, SOUND)) == {}
