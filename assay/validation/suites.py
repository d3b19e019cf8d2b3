"""The suites of expectations/: what the data must be, read and checked to the last key.

A suite is a YAML file: `table`, and `expectations`, a list of {rule, type, severity, note, arguments of the type}; an
expectation may name another `table` than its file does. `TABLES` says what the tables hold. The types are those of
Great Expectations and of assay/validation/custom_expectations.py.

`quarantine: true` at a critical rule about single images: those that break it are set aside, and the gate closes only
when they are more than `gate.max_quarantined_share` (params.yaml) of all.

`allowed: 59` at a rule about rows: so many may break it, as did when somebody counted them. A number and no share, so
that it does not grow with the set.
"""

import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

from assay import files
from assay.errors import AssayError
from assay.validation.gx import great_expectations, implementation
from assay.validation.rules import PER_IMAGE, SEVERITIES, TABLES, WAIVERS, Rule, related
from assay.words import check_known

OUR_KEYS = ("rule", "table", "type", "severity", "note", "quarantine", "allowed")
# Arguments of every type that a suite must not set: ours to fill, or, like row_condition, known to name wrong rows
# (github.com/fivetran/great_expectations/issues/3666).
NOT_FOR_SUITES = {
    *(
        "batch_id",
        "catch_exceptions",
        "column_index",
        "condition_parser",
        "description",
        "id",
        "library_metadata",
        "meta",
        "notes",
    ),
    *("rendered_content", "result_format", "row_condition", "severity", "windows"),
}


def read(folder: Path, tables: Collection[str] = TABLES) -> list[Rule]:
    """Return the rules of all suites on these tables, sorted by file, in the order of each.

    A mistake in any suite is an `AssayError`, and so is a folder that leaves nothing to check.
    """
    if other := sorted(folder.glob("*.yml")):
        raise AssayError(f"{other[0]}: would not be read; rename it to {other[0].stem}.yaml")
    suites = sorted(file for file in folder.glob("*.yaml") if file.name != WAIVERS)
    if not suites:
        raise AssayError(f"{folder}: no suite in it, must hold at least one .yaml (params.yaml: paths.expectations)")
    rules = [rule for file in suites for rule in _read_suite(file) if rule.table in tables]
    if not rules:
        raise AssayError(f"{folder}: no expectation about {', '.join(tables)}, so nothing would be checked")
    return related(rules)


def _read_suite(file: Path) -> list[Rule]:
    suite = files.read_yaml(file)
    if file.stem == "passed":
        raise AssayError(f"{file}: a suite cannot be named 'passed', for metrics/gate.json says so of all; rename it")
    if not isinstance(suite, dict):
        raise AssayError(f"{file}: holds no keys, must hold table and expectations")
    for key in suite:
        check_known(f"{file}: key", key, ("table", "expectations"))
    check_known(f"{file}: table", suite.get("table"), TABLES)
    entries = suite.get("expectations")
    if not isinstance(entries, list) or not entries:
        raise AssayError(f"{file}: expectations: none, must be a list of at least one")
    rules = [rule(file, suite["table"], entry, number) for number, entry in enumerate(entries, start=1)]
    names = [each.rule for each in rules]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise AssayError(f"{file}: {twice[0]}: rule: {names.count(twice[0])} of this name, must be one")
    return rules


