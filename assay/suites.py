"""The suites of expectations/: what the data must be, read and checked to the last key.

A suite is a YAML file: `table`, and `expectations`, a list of {rule, type, severity, note, arguments of the type}; an
expectation may name another `table` than its file does. `images` is the manifest with `copies`, `copy_labels` and
`copy_splits`: how many images, labels and splits have the same pixels. `classes` has one row per class, `splits` one
per split and class; both count only rows with a split. `share` is in (0, 1].
"""

import difflib
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from assay import manifest
from assay.errors import AssayError

COPIES = ("copies", "copy_labels", "copy_splits")
COLUMNS = {
    "images": (*manifest.SCHEMA.names, *COPIES),
    "classes": ("label", "n_images", "share", "imbalance", *manifest.SPLITS),
    "splits": ("split", "label", "n_images"),
}
ROWS = {"images": "images", "classes": "classes", "splits": "class splits"}  # for people
SEVERITIES = ("critical", "warning", "info")
OUR_KEYS = ("rule", "table", "type", "severity", "note")
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


@dataclass(frozen=True, kw_only=True)
class Rule:
    suite: str
    rule: str
    table: str
    type: str
    severity: str
    note: str
    where: str  # file and rule: where to change it
    arguments: dict[str, Any]

    @property
    def columns(self) -> list[str]:
        named = [self.arguments[key] for key in ("column", "column_A", "column_B") if key in self.arguments]
        return [*named, *self.arguments.get("column_list", [])]

    @property
    def column(self) -> str:
        return ", ".join(self.columns)


def read(folder: Path) -> list[Rule]:
    """Return the rules of all suites, sorted by file, in the order of each; a mistake in one is an `AssayError`."""
    suites = sorted(folder.glob("*.yaml"))
    if not suites:
        raise AssayError(f"{folder}: no suite in it, must hold at least one .yaml (params.yaml: paths.expectations)")
    return [rule for file in suites for rule in _read_suite(file)]


def known_classes(rules: Iterable[Rule]) -> list[str]:
    """Return the classes that the suites allow as `label`, sorted."""
    lists = [r for r in rules if r.type == "expect_column_values_to_be_in_set" and r.columns == ["label"]]
    return sorted({label for rule in lists for label in rule.arguments["value_set"]})


def great_expectations() -> Any:
    """Return the package, told not to call home."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations  # 3 s, wanted only where suites are

    return great_expectations


def _read_suite(file: Path) -> list[Rule]:
    try:
        suite = yaml.safe_load(file.read_bytes())
    except yaml.YAMLError as error:
        raise AssayError(f"{file}: not YAML: {' '.join(str(error).split())}") from None
    if file.stem == "passed":
        raise AssayError(f"{file}: a suite cannot be named 'passed', for metrics/gate.json says so of all; rename it")
    if not isinstance(suite, dict):
        raise AssayError(f"{file}: holds no keys, must hold table and expectations")
    for key in suite:
        _check_known(f"{file}: key", key, ("table", "expectations"))
    _check_known(f"{file}: table", suite.get("table"), COLUMNS)
    entries = suite.get("expectations")
    if not isinstance(entries, list) or not entries:
        raise AssayError(f"{file}: expectations: none, must be a list of at least one")
    rules = [_read_rule(file, number, suite["table"], entry) for number, entry in enumerate(entries, start=1)]
    names = [rule.rule for rule in rules]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise AssayError(f"{file}: {twice[0]}: rule: {names.count(twice[0])} of this name, must be one")
    return rules


def _read_rule(file: Path, number: int, table: str, entry: Any) -> Rule:
    if not isinstance(entry, dict):
        raise AssayError(f"{file}: expectation {number}: {entry!r}, must hold keys: {', '.join(OUR_KEYS)}")
    where = f"{file}: {entry.get('rule') or f'expectation {number}'}"
    for key in ("rule", "type", "severity", "note"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise AssayError(f"{where}: {key}: {entry.get(key, 'missing')!r}, must be a text")
    ours = {"table": table} | {key: value for key, value in entry.items() if key in OUR_KEYS}
    arguments = {key: value for key, value in entry.items() if key not in OUR_KEYS}
    rule = Rule(suite=file.stem, where=where, arguments=arguments, **ours)
    _check_known(f"{where}: table", rule.table, COLUMNS)
    _check_known(f"{where}: severity", rule.severity, SEVERITIES)
    _check_arguments(rule)
    return rule


def _check_known(where: str, value: Any, known: Collection[str]) -> None:
    if value in known:
        return
    close = difflib.get_close_matches(str(value), known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
    raise AssayError(f"{where}: unknown {value!r}; {hint}")


def _check_arguments(rule: Rule) -> None:
    """Raise `AssayError` for a type or argument that Great Expectations does not take, and for an unknown column."""
    great_expectations()
    from great_expectations.compatibility.pydantic import ValidationError
    from great_expectations.expectations import registry

    _check_known(f"{rule.where}: type", rule.type, sorted(registry.list_registered_expectation_implementations()))
    implementation = registry.get_expectation_impl(rule.type)
    known = sorted(implementation.__fields__.keys() - NOT_FOR_SUITES)
    for key, value in rule.arguments.items():
        _check_known(f"{rule.where}: key", key, known)
        _check_argument(rule, key, value)
    try:
        implementation(**rule.arguments)
    except ValidationError as error:
        wrong = error.errors()[0]
        key = "" if wrong["loc"] == ("__root__",) else f"{wrong['loc'][0]}: "
        raise AssayError(f"{rule.where}: {key}{wrong['msg']}") from None
    for column in rule.columns:
        _check_known(f"{rule.where}: column", column, COLUMNS[rule.table])


def _check_argument(rule: Rule, key: str, value: Any) -> None:
    """Raise `AssayError` for what Great Expectations takes and then lets everything pass."""
    if value is None or value in ([], ""):
        raise AssayError(f"{rule.where}: {key}: empty, must hold a value")
    if key == "mostly" and not (type(value) in (int, float) and 0 < value <= 1):
        raise AssayError(f"{rule.where}: mostly: {value!r}, must be a number above 0 and at most 1")
    if key == "value_set" and rule.columns == ["label"]:
        for label in value:
            if not isinstance(label, str):
                raise AssayError(f"{rule.where}: value_set: {label!r}, must be a text: put it in quotes")
