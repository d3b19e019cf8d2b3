"""`assay relabel`: corrected labels over those of the source."""

from pathlib import Path

import click

from assay import params


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def relabel(file: Path) -> None:
    """Take the corrected labels of FILE over those of the source; the next run uses them.

    FILE is a CSV with `path` or `sha256`, and `corrected` or `label`: for example reports/evaluation/suspects.csv with
    a column `corrected`, empty where the label is right. Writes data/relabels.csv, for git; the source is not touched.
    """
    from assay.dataset import manifest, relabels

    p = params.load()
    known = relabels.read(p.paths.relabels)
    made = relabels.reviewed(file, manifest.read(p.paths.manifest), known, manifest.task(p.paths.manifest))
    relabels.write(p.paths.relabels, made)
    n_new = len(made.merge(known, on=["sha256", "label"], how="left", indicator=True).query("_merge == 'left_only'"))
    click.echo(f"{p.paths.relabels}: {len(made):,} corrected labels, {n_new:,} of them new; commit it; next: dvc repro")