def rule(file: Path, table: str, entry: Any, number: int = 1) -> Rule:
    """Return the rule of an entry of a suite on `table`; a mistake in it is an `AssayError` that names file and key."""
    if not isinstance(entry, dict):
        raise AssayError(f"{file}: expectation {number}: {entry!r}, must hold keys: {', '.join(OUR_KEYS)}")
    where = f"{file}: {entry.get('rule') or f'expectation {number}'}"
    for key in ("rule", "type", "severity", "note"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise AssayError(f"{where}: {key}: {entry.get(key, 'missing')!r}, must be a text")
    ours = {"table": table} | {key: value for key, value in entry.items() if key in OUR_KEYS}
    arguments = {key: value for key, value in entry.items() if key not in OUR_KEYS}
    found = Rule(suite=file.stem, where=where, arguments=arguments, **ours)
    check_known(f"{where}: table", found.table, TABLES)
    check_known(f"{where}: severity", found.severity, SEVERITIES)
    _check_arguments(found)
    _check_quarantine(found)
    _check_allowed(found)
    return found


def _check_arguments(rule: Rule) -> None:
    """Raise `AssayError` for a type or argument that Great Expectations does not take, and for an unknown column."""
    great_expectations()
    from great_expectations.compatibility.pydantic import ValidationError
    from great_expectations.expectations import registry

    check_known(f"{rule.where}: type", rule.type, sorted(registry.list_registered_expectation_implementations()))
    kind = implementation(rule)
    known = sorted(kind.__fields__.keys() - NOT_FOR_SUITES)
    for key, value in rule.arguments.items():
        check_known(f"{rule.where}: key", key, known)
        _check_argument(rule, key, value)
    try:
        kind(**rule.arguments)
    except (OverflowError, TypeError) as error:
        raise AssayError(f"{rule.where}: {error}") from None
    except ValidationError as error:
        wrong = error.errors()[0]
        key = "" if wrong["loc"] == ("__root__",) else f"{wrong['loc'][0]}: "
        raise AssayError(f"{rule.where}: {key}{wrong['msg']}") from None
    low, high = (rule.arguments.get(key) for key in ("min_value", "max_value"))
    if low is not None and high is not None and low > high:
        raise AssayError(f"{rule.where}: min_value: {low!r} is above max_value: {high!r}, so nothing could hold")
    for column in rule.columns:
        check_known(f"{rule.where}: column", column, TABLES[rule.table].columns)


def _check_argument(rule: Rule, key: str, value: Any) -> None:
    """Raise `AssayError` for what Great Expectations takes and then lets everything pass."""
    if value is None or value in ([], ""):
        raise AssayError(f"{rule.where}: {key}: empty, must hold a value")
    if key == "mostly" and not (type(value) in (int, float) and 0 < value <= 1):
        raise AssayError(f"{rule.where}: mostly: {value!r}, must be a number above 0 and at most 1")
    if key in ("min_value", "max_value") and isinstance(value, float) and not math.isfinite(value):
        raise AssayError(f"{rule.where}: {key}: {value!r}, must be a finite number")
    if key == "value_set" and not isinstance(value, list):
        raise AssayError(f"{rule.where}: value_set: {value!r}, must be a list")
    if key == "value_set" and rule.columns == ["label"]:
        for label in value:
            if not isinstance(label, str):
                raise AssayError(f"{rule.where}: value_set: {label!r}, must be a text: put it in quotes")


def _check_quarantine(rule: Rule) -> None:
    """Raise `AssayError` where it is not said of which images to set aside, or how many."""
    if rule.quarantine is False:
        return
    where = f"{rule.where}: quarantine: {rule.quarantine!r}"
    if rule.quarantine is not True:
        raise AssayError(f"{where}, must be true or false")
    if rule.severity != "critical" or rule.table not in PER_IMAGE or not hasattr(implementation(rule), "map_metric"):
        raise AssayError(f"{where}, is only for critical rules about the rows of {' and '.join(PER_IMAGE)}")
    if "mostly" in rule.arguments:
        raise AssayError(f"{where}, so mostly must go: params.yaml: gate.max_quarantined_share says how many")


def _check_allowed(rule: Rule) -> None:
    """Raise `AssayError` where the number is none, or it is not said of which rows."""
    where = f"{rule.where}: allowed: {rule.allowed!r}"
    if type(rule.allowed) is not int or rule.allowed < 0:
        raise AssayError(f"{where}, must be a number of rows that may break the rule, 0 or more")
    if rule.allowed and not hasattr(implementation(rule), "map_metric"):
        raise AssayError(f"{where}, is only for rules about single rows; change the limit instead")
    if rule.allowed and "mostly" in rule.arguments:
        raise AssayError(f"{where}, and mostly: {rule.arguments['mostly']!r}; keep one of them")
