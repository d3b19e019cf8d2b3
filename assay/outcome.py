"""What a stage leaves that holds data against expectations: results.json, failures.csv and index.html in one folder.

`expectations` of results.json is a list of suite, expectation (the name of the rule), type, table, column, severity,
success, observed, limit, subject and must (what must be, as two parts of a sentence), n_rows, n_failed, n_waived,
quarantine (whether it sets images aside), note, where, message, failures (the first names), because (the rule from
whose failure this one may follow, empty if there is none).

failures.csv has every failing row, in the order of `expectations`: path (as in the source; of a rule that is not about
images the class, or split/class), suite, expectation, severity, status, column, value, limit, partner (the image it
clashes with). Status: failed; waived; set aside; tolerated, where no more rows break the rule than its `mostly` lets.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from assay import files, wording
from assay.expectations import Result
from assay.suites import TABLES

ROW_COUNT = "expect_table_row_count_to_be_between"
CSV_COLUMNS = ("path", "suite", "expectation", "severity", "status", "column", "value", "limit", "partner")


def write(folder: Path, results: Mapping[str, Any], failures: pd.DataFrame, page: str) -> None:
    files.write_json(folder / "results.json", results)
    files.write_csv(folder / "failures.csv", failures)
    files.write_text(folder / "index.html", page)


def passed(checked: Iterable[Result]) -> bool:
    return all(result.success or result.severity != "critical" for result in checked)


def entries(checked: Iterable[Result]) -> list[dict[str, Any]]:
    results = list(checked)
    return [_entry(result) | {"because": because(result, results)} for result in results]


def because(result: Result, results: Iterable[Result]) -> str:
    """Return the critical rule from whose failure that of another may follow; empty if there is none.

    Where there are no images there is nothing else either, and rows that break a rule are not counted.
    """
    for other in results:
        if result.success or other.success or other.severity != "critical" or other is result:
            continue
        is_empty = other.rule.type == ROW_COUNT and other.n_rows == result.n_rows == 0
        is_counted = other.rule.table == TABLES[result.rule.table].counts and len(other.failing) > 0
        if is_empty or is_counted:
            return other.rule.rule
    return ""


def _entry(result: Result) -> dict[str, Any]:
    rule = result.rule
    return {
        "suite": rule.suite,
        "expectation": rule.rule,
        "type": rule.type,
        "table": rule.table,
        "column": rule.column,
        "severity": result.severity,
        "success": result.success,
        "observed": result.observed,
        "limit": wording.limit(rule),
        "subject": wording.subject(rule) or wording.measure(rule),
        "must": wording.demand(rule),
        "n_rows": result.n_rows,
        "n_failed": len(result.failing),
        "n_waived": len(result.waived),
        "quarantine": rule.quarantine,
        "note": rule.note,
        "where": rule.where,
        "message": result.message,
        "failures": result.failing["name"].head(10).tolist(),
    }


def failing_rows(checked: list[Result]) -> pd.DataFrame:
    """Return every row that breaks a rule, columns as in `CSV_COLUMNS`, in the order of the rules."""
    parts = [
        rows.rename(columns={"name": "path"}).assign(
            suite=r.rule.suite,
            expectation=r.rule.rule,
            severity=r.severity,
            status=status,
            column=r.rule.column,
            limit=wording.limit(r.rule),
        )
        for r in checked
        for status, rows in [(_status(r), r.failing), ("waived", r.waived)]
        if len(rows)
    ]
    return pd.concat(parts)[list(CSV_COLUMNS)] if parts else pd.DataFrame(columns=list(CSV_COLUMNS))


def _status(result: Result) -> str:
    if not result.success:
        return "failed"
    return "set aside" if result.rule.quarantine else "tolerated"
