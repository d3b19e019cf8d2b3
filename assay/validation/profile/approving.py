"""What `assay approve` does: take the data of the last validation for what data should be like."""

from typing import Any

import pandas as pd

from assay import files, params
from assay.dataset import manifest
from assay.errors import AssayError
from assay.validation.profile import approved, comparison, shortcuts

OURS = "unapproved"  # the column that says what was never approved: to approve it is what this is for


def approve(p: params.Params) -> list[str]:
    """Write the profile of the images that would be used, and return what changed, a line each.

    Raises `AssayError` unless `validate` has looked at this manifest: nobody approves what was not looked at.
    """
    aside = _set_aside(p.paths)
    rows, task = manifest.read(p.paths.manifest), manifest.task(p.paths.manifest)
    is_aside = rows["path"].isin(aside)
    before = _before(p)
    used = rows.assign(split=rows["split"].where(~is_aside))
    found = shortcuts.tables(None, used, manifest.read_pixels(p.paths.manifest), task)
    after = approved.build(used, task, found["shortcuts"], found["borders"])
    approved.write(p.paths.approved, after)
    return comparison.changes(before, after)


def _before(p: params.Params) -> approved.Profile | None:
    """Return what was approved so far; what another version wrote is replaced, not compared."""
    try:
        return approved.read(p.paths.approved) if p.paths.approved.exists() else None
    except AssayError:
        return None


def _set_aside(paths: params.Paths) -> set[str]:
    """Return the paths of the images that are set aside for something that no approval mends."""
    report = paths.validation / "results.json"
    if not paths.manifest.exists() or not report.exists():
        raise AssayError(f"approve: {report}: not found, so nobody can have looked at it; run `dvc repro validate`")
    results: dict[str, Any] = files.read_json(report)
    if results["manifest"] != files.sha256(paths.manifest):
        raise AssayError(f"approve: {report} is of another {paths.manifest}; run `dvc repro validate`, and look at it")
    failures = pd.read_csv(paths.validation / "failures.csv", dtype="str", keep_default_na=False)
    rules = [r for r in results["expectations"] if r["quarantine"] and r["column"] != OURS]
    names = {(r["suite"], r["expectation"]) for r in rules}
    told = pd.Series(list(zip(failures["suite"], failures["expectation"], strict=True)), index=failures.index)
    is_broken = told.isin(names) & (failures["status"] != "waived")
    broken, found = set(failures.loc[is_broken, "path"]), results["quarantine"]
    return broken if found["share"] > found["limit"] else broken & set(found["paths"])  # too many: none is listed
