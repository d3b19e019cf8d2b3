"""`assay noise`: how much of a difference another seed makes."""

import click

from assay import params


@click.command()
@click.option("--runs", default=5, show_default=True, help="Trainings; the more, the smaller a difference can be told.")
def noise(runs: int) -> None:
    """Train the champion's recipe again, each time with another seed, and write down how much the metrics scatter.

    Writes registry/noise.json, for git: `register` then says whether a change is more than another seed would do.
    Costs as many trainings as there are runs.
    """
    from assay.versions import seeds

    for line in seeds.record(params.load(), runs):
        click.echo(line)
