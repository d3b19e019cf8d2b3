"""Great Expectations, run over what `ingest` measured, by the rules of assay/validation/suites.py.

Stricter than Great Expectations, which lets these pass: an empty table, an expectation that raised (both fail as
critical, whatever the suite says), and a missing value (fails, unless the rule is about missing values, says
`ignore_row_if`, or leaves them to another critical rule that forbids them in its column). A table whose emptiness means
something, like no near-duplicates, is the exception.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pandas as pd

from assay.validation import failing, gx, wording
from assay.validation.rules import STEPS, TABLES, Rule

ABOUT_MISSING = (
    "expect_column_values_to_be_null",
    "expect_column_values_to_not_be_null",
    "expect_column_proportion_of_non_null_values_to_be_between",
)
FORM = {"result_format": {"result_format": "BASIC"}}  # what is asked of Great Expectations


@dataclass(frozen=True, kw_only=True)
class Result:
    rule: Rule
    severity: str  # the rule's, or critical where nothing could be measured
    success: bool
    observed: str
    n_rows: int
    failing: pd.DataFrame  # columns as `failing.COLUMNS`; the index is that of the table
    waived: pd.DataFrame  # the same of those that a waiver excuses
    message: str  # empty if nothing fails


def check(
    rules: Iterable[Rule],
    tables: Mapping[str, pd.DataFrame],
    waived: Mapping[tuple[str, str], Collection[str]] | None = None,
) -> list[Result]:
    """Return one result for each rule, in their order; nothing that the data are makes this raise.

    `waived`: the names of rows that do not count, by suite and rule.
    """

    @cache
    def images(n_steps: int) -> pd.DataFrame:
        rows = tables["images"]
        return rows[rows[list(STEPS[:n_steps])].all(axis=1)]

    def rows(rule: Rule) -> pd.DataFrame:
        if rule.table != "images":
            return tables[rule.table]
        return images(STEPS.index(rule.column) if rule.column in STEPS else len(STEPS))

    return [_check(rule, rows(rule), (waived or {}).get((rule.suite, rule.rule), ())) for rule in rules]


def _check(rule: Rule, rows: pd.DataFrame, waived: Collection[str]) -> Result:
    if rows.empty and TABLES[rule.table].empty:
        return _result(rule, rows, success=True, observed=TABLES[rule.table].empty)
    if rows.empty:
        return _unmeasured(rule, rows, f"there are no {TABLES[rule.table].rows} to check")
    try:
        outcome, wrong = _run(rule, rows)
    except Exception as error:
        return _unmeasured(rule, rows, f"could not be measured: {error}")
    return _as_a_whole(rule, rows, outcome) if wrong is None else _by_row(rule, rows, wrong, waived)


def _run(rule: Rule, rows: pd.DataFrame) -> tuple[Any, pd.Index | None]:
    """Return what Great Expectations says of a rule about the whole table; or the rows that break one about rows."""
    if getattr(gx.implementation(rule), "map_metric", None):
        return None, _broken(rule, rows)
    return _outcome(rule, rows), None


def _broken(rule: Rule, rows: pd.DataFrame) -> pd.Index:
    """Return the rows that break a rule about single rows, as Great Expectations finds them.

    Asked of the metric that its verdict would come from: that takes a third of the time, and how many may break it is
    not its to say. COMPLETE results would make text of each row, at many times the cost.
    """
    from great_expectations.expectations import registry
    from great_expectations.validator.metric_configuration import MetricConfiguration

    validator = _validator(rule, rows)
    expectation = gx.implementation(rule)(**rule.arguments)
    name = f"{expectation.map_metric}.unexpected_count"
    asked = registry.get_metric_kwargs(name, expectation.configuration, FORM)
    domain, value = asked["metric_domain_kwargs"], asked["metric_value_kwargs"]
    condition = MetricConfiguration(f"{expectation.map_metric}.condition", domain, value)
    calculator = validator.metrics_calculator
    found, aborted = calculator.resolve_validation_graph(
        calculator.build_metric_dependency_graph([condition], FORM), FORM
    )
    _check_measured({name: each["exception_info"] for name, each in aborted.items()})
    unexpected = found[condition.id][0]
    return unexpected.index[unexpected]


def _outcome(rule: Rule, rows: pd.DataFrame) -> Any:
    """Return what Great Expectations says of a rule about the whole table."""
    expectation = gx.implementation(rule)(**rule.arguments)
    (outcome,) = _validator(rule, rows).graph_validate([expectation.configuration], runtime_configuration=FORM)
    _check_measured(outcome.exception_info)
    return outcome


def _validator(rule: Rule, rows: pd.DataFrame) -> Any:
    """Return what asks about the rows: of one rule, for a suite's results come in another order; its columns alone."""
    from great_expectations.core.batch import Batch
    from great_expectations.execution_engine import PandasExecutionEngine
    from great_expectations.validator.validator import Validator

    batch = Batch(data=_plain(rows[rule.columns]) if rule.columns else rows)
    validator = Validator(PandasExecutionEngine(), batches=[batch])
    validator.metrics_calculator.show_progress_bars = False
    return validator


