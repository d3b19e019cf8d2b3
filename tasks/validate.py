"""Hold the manifest against expectations/ and leave a report, whatever it says."""

import csv
import io
from typing import Any

import pandas as pd

from assay import expectations, files, manifest, params, report, stage, suites, wording

CSV_COLUMNS = ("name", "suite", "rule", "severity", "column", "value", "limit")


def main(p: params.Params) -> None:
    rows = manifest.read(p.paths.manifest)
    rules = suites.read(p.paths.expectations)
    tables = expectations.tables(rows, suites.known_classes(rules))
    checked = expectations.check(rules, tables)
    results = as_results(checked, files.sha256(p.paths.manifest), len(rows))
    failures = failing_rows(checked)
    files.write_json(p.paths.validation / "results.json", results)
    files.write_text(p.paths.validation / "failures.csv", as_csv(failures))
    page = report.render("validation.html", failures=failures, counts=class_counts(tables["splits"]), **results)
    files.write_text(p.paths.validation / "index.html", page)
    files.write_json(p.paths.metrics.gate, {"gate": metrics(results)})
    print(*lines(results), f"report: {(p.paths.validation / 'index.html').as_posix()}", sep="\n")


def as_results(checked: list[expectations.Result], manifest_sha256: str, n_images: int) -> dict[str, Any]:
    """Return the content of results.json, which `gate` judges by."""
    return {
        "manifest": manifest_sha256,
        "passed": all(result.success or result.severity != "critical" for result in checked),
        "n_images": n_images,
        "expectations": [_as_result(result) for result in checked],
    }


def _as_result(result: expectations.Result) -> dict[str, Any]:
    rule = result.rule
    return {
        "suite": rule.suite,
        "rule": rule.rule,
        "type": rule.type,
        "column": rule.column,
        "severity": result.severity,
        "success": result.success,
        "observed": result.observed,
        "limit": wording.limit(rule),
        "n_rows": result.n_rows,
        "n_failed": len(result.failing),
        "note": rule.note,
        "where": rule.where,
        "message": result.message,
        "failures": [name for name, _ in result.failing[:10]],
    }


def failing_rows(checked: list[expectations.Result]) -> list[dict[str, str]]:
    """Return every row that breaks a rule, keys as in `CSV_COLUMNS`, in the order of the rules.

    Where the rule holds all the same, `severity` is "set aside".
    """
    return [
        {
            "name": name,
            "suite": r.rule.suite,
            "rule": r.rule.rule,
            "severity": "set aside" if r.success else r.severity,
            "column": r.rule.column,
            "value": value,
            "limit": wording.limit(r.rule),
        }
        for r in checked
        for name, value in r.failing
    ]


def as_csv(failures: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(failures)
    return text.getvalue()


def class_counts(splits: pd.DataFrame) -> list[dict[str, Any]]:
    """Return {label, train, val, test} for each class."""
    counts = splits.pivot(index="label", columns="split", values="n_images").reindex(columns=manifest.SPLITS)
    return [{"label": label, **counts.loc[label].astype(int).to_dict()} for label in counts.index]


def metrics(results: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers of metrics/gate.json: for each suite, and whether the gate will open."""
    suites: dict[str, Any] = {}
    for r in results["expectations"]:
        suite = suites.setdefault(r["suite"], {"passed": 1, "n_failed": 0, "n_expectations": 0, "n_failed_rows": 0})
        suite["passed"] &= int(r["success"] or r["severity"] != "critical")
        suite["n_failed"] += int(not r["success"])
        suite["n_expectations"] += 1
        suite["n_failed_rows"] += r["n_failed"]
    return suites | {"passed": int(results["passed"])}


def lines(results: dict[str, Any]) -> list[str]:
    """Return what a person wants to know at once."""
    found = results["expectations"]
    failed = [r for r in found if not r["success"]]
    aside = [r for r in found if r["success"] and r["n_failed"]]
    verdict = "the gate will open" if results["passed"] else "the gate will close"
    head = f"{results['n_images']:,} images, {len(found)} expectations, {len(failed)} failed: {verdict}"
    return [head, *(f"{r['severity']}: {r['message']}" for r in failed), *(f"set aside: {r['message']}" for r in aside)]


if __name__ == "__main__":
    stage.run("validate", main)
