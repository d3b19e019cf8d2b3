"""`assay approve`: the data that new images are held against."""

import click

from assay import params


@click.command()
def approve() -> None:
    """Take the data that the last run validated for what data should be like: new images are held against them.

    Writes data/approved.json, for git: distributions and shares, no image. Look at reports/validation first.
    """
    from assay.validation.profile import approving

    p = params.load()
    click.echo("\n".join(approving.approve(p)))
    click.echo(f"next: `git commit -m 'Approve the images' {p.paths.approved}`, then `dvc repro`")