def _plain(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with NumPy's integers where none is missing: Great Expectations is 40 times as fast on them."""
    whole = [name for name in rows if rows[name].dtype == "Int64" and not rows[name].hasnans]
    return rows.astype(dict.fromkeys(whole, "int64"))


def _check_measured(info: dict[Any, Any]) -> None:
    """Raise the first exception's message; the details stand alone or under the name of each metric."""
    details = [info] if "raised_exception" in info else list(info.values())
    for each in details:
        if each["raised_exception"]:
            raise ValueError(str(each["exception_message"]))


def _result(rule: Rule, rows: pd.DataFrame, **known: Any) -> Result:
    known = {"severity": rule.severity, "message": "", "failing": failing.NONE, "waived": failing.NONE} | known
    return Result(rule=rule, n_rows=len(rows), **known)


def _unmeasured(rule: Rule, rows: pd.DataFrame, why: str) -> Result:
    message = f"{rule.rule}: {' '.join(why.split())} ({rule.where})"
    return _result(rule, rows, severity="critical", success=False, observed="", message=message)


def _by_row(rule: Rule, rows: pd.DataFrame, wrong: pd.Index, waived: Collection[str]) -> Result:
    found = failing.named(rule, rows, wrong.union(_missing(rule, rows)))
    excused = found["name"].isin(waived)
    counting = found[~excused]
    holds = (len(rows) - len(counting)) / len(rows)
    return _result(
        rule,
        rows,
        success=len(counting) <= rule.allowed or holds >= rule.arguments.get("mostly", 1),
        observed=wording.span(rows[rule.columns[0]]) or f"{len(rows) - len(counting):,} hold",
        failing=counting,
        waived=found[excused],
        message=wording.rows_message(rule, rows, counting) if len(counting) else "",
    )


def _as_a_whole(rule: Rule, rows: pd.DataFrame, outcome: Any) -> Result:
    missing = failing.named(rule, rows, _missing(rule, rows))
    found = pd.concat([missing, failing.of_set(rule, rows)], ignore_index=True)
    success = bool(outcome.success) and found.empty
    value = outcome.result.get("observed_value")
    if value is None and rule.columns:  # Great Expectations says nothing about rules on a set of values
        value = sorted(rows[rule.columns[0]].dropna().unique())
    observed = wording.text(value)
    said = [f"{rule.rule}: {wording.measure(rule)}: {observed}, must {wording.demand(rule)}"]
    said += [wording.first(rule, found)] if len(found) else []
    message = "" if success else f"{': '.join(said)} ({rule.where})"
    result = _result(rule, rows, success=success, observed=observed, failing=found, message=message)
    return replace(result, n_rows=max(len(rows), failing.n_of_set(rule, rows)))


def _missing(rule: Rule, rows: pd.DataFrame) -> pd.Index:
    """Return the rows without a value where the rule wants one."""
    if rule.type in ABOUT_MISSING or rule.arguments.get("ignore_row_if", "both_values_are_missing") in (
        "either_value_is_missing",
        "any_value_is_missing",
    ):
        return rows.index[:0]
    wanted = [column for column in rule.columns if column not in rule.not_null]
    return rows.index[rows[wanted].isna().any(axis=1)]
