"""Great Expectations, run over what `ingest` measured, by the rules of assay/suites.py.

Stricter than Great Expectations, which lets these pass: an empty table, an expectation that raised (both fail as
critical, whatever the suite says), and a missing value (fails, unless the rule is about missing values). Images that do
not decode count only for rules on `decodable`.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from assay import manifest, suites, wording
from assay.suites import COLUMNS, COPIES, ROWS, Rule

ABOUT_MISSING = (
    "expect_column_values_to_be_null",
    "expect_column_values_to_not_be_null",
    "expect_column_proportion_of_non_null_values_to_be_between",
)


@dataclass(frozen=True, kw_only=True)
class Result:
    rule: Rule
    severity: str  # the rule's, or critical where nothing could be measured
    success: bool
    observed: str
    n_rows: int
    failing: list[tuple[str, str]]  # path, class or split/class, and the value seen
    message: str  # empty if nothing fails


def tables(rows: pd.DataFrame, classes: Collection[str]) -> dict[str, pd.DataFrame]:
    """Return the tables that suites speak about, columns as in `COLUMNS`; a known class has rows in `splits` always."""
    counted = rows[rows["split"].notna()]
    labels = sorted({*classes, *counted["label"].dropna()})
    counts = pd.crosstab(counted["label"], counted["split"]).reindex(labels, columns=manifest.SPLITS, fill_value=0)
    return {"images": _images(rows), "classes": _classes(counts), "splits": _splits(counts)}


def check(rules: Iterable[Rule], tables: dict[str, pd.DataFrame]) -> list[Result]:
    """Return one result for each rule, in their order; nothing that the data are makes this raise."""
    gx = suites.great_expectations()
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("tables").add_dataframe_asset("rows")
    batches = asset.add_batch_definition_whole_dataframe("all")
    return [_check(rule, _rows(rule, tables), batches) for rule in rules]


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
        observed=wording.span(rows[rule.columns[0]]) or f"{len(rows) - len(failing):,} hold",
        n_rows=len(rows),
        failing=failing,
        message=wording.rows_message(rule, rows, failing) if failing else "",
    )


def _as_a_whole(rule: Rule, rows: pd.DataFrame, outcome: Any) -> Result:
    failing = _named(rule, rows.loc[_missing(rule, rows)]) + _outside(rule, rows)
    success = bool(outcome.success) and not failing
    value = outcome.result.get("observed_value")
    if value is None and rule.columns:  # Great Expectations says nothing about rules on a set of values
        value = sorted(rows[rule.columns[0]].dropna().unique())
    observed = wording.text(value)
    said = [f"{rule.rule}: {wording.measure(rule)}: {observed}, must {wording.demand(rule)}"]
    said += [wording.first(rule, failing)] if failing else []
    return Result(
        rule=rule,
        severity=rule.severity,
        success=success,
        observed=observed,
        n_rows=len(rows),
        failing=failing,
        message="" if success else f"{': '.join(said)} ({rule.where})",
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
    show = wording.percent if rule.column == "share" else str if columns == ["reason"] else wording.text
    values = zip(*(rows[column] for column in columns), strict=True)
    return [(name, ", ".join(show(value) for value in each)) for name, each in zip(names, values, strict=True)]
