"""`assay rollback`: the champion before this one, in seconds."""

import click

from assay.errors import AssayError


@click.command()
@click.option("--why", default="by hand", show_default=True, help="What the history says of it.")
@click.option("--ref", default="main", show_default=True, help="What retrainings stand on.")
def rollback(why: str, ref: str) -> None:
    """Make the previous champion the champion again: one tag, one small commit on a branch of its own, both pushed.

    Its canary is asked first: a model that this machine cannot answer with does not come back. No stage runs, and the
    files of the checkout stay as they are; `assay serve` uses it within seconds.
    """
    from assay.inference import canary, exported
    from assay.inference.classifier import Classifier
    from assay.versions import rollback, tagged

    release = tagged.read(rollback.previous())
    place = tagged.export(release.version)
    found = exported.read(place.folder, place.sha256)
    outcome = canary.sing(Classifier(found), found.contents)
    click.echo(outcome.text)
    if not outcome.is_same:
        raise AssayError(f"rollback: {release.version} is not answered here as it was; nothing was changed")
    click.echo(rollback.roll_back(release, ref, why))
