"""`assay results`: what the last run came to."""

from pathlib import Path

import click

from assay import params
from assay.operations import summary


@click.command()
def results() -> None:
    """Print what the last run came to, where to look, and what comes next."""
    p = params.load()
    if p.paths.passed.is_symlink():
        p.paths.passed.stat()  # raises where DVC's cache, which it is a link into, is gone
    if not p.paths.passed.exists():
        click.echo("\n".join(summary.rejected(p)))
        return
    from assay.versions import dvc_repo

    if due := dvc_repo.due(Path(), here=True):
        click.echo(f"{'data':8} {'passed':70} {p.paths.validation / 'index.html'}")
        click.echo(f"{due[0]} has to run: what lies here of a model is an earlier run's")
        click.echo("next     `dvc repro`")
        return
    click.echo("\n".join(summary.lines(p)))
