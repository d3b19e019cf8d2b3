"""`assay promote`: a released version made the champion."""

import click

from assay import params


@click.command()
@click.argument("version")
@click.option("--here", is_flag=True, help="In this checkout and branch, not in one of its own.")
@click.option("--ref", default="main", show_default=True, help="What retrainings stand on.")
def promote(version: str, here: bool, ref: str) -> None:
    """Make the released VERSION the champion: a held one, or an older one to go back to it.

    The commit, on a branch retrain/promote-VERSION, and all tags are pushed to the remotes, where there are any, as a
    retraining pushes them. With --here nothing is pushed.
    """
    if here:
        from assay.versions import releases

        click.echo(releases.promote(version, params.load()))
    else:
        from assay.versions import promotion

        click.echo(promotion.promote(version, ref))
        click.echo(
            f"next: `git merge retrain/promote-{version}` brings it here; the next retraining stands on it already"
        )
