"""The suites of expectations/: what the data must be, read and checked to the last key.

A suite is a YAML file: `table`, and `expectations`, a list of {rule, type, severity, note, arguments of the type}; an
expectation may name another `table` than its file does. `TABLES` says what the tables hold. The types are those of
Great Expectations and of assay/custom_expectations.py.

`quarantine: true` at a critical rule about single images: those that break it are set aside, and the gate closes only
when they are more than `gate.max_quarantined_share` (params.yaml) of all.
"""

import difflib
import gc
import math
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from assay import files, manifest, outliers
from assay.errors import AssayError

MEASURED = tuple(name for name in manifest.SCHEMA.names if name not in manifest.PIXELS)
WAIVERS = "waivers.yaml"  # lies beside the suites and is none; see assay/waivers.py


@dataclass(frozen=True, kw_only=True)
class Table:
    """What a rule can be about. The first columns that are `named` say which row it is."""

    columns: tuple[str, ...]
    rows: str  # what a row is, for people
    named: tuple[str, ...] = ("path",)
    empty: str = ""  # what it means that there are no rows; without that it is a critical failure
    beside: str = "like"  # what is said before the `partner` of a row
    counts: str = ""  # the table whose sound rows it counts


DRIFT = ("property", "statistic", "limit", "excess", "approved", "present")
NOTHING_NEW = "nothing approved yet, or nothing new since: see `assay approve`"
# `images`: the manifest, and `listed` (a row of the source's table has it), `has_file`, `unapproved` (what of it was
# never approved, in words), `mode_share` (of the images, with its mode and bit depth) and the distances of
# assay/outliers.py, in spreads; 1 and 0 of images that were approved. `labels`: one row per image and name of a class;
# a null name for an image without a label. `classes` and `splits` count each class of an image that has a split, equal
# files once; `share` of the images, in (0, 1]. `pairs`: near-duplicates; `in_one_split` is False too of a pair that the
# source puts in one group, for those are alike on purpose. `drift` and all to `test_set`: assay/approval.py; the
# others: assay/shortcuts.py.
#
# Of the records: `shards` are those of the index; `counts` has a row per split and class, and one per split for all its
# images (`*`); `recorded` one per image that should be or is in a shard; `samples` one per image that was decoded again
# (`difference`: the greatest of all pixels, in levels of 255).
TABLES = {
    "images": Table(
        columns=(*MEASURED, "listed", "has_file", "unapproved", "mode_share", *outliers.NAMES), rows="images"
    ),
    "labels": Table(columns=("path", "label", "split"), rows="labels"),
    "classes": Table(
        columns=("label", "n_images", "share", "imbalance", *manifest.SPLITS),
        rows="classes",
        named=("label",),
        counts="labels",
    ),
    "splits": Table(
        columns=("split", "label", "n_images"), rows="class splits", named=("split", "label"), counts="labels"
    ),
    "pairs": Table(
        columns=("path", "partner", "distance", "in_one_split", "across_splits", "same_label"),
        rows="pairs",
        empty="no near-duplicates",
    ),
    "drift": Table(columns=DRIFT, rows="properties of pixels", named=("property",), empty=NOTHING_NEW),
    "label_drift": Table(columns=DRIFT, rows="shares of a class", named=("property",), empty=NOTHING_NEW),
    "file_drift": Table(columns=DRIFT, rows="properties of files", named=("property",), empty=NOTHING_NEW),
    "channel_order": Table(columns=DRIFT, rows="orders of channels", named=("property",), empty=NOTHING_NEW),
    "test_set": Table(
        columns=("sha256", "gone"), rows="test images", named=("sha256",), empty="as approved, or nothing approved yet"
    ),
    "shortcuts": Table(
        columns=("property", "label", "auc", "approved", "gain", "unapproved", "n_images"),
        rows="properties of a class",
        named=("property", "label"),
    ),
    "borders": Table(columns=("label", "auc", "centre", "lead", "n_images"), rows="classes", named=("label",)),
    "associations": Table(columns=("property", "v", "n_values"), rows="facts about files", named=("property",)),
    "shards": Table(columns=("shard", "whole", "reason"), rows="shards", named=("shard",)),
    "counts": Table(
        columns=("split", "label", "n_images", "n_recorded"), rows="class splits", named=("split", "label")
    ),
    "recorded": Table(
        columns=("path", "partner", "split", "recorded_split", "label", "recorded_label"), rows="images", beside="in"
    ),
    "samples": Table(columns=("path", "partner", "difference"), rows="images decoded again", beside="in"),
}
OF_RECORDS = ("shards", "counts", "recorded", "samples")  # what `verify` knows of; the rest is for `validate`
OF_DATA = tuple(name for name in TABLES if name not in OF_RECORDS)
PER_IMAGE = ("images", "labels")  # tables whose rows are about one image
# What must hold before anything else can be said of an image: a rule on one of these sees the rows for which those
# before it hold, and any other rule sees those for which all of them do.
STEPS = ("listed", "has_file", "decodable")
NOT_NULL = "expect_column_values_to_not_be_null"
SEVERITIES = ("critical", "warning", "info")
OUR_KEYS = ("rule", "table", "type", "severity", "note", "quarantine")
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
    quarantine: bool = False
    where: str  # file and rule: where to change it
    not_null: frozenset[str] = frozenset()  # columns in which another critical rule forbids missing values
    arguments: dict[str, Any]

    @property
    def columns(self) -> list[str]:
        named = [self.arguments[key] for key in ("column", "column_A", "column_B") if key in self.arguments]
        return [*named, *self.arguments.get("column_list", [])]

    @property
    def column(self) -> str:
        return ", ".join(self.columns)


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


def related(rules: list[Rule]) -> list[Rule]:
    """Return the rules, each knowing of the others what concerns it."""
    return [replace(rule, not_null=_not_null(rule, rules)) for rule in rules]


def _not_null(rule: Rule, rules: list[Rule]) -> frozenset[str]:
    forbid = [r for r in rules if r.type == NOT_NULL and r.severity == "critical" and r.table == rule.table]
    return frozenset(r.column for r in forbid if r.rule != rule.rule)


def known_classes(rules: Iterable[Rule]) -> list[str]:
    """Return the classes that critical rules allow as `label`, sorted."""
    critical = [rule for rule in rules if rule.severity == "critical" and rule.columns == ["label"]]
    lists = [rule for rule in critical if rule.type == "expect_column_values_to_be_in_set"]
    return sorted({label for rule in lists for label in rule.arguments["value_set"]})


@cache
def great_expectations() -> Any:
    """Return the package, told not to call home, with our expectations registered."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    collects = gc.isenabled()
    gc.disable()
    try:
        import great_expectations  # 3 s, wanted only where suites are

        from assay import custom_expectations  # noqa: F401  (to import them is to register them)
    finally:
        gc.freeze()  # all that an import makes stays; to look through it takes half a second, and one more at the end
        if collects:
            gc.enable()
    return great_expectations


def implementation(rule: Rule) -> Any:
    """Return the class of the rule's type."""
    great_expectations()
    from great_expectations.expectations import registry

    return registry.get_expectation_impl(rule.type)


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
    return found


def check_known(where: str, value: Any, known: Collection[str]) -> None:
    """Raise `AssayError` with the nearest known value, or all, unless the value is one of them."""
    if isinstance(value, str) and value in known:
        return
    close = difflib.get_close_matches(str(value), known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
    raise AssayError(f"{where}: unknown {value!r}; {hint}")


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
