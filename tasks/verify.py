"""Stop here unless the shards hold what the manifest says: nothing is trained on records that nobody has read.

What was found stays in the folder `reports/verification` (assay/validation/outcome.py), also when the stage fails and
DVC records nothing. Its results.json holds, beside `expectations`: manifest and index (the SHA-256 of each), passed,
n_images.
"""

from typing import Any

import pandas as pd

from assay import files, params, passes, progress
from assay.dataset import manifest
from assay.dataset.originals import Originals
from assay.dataset.records import contents
from assay.errors import GateClosed
from assay.images import decode
from assay.operations import stage_run
from assay.validation import outcome, proofs, record_page, record_tables, rules, run, suites


def main(p: params.Params) -> None:
    p.paths.verified.unlink(missing_ok=True)
    set_aside = passes.check_open(p.paths.passed, p.paths.manifest)
    rows = manifest.read(p.paths.manifest)
    wanted = rows[rows["split"].notna() & ~rows["path"].isin(set_aside)]
    index = contents.read_index(p.paths.index)
    written = suites.read(p.paths.expectations, rules.OF_RECORDS)
    had_proofs = p.paths.memo.proofs.exists()
    tables = look(index, wanted, p)
    checked = run.check(written, tables)
    if had_proofs and not all(result.success for result in checked):
        proofs.forget(p.paths.memo.proofs)
        tables = look(index, wanted, p)  # nothing is refused by what was read on another day
        checked = run.check(written, tables)
    report(checked, rows, len(wanted), p)
    for result in checked:
        if not result.success and result.severity != "critical":
            print(f"{result.severity}: {result.message}")
    if closed := [result.message for result in checked if not result.success and result.severity == "critical"]:
        n = f"{len(closed)} critical expectation{'s' * (len(closed) != 1)}"
        raise GateClosed("\n".join([f"the records broke {n}", *closed]))
    files.write_json(p.paths.verified, {"records": "verified", "index": files.sha256(p.paths.index)})
    n_shards, n_images, n_samples = (len(tables[name]) for name in ("shards", "recorded", "samples"))
    print(f"{n_images:,} images in {n_shards:,} shards are as the manifest has them, {n_samples:,} were decoded again")


def look(index: contents.Index, wanted: pd.DataFrame, p: params.Params) -> dict[str, pd.DataFrame]:
    """Return the tables of what the shards hold, beside the rows of the manifest that they should."""
    paths, prepared = p.paths, decode.preparation(p.preprocess, p.ingest)
    with progress.told("reading the records back"):
        return record_tables.build(
            *(paths.records, paths.raw, index, wanted, prepared),
            n_samples=p.verify.sample_images,
            proven=paths.memo.proofs,
        )


def report(checked: list[run.Result], rows: pd.DataFrame, n_images: int, p: params.Params) -> None:
    """Leave what was found, whatever it says."""
    paths = p.paths
    results: dict[str, Any] = {
        "manifest": files.sha256(paths.manifest),
        "index": files.sha256(paths.index),
        "passed": all(result.success or result.severity != "critical" for result in checked),
        "n_images": n_images,
        "expectations": outcome.entries(checked),
    }
    failures = outcome.failing_rows(checked)
    html = record_page.of_records(results, failures, rows, Originals(paths.raw, decode.reading(p.ingest)))
    outcome.write(paths.verification, results, failures, html)


if __name__ == "__main__":
    stage_run.run("verify", main)
