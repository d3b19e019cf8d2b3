"""`assay expectations`: the suites, checked and suggested."""

from pathlib import Path

import click

from assay import params


@click.group()
def expectations() -> None:
    """Look after the suites of expectations/: what the data must be."""


@expectations.command()
def check() -> None:
    """Say whether the suites and the waivers are without a mistake; the first one is named by file, rule and key."""
    from assay.validation import checking

    click.echo(checking.check(params.load().paths))


@expectations.command()
@click.option("--to", type=click.Path(path_type=Path), help="Another folder than that of params.yaml.")
@click.option("--overwrite", is_flag=True, help="Replace the files of the same names.")
def suggest(to: Path | None, overwrite: bool) -> None:
    """Write suites that fit the manifest as it is now; their notes say where each limit comes from."""
    from assay.validation import checking

    click.echo(checking.suggest(params.load(), to, overwrite=overwrite))
