"""What the data must be: the suites of expectations/, run by Great Expectations.

A suite is a YAML file: `table`, and `expectations`, a list of {rule, type, severity, note, arguments of the type}; an
expectation may name another `table` than its file does. `images` is the manifest with `copies`, `copy_labels` and
`copy_splits`: how many images, labels and splits have the same pixels. `classes` has one row per class, `splits` one
per split and class; both count only rows with a split. `share` is in (0, 1].

Stricter than Great Expectations, which lets these pass: an empty table, an expectation that raised (both fail as
critical, whatever the suite says), and a missing value (fails, unless the rule is about missing values). Images that do
not decode count only for rules on `decodable`.
"""

import difflib
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import pandas as pd
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
# (github.com/great-expectations/great_expectations/issues/3666).
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
ABOUT_MISSING = (
    "expect_column_values_to_be_null",
    "expect_column_values_to_not_be_null",
    "expect_column_proportion_of_non_null_values_to_be_between",
)


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


@dataclass(frozen=True, kw_only=True)
class Result:
    rule: Rule
    severity: str  # the rule's, or critical where nothing could be measured
    success: bool
    observed: str
    n_rows: int
    failing: list[tuple[str, str]]  # path, class or split/class, and the value seen
    message: str  # empty if nothing fails


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


def tables(rows: pd.DataFrame, classes: Collection[str]) -> dict[str, pd.DataFrame]:
    """Return the tables that suites speak about, columns as in `COLUMNS`; a known class has rows in `splits` always."""
    counted = rows[rows["split"].notna()]
    labels = sorted({*classes, *counted["label"].dropna()})
    counts = pd.crosstab(counted["label"], counted["split"]).reindex(labels, columns=manifest.SPLITS, fill_value=0)
    return {"images": _images(rows), "classes": _classes(counts), "splits": _splits(counts)}


def check(rules: Iterable[Rule], tables: dict[str, pd.DataFrame]) -> list[Result]:
    """Return one result for each rule, in their order; nothing that the data are makes this raise."""
    gx = _great_expectations()
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("tables").add_dataframe_asset("rows")
    batches = asset.add_batch_definition_whole_dataframe("all")
    return [_check(rule, _rows(rule, tables), batches) for rule in rules]


def limit(rule: Rule) -> str:
    """Return what is allowed, for people: `at least 8`."""
    return _demand(rule).replace("be ", "", 1)


def _great_expectations() -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations  # 3 s, wanted only where suites are

    return great_expectations


def _read_suite(file: Path) -> list[Rule]:
    try:
        suite = yaml.safe_load(file.read_bytes())
    except yaml.YAMLError as error:
        raise AssayError(f"{file}: not YAML: {' '.join(str(error).split())}") from None
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
    _great_expectations()
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


def _images(rows: pd.DataFrame) -> pd.DataFrame:
    copies = rows.groupby("pixels")
    return rows.assign(
        copies=copies["path"].transform("size").astype("Int64"),
        copy_labels=copies["label"].transform("nunique").astype("Int64"),
        copy_splits=copies["split"].transform("nunique").astype("Int64"),
    )


def _classes(counts: pd.DataFrame) -> pd.DataFrame:
    """Return the classes that have images."""
    n_images = counts.sum(axis=1)
    classes = counts.assign(n_images=n_images, share=n_images / n_images.sum(), imbalance=n_images.max() / n_images)
    return classes[n_images > 0].rename_axis(index="label", columns=None).reset_index()[list(COLUMNS["classes"])]


def _splits(counts: pd.DataFrame) -> pd.DataFrame:
    rows = [(split, label, int(counts.loc[label, split])) for label in counts.index for split in manifest.SPLITS]
    return pd.DataFrame(rows, columns=list(COLUMNS["splits"]))


