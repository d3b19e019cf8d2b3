"""Hold the manifest against expectations/ and leave a report, whatever it says.

results.json holds, with `failures.csv` and the page beside it (assay/outcome.py):

    manifest      SHA-256 of the manifest
    passed        whether the gate opens (but for a waiver that has run out by then)
    n_images      rows of the manifest
    quarantine    limit, share, n_images; paths: the images with a split that are set aside, none if they are too many
    waivers       suite, expectation, names, why, until, where, n_used: how many failing rows it excuses
    expectations  in the order of the suites
"""

from typing import Any

import pyarrow.parquet as pq

from assay import (
    expectations,
    files,
    ledger,
    manifest,
    outcome,
    params,
    profile,
    quarantine,
    stage,
    suites,
    tables,
    validation_page,
    waivers,
    wording,
)


def main(p: params.Params) -> None:
    rows = manifest.read(p.paths.manifest)
    pairs = pq.read_table(p.paths.pairs).to_pandas()
    task = manifest.task(p.paths.manifest)
    rules = suites.read(p.paths.expectations, suites.OF_DATA)
    granted = waivers.read(p.paths.expectations, rules)
    classes = suites.known_classes(rules)
    beside = tables.Beside(
        approved=profile.read(p.paths.approved),
        ledger=ledger.read(p.paths.ledger),
        pixels=manifest.read_pixels(p.paths.manifest),
    )
    whole = tables.build(rows, pairs, task, classes, beside)
    waivers.check_names(granted, rules, whole)
    excused = waivers.names(granted)

    of_images = expectations.check([rule for rule in rules if rule.quarantine], whole, excused)
    aside = quarantine.broken(rows, of_images)
    found, of_images = quarantine.settle(rows, of_images, aside, p.gate.max_quarantined_share)
    left = whole
    if found.is_open and aside.any():
        left = tables.build(rows[~aside], pairs, task, classes, beside)
        left["pairs"] = tables.near_duplicates(pairs, rows, aside)
    of_rest = expectations.check([rule for rule in rules if not rule.quarantine], left, excused)
    checked = sorted([*of_images, *of_rest], key=lambda result: rules.index(result.rule))

    results = as_results(checked, found, granted, files.sha256(p.paths.manifest), len(rows))
    failures = outcome.failing_rows(checked)
    page = validation_page.render(results, failures, rows, pairs, left["classes"], p.paths.raw, beside.approved)
    outcome.write(p.paths.validation, results, failures, page)
    files.write_json(p.paths.metrics.gate, {"gate": metrics(results)})
    print(*lines(results), f"report: {(p.paths.validation / 'index.html').as_posix()}", sep="\n")


def as_results(
    checked: list[expectations.Result],
    found: quarantine.Quarantine,
    granted: list[waivers.Waiver],
    manifest_sha256: str,
    n_images: int,
) -> dict[str, Any]:
    """Return the content of results.json, as in the module's docstring, which `gate` judges by."""
    return {
        "manifest": manifest_sha256,
        "passed": outcome.passed(checked),
        "n_images": n_images,
        "quarantine": {
            "limit": found.limit,
            "share": found.share,
            "n_images": found.n_images,
            "paths": found.paths,
        },
        "waivers": [_as_waiver(waiver, checked) for waiver in granted],
        "expectations": outcome.entries(checked),
    }


def _as_waiver(waiver: waivers.Waiver, checked: list[expectations.Result]) -> dict[str, Any]:
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


def _is_about(waiver: waivers.Waiver, rule: suites.Rule) -> bool:
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
        f"waived until {w['until']}: {w['expectation']}: {wording.counted(w['n_used'], 'row')}: {w['why']}"
        for w in results["waivers"]
    ]
    told = [f"{r['severity']}: {r['message']}" for r in failed]
    told += [f"{'set aside' if r['quarantine'] else 'tolerated'}: {r['message']}" for r in held]
    return [head, *told, *waived]


if __name__ == "__main__":
    stage.run("validate", main)
