"""What `assay expectations` does: look the suites over, and write first ones."""

from pathlib import Path

import pyarrow.parquet as pq

from assay import gate, manifest, params, suggestion, suites, tables, waivers
from assay.errors import AssayError


def check(paths: params.Paths) -> str:
    """Return what was found to be in order; raises `AssayError` that names file, rule and key of the first mistake.

    The names in waivers are held against the manifest where there is one.
    """
    rules = suites.read(paths.expectations)
    granted = waivers.read(paths.expectations, [rule for rule in rules if rule.table in suites.OF_DATA])
    for waiver in granted:
        if gate.today() > waiver.until:
            raise AssayError(f"{waiver.where}: until: {waiver.until} is over; mend the data, or renew it")
    if granted and paths.manifest.exists():
        pairs = pq.read_table(paths.pairs).to_pandas()
        task = manifest.task(paths.manifest)
        built = tables.build(manifest.read(paths.manifest), pairs, task)
        of_built = {(rule.suite, rule.rule) for rule in rules if rule.table in built}
        waivers.check_names([w for w in granted if (w.suite, w.rule) in of_built], rules, built)
    n_suites = len({rule.suite for rule in rules})
    more = f", {len(granted)} waivers" if granted else ""
    return f"{paths.expectations}: {len(rules)} expectations in {n_suites} suites{more}: no mistake"


def suggest(p: params.Params, to: Path | None, *, overwrite: bool) -> str:
    """Return what was written, and which critical rules became warnings, for the data break them."""
    if not p.paths.manifest.exists():
        raise AssayError(f"{p.paths.manifest} is missing: nothing was measured yet; run `dvc repro ingest`")
    rows, pairs = manifest.read(p.paths.manifest), pq.read_table(p.paths.pairs).to_pandas()
    task = manifest.task(p.paths.manifest)
    suggested, lowered = suggestion.suites_for(rows, pairs, task, p.gate.max_quarantined_share)
    written = suggestion.write(to or p.paths.expectations, suggested, overwrite=overwrite)
    said = [f"written for {len(rows):,} images: {', '.join(file.as_posix() for file in written)}"]
    said += [f"only a warning, for it is broken now: {message}" for message in lowered]
    return "\n".join([*said, "next: read the notes, change what you know better, then dvc repro"])