def _rows(rule: Rule, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    rows = tables[rule.table]
    if rule.table == "images" and "decodable" not in rule.columns:
        rows = rows[rows["decodable"]]
    return rows.reset_index(drop=True)


def _check(rule: Rule, rows: pd.DataFrame, batches: Any) -> Result:
    if rows.empty:
        return _unmeasured(rule, rows, f"there are no {ROWS[rule.table]} to check")
    try:
        outcome = _run(rule, rows, batches)
    except Exception as error:
        return _unmeasured(rule, rows, f"could not be measured: {error}")
    if raised := _raised(outcome.exception_info):
        return _unmeasured(rule, rows, f"could not be measured: {raised}")
    if "unexpected_index_list" in outcome.result:
        return _by_row(rule, rows, outcome)
    return _as_a_whole(rule, rows, outcome)


def _run(rule: Rule, rows: pd.DataFrame, batches: Any) -> Any:
    """Return what Great Expectations says of one rule: run alone, since a suite's results come in another order."""
    from great_expectations.expectations import registry

    expectation = registry.get_expectation_impl(rule.type)(**rule.arguments)
    looked_at = rows[rule.columns] if rule.columns else rows  # every column that it gets is hashed, at some cost
    return batches.get_batch({"dataframe": looked_at}).validate(
        expectation, result_format={"result_format": "COMPLETE"}
    )


def _raised(info: dict[str, Any]) -> str:
    """Return the first exception's message, or nothing; the details stand alone or under the name of each metric."""
    details = [info] if "raised_exception" in info else list(info.values())
    return next((str(each["exception_message"]) for each in details if each["raised_exception"]), "")


def _unmeasured(rule: Rule, rows: pd.DataFrame, why: str) -> Result:
    message = f"{rule.rule}: {' '.join(why.split())} ({rule.where})"
    return Result(
        rule=rule, severity="critical", success=False, observed="", n_rows=len(rows), failing=[], message=message
    )


def _by_row(rule: Rule, rows: pd.DataFrame, outcome: Any) -> Result:
    wrong = rows.loc[sorted({*outcome.result["unexpected_index_list"], *_missing(rule, rows)})]
    if rule.column in COPIES:  # what belongs together stands together
        wrong = wrong.sort_values(["pixels", "path"])
    failing = _named(rule, wrong)
    holds = (len(rows) - len(failing)) / len(rows)
    return Result(
        rule=rule,
        severity=rule.severity,
        success=bool(outcome.success) and holds >= rule.arguments.get("mostly", 1),
        observed=_range(rows[rule.columns[0]]) or f"{len(rows) - len(failing):,} hold",
        n_rows=len(rows),
        failing=failing,
        message=_rows_message(rule, rows, failing) if failing else "",
    )


def _as_a_whole(rule: Rule, rows: pd.DataFrame, outcome: Any) -> Result:
    failing = _named(rule, rows.loc[_missing(rule, rows)]) + _outside(rule, rows)
    success = bool(outcome.success) and not failing
    value = outcome.result.get("observed_value")
    if value is None and rule.columns:  # Great Expectations says nothing about rules on a set of values
        value = sorted(rows[rule.columns[0]].dropna().unique())
    observed = _text(value)
    demand = f"{rule.rule}: {_measure(rule)}: {observed}, must {_demand(rule)}"
    return Result(
        rule=rule,
        severity=rule.severity,
        success=success,
        observed=observed,
        n_rows=len(rows),
        failing=failing,
        message="" if success else f"{': '.join([demand, *filter(None, [_first(rule, failing)])])} ({rule.where})",
    )


def _missing(rule: Rule, rows: pd.DataFrame) -> list[int]:
    """Return the places of rows without a value where the rule wants one."""
    if rule.type in ABOUT_MISSING:
        return []
    return list(rows.index[rows[rule.columns].isna().any(axis=1)])


def _outside(rule: Rule, rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the values by which a rule on a set of values is broken, with what is wrong about them."""
    if not rule.type.startswith("expect_column_distinct_values_"):
        return []
    seen, wanted = set(rows[rule.column].dropna()), set(rule.arguments["value_set"])
    absent = [] if rule.type.endswith("be_in_set") else sorted(map(str, wanted - seen))
    extra = [] if rule.type.endswith("contain_set") else sorted(map(str, seen - wanted))
    return [(value, "absent") for value in absent] + [(value, "unknown") for value in extra]


def _named(rule: Rule, rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the name and the value of each row; the value of what does not decode is the reason."""
    match rule.table:
        case "images":
            names = rows["path"]
        case "classes":
            names = rows["label"]
        case _:
            names = rows["split"] + "/" + rows["label"]
    columns = ["reason"] if rule.columns == ["decodable"] else rule.columns
    show = _percent if rule.column == "share" else str if columns == ["reason"] else _text
    values = zip(*(rows[column] for column in columns), strict=True)
    return [(name, ", ".join(show(value) for value in each)) for name, each in zip(names, values, strict=True)]


def _rows_message(rule: Rule, rows: pd.DataFrame, failing: list[tuple[str, str]]) -> str:
    if rule.column == "share":
        held = ", ".join(f"{name!r} holds {value}" for name, value in failing)
        allowed = limit(rule).removeprefix("at most ")
        return f"{rule.rule}: {held} of {rows['n_images'].sum():,} images, the limit is {allowed} ({rule.where})"
    counted = f"{len(failing):,} of {len(rows):,} {ROWS[rule.table]}"
    return f"{rule.rule}: {counted}: {rule.column} must {_demand(rule)}: {_first(rule, failing)} ({rule.where})"


def _first(rule: Rule, failing: list[tuple[str, str]]) -> str:
    """Return the first five failures, and dots if there are more."""
    named = [f"{name if rule.table == 'images' else repr(name)} ({value})" for name, value in failing[:5]]
    return ", ".join(named + ["..."] * (len(failing) > 5))


def _measure(rule: Rule) -> str:
    """Return what a rule about the whole table measures: `row count`, `max of width_px`."""
    measure = rule.type.removeprefix("expect_").partition("_to_")[0].removeprefix("table_").removeprefix("column_")
    return measure.replace("_", " ") + (f" of {rule.column}" if rule.columns else "")


def _demand(rule: Rule) -> str:
    """Return what must be, as a verb: `be at least 8`."""
    verb = rule.type.partition("_to_")[2].replace("_", " ")
    mostly = rule.arguments.get("mostly", 1)
    suffix = "" if mostly == 1 else f" in at least {_percent(mostly)} of the {ROWS[rule.table]}"
    if "min_value" in rule.arguments or "max_value" in rule.arguments:
        return f"be {_bounds(rule)}{suffix}"
    of_rows = ("column", "column_A", "column_B", "column_list", "mostly")
    values = ", ".join(_text(value) for key, value in rule.arguments.items() if key not in of_rows)
    if verb.endswith(" in set"):
        verb = verb.removesuffix("in set") + ("one of" if len(rule.arguments["value_set"]) > 1 else "")
    verb = verb.removesuffix(" set").rstrip()
    return f"{verb} {values}".rstrip() + suffix


def _bounds(rule: Rule) -> str:
    number = _percent if rule.column == "share" else _text
    low, high = rule.arguments.get("min_value"), rule.arguments.get("max_value")
    least = "more than" if rule.arguments.get("strict_min") else "at least"
    most = "less than" if rule.arguments.get("strict_max") else "at most"
    ends = [f"{least} {number(low)}" if low is not None else "", f"{most} {number(high)}" if high is not None else ""]
    return " and ".join(filter(None, ends))


def _range(values: pd.Series) -> str:
    """Return the smallest and the largest number; nothing for what is not a number."""
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values) or values.isna().all():
        return ""
    show = _percent if values.name == "share" else _text
    low, high = show(values.min()), show(values.max())
    return low if low == high else f"{low} to {high}"


def _text(value: Any) -> str:
    """Return a value for people: texts in quotes, so that a space at the end is seen; lists cut after ten."""
    if isinstance(value, list | tuple | set):
        return ", ".join([_text(each) for each in list(value)[:10]] + [f"... ({len(value):,})"] * (len(value) > 10))
    if isinstance(value, str | dict | bool):
        return repr(value)
    if pd.isna(value):
        return "missing"
    if isinstance(value, Integral):
        return f"{int(value):,}"
    return f"{float(value):.6g}" if isinstance(value, Real) else str(value)


def _percent(share: float) -> str:
    return f"{100 * share:.4g}%"
