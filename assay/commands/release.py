"""`assay release`: what the last run made, as a version."""

import click

from assay import params


@click.command()
@click.option("--hold", is_flag=True, help="Do not make it the champion, even if it may.")
def release(hold: bool) -> None:
    """Commit what the last run made and tag it as a version of the classifier."""
    from assay.operations import next_step
    from assay.versions import releases

    done = releases.release(params.load(), hold=hold)
    click.echo(done)
    click.echo(f"next: {next_step.after_release(is_champion=done.endswith('champion'))}")
