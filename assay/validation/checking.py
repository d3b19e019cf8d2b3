"""What `assay expectations` does: look the suites over, and write first ones."""

from pathlib import Path

from assay import params, passes
from assay.dataset import manifest
from assay.errors import AssayError
from assay.validation import data_tables, rules, suggestion, suites, waivers


def check(paths: params.Paths) -> str:
    """Return what was found to be in order; raises `AssayError` that names file, rule and key of the first mistake.

    The names in waivers are held against the manifest where there is one.
    """
    written = suites.read(paths.expectations)
    granted = waivers.read(paths.expectations, [rule for rule in written if rule.table in rules.OF_DATA])
    for waiver in granted:
        if passes.today() > waiver.until:
            raise AssayError(f"{waiver.where}: until: {waiver.until} is over; mend the data, or renew it")
    if granted and paths.manifest.exists():
        pairs = manifest.read_pairs(paths.pairs)
        task = manifest.task(paths.manifest)
        built = data_tables.build(manifest.read(paths.manifest), pairs, task)
        of_built = {(rule.suite, rule.rule) for rule in written if rule.table in built}
        waivers.check_names([w for w in granted if (w.suite, w.rule) in of_built], written, built)
    n_suites = len({rule.suite for rule in written})
    more = f", {len(granted)} waivers" if granted else ""
    return f"{paths.expectations}: {len(written)} expectations in {n_suites} suites{more}: no mistake"


def suggest(p: params.Params, to: Path | None, *, overwrite: bool) -> str:
    """Return what was written, what was excused or lowered for it, and what to look at first."""
    if not p.paths.manifest.exists():
        raise AssayError(f"{p.paths.manifest} is missing: nothing was measured yet; run `dvc repro ingest`")
    rows, pairs = manifest.read(p.paths.manifest), manifest.read_pairs(p.paths.pairs)
    suggested = suggestion.suites_for(rows, pairs, manifest.task(p.paths.manifest), p, passes.today())
    written = suggestion.write(to or p.paths.expectations, suggested, overwrite=overwrite)
    said = [f"written for {len(rows):,} images: {', '.join(file.as_posix() for file in written)}", *suggested.said]
    said += ["look at these three first; every other limit has a note in its file:", *suggestion.first(suggested)]
    elsewhere = f"move what you want of {to} to {p.paths.expectations}, then `dvc repro`"
    return "\n".join([*said, f"next: {elsewhere if to else '`dvc repro`'}"])
