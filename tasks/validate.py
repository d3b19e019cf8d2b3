"""Hold the manifest against expectations/ and leave a report, whatever it says.

results.json holds, with `failures.csv` and the page beside it (assay/validation/outcome.py):

    manifest      SHA-256 of the manifest
    passed        whether the gate opens (but for a waiver that has run out by then)
    n_images      rows of the manifest
    quarantine    limit, n_images (that cannot be used or break a rule that sets aside), n_allowed (of them by a rule),
                  share (of the others); paths: the images with a split that are set aside, none if they are too many
    waivers       suite, expectation, names, why, until, where, n_used: how many failing rows it excuses
    weaker        suite, expectation, why, disarms: what asks for less than the shipped suites (validation/weaker.py)
    expectations  in the order of the suites
"""

from assay import files, params, progress
from assay.dataset import manifest, splits
from assay.dataset.originals import Originals
from assay.images import decode
from assay.operations import stage_run
from assay.validation import data_tables, judgement, outcome, page, rules, suites, waivers, weaker
from assay.validation.outcome import as_results, lines, metrics
from assay.validation.profile import approved


def main(p: params.Params) -> None:
    rows = manifest.read(p.paths.manifest)
    pairs = manifest.read_pairs(p.paths.pairs)
    task = manifest.task(p.paths.manifest)
    written = suites.read(p.paths.expectations, rules.OF_DATA)
    granted = waivers.read(p.paths.expectations, written)
    classes = rules.known_classes(written)
    beside = data_tables.Beside(
        approved=approved.read(p.paths.approved),
        ledger=splits.read(p.paths.ledger),
        pixels=manifest.read_pixels(p.paths.manifest),
    )
    data = judgement.Data(rows=rows, pairs=pairs, task=task, classes=classes, beside=beside)
    whole = data.tables()
    waivers.check_names(granted, written, whole)
    excused = waivers.names(granted)

    with progress.told("holding the images against the rules"):
        judged = judgement.judge(written, data, whole, excused, p.gate.max_quarantined_share)

    than_shipped = weaker.found(p.paths.expectations, p.gate.max_quarantined_share)
    results = as_results(judged, granted, than_shipped, files.sha256(p.paths.manifest), len(rows))
    failures = outcome.failing_rows(judged.checked)
    with progress.told("drawing the page"):
        raw = Originals(p.paths.raw, decode.reading(p.ingest))
        html = page.of_data(results, failures, rows, pairs, judged.left["classes"], raw, beside.approved, task)
    outcome.write(p.paths.validation, results, failures, html)
    files.write_json(p.paths.metrics.gate, {"gate": metrics(results)})
    print(*lines(results), f"report: {(p.paths.validation / 'index.html').as_posix()}", sep="\n")


if __name__ == "__main__":
    stage_run.run("validate", main)
