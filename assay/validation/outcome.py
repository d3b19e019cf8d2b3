"""What a stage leaves that holds data against expectations: results.json, failures.csv and index.html in one folder.

`expectations` of results.json is a list of suite, expectation (the name of the rule), type, table, column, severity,
success, observed, limit, subject and must (what must be, as two parts of a sentence), n_rows, n_failed, n_waived,
quarantine (whether it sets images aside), allowed (rows that may break it), note, where, message, failures (the first
names), because (the rule from whose failure this one may follow, empty if there is none).

failures.csv has every failing row, in the order of `expectations`: path (as in the source; of a rule that is not about
images the class, or split/class), suite, expectation, severity, status, column, value, limit, partner (the image it
clashes with). Status: failed; waived; set aside; tolerated, where no more rows break the rule than its `mostly` or its
`allowed` lets.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from assay import files, words
from assay.validation import gate, rules, run, waivers, weaker, wording
from assay.validation.rules import TABLES
from assay.validation.run import Result

if TYPE_CHECKING:  # it needs SciPy, and `verify` does not
    from assay.validation.judgement import Judgement

ROW_COUNT = "expect_table_row_count_to_be_between"
CSV_COLUMNS = ("path", "suite", "expectation", "severity", "status", "column", "value", "limit", "partner")


def write(folder: Path, results: Mapping[str, Any], failures: pd.DataFrame, page: str) -> None:
    files.write_json(folder / "results.json", results)
    files.write_csv(folder / "failures.csv", failures.map(words.cell))
    files.write_text(folder / "index.html", page)


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
        "allowed": rule.allowed,
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


def as_results(
    judged: "Judgement",
    granted: list[waivers.Waiver],
    weaker_rules: list[weaker.Weaker],
    manifest_sha256: str,
    n_images: int,
) -> dict[str, Any]:
    """Return the content of results.json, as in the module's docstring, which `gate` judges by."""
    return {
        "manifest": manifest_sha256,
        "passed": judged.passed,
        "n_images": n_images,
        "quarantine": asdict(judged.quarantine),
        "waivers": [_as_waiver(waiver, judged.checked) for waiver in granted],
        "weaker": [asdict(each) for each in weaker_rules],
        "expectations": entries(judged.checked),
    }


def _as_waiver(waiver: waivers.Waiver, checked: list[run.Result]) -> dict[str, Any]:
    used = [r.waived["name"].isin(waiver.names).sum() for r in checked if _is_about(waiver, r.rule)]
    return {
        "suite": waiver.suite,
        "expectation": waiver.rule,
        "names": waiver.names,
        "why": waiver.why,
        "until": waiver.until.isoformat(),
        "where": waiver.where,
        "n_used": int(sum(used)),
    }


def _is_about(waiver: waivers.Waiver, rule: rules.Rule) -> bool:
    return (waiver.suite, waiver.rule) == (rule.suite, rule.rule)


def metrics(results: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers of metrics/gate.json: for each suite, what is set aside, and whether the gate will open."""
    suites: dict[str, Any] = {}
    for r in results["expectations"]:
        suite = suites.setdefault(r["suite"], {"passed": 1, "n_failed": 0, "n_expectations": 0, "n_failed_rows": 0})
        suite["passed"] &= int(r["success"] or r["severity"] != "critical")
        suite["n_failed"] += int(not r["success"])
        suite["n_expectations"] += 1
        suite["n_failed_rows"] += r["n_failed"]
    return suites | {"n_quarantined": results["quarantine"]["n_images"], "passed": int(results["passed"])}


def lines(results: dict[str, Any]) -> list[str]:
    """Return what a person wants to know at once."""
    found = results["expectations"]
    failed = [r for r in found if not r["success"]]
    held = [r for r in found if r["success"] and r["n_failed"]]
    until = min((w["until"] for w in results["waivers"]), default="")
    verdict = "the gate will open" + f" until {until}" * bool(until) if results["passed"] else "the gate will close"
    head = f"{results['n_images']:,} images, {len(found)} expectations, {len(failed)} failed: {verdict}"
    waived = [
        f"waived until {w['until']}: {w['expectation']}: {words.counted(w['n_used'], 'row')}: {w['why']}"
        for w in results["waivers"]
    ]
    told = [f"{r['severity']}: {r['message']}" for r in failed]
    told += [f"{'set aside' if r['quarantine'] else 'tolerated'}: {r['message']}" for r in held]
    return [head, *told, *waived, *gate.weaker_lines(results["weaker"])]
