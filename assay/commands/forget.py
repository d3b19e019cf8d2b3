"""`assay forget`: images removed for good."""

import click

from assay import params


@click.command()
@click.argument("name", nargs=-1, required=True)
def forget(name: tuple[str, ...]) -> None:
    """Remove the images called NAME for good: a path as the manifest has it, or a SHA-256.

    Their batch is written anew without them; all that DVC's cache and remotes and .assay keep of them is deleted. All
    remotes must be within reach, and no retraining may run.
    """
    from assay.versions import erasure

    click.echo(erasure.forget(list(name), params.load()))
