"""`assay init`: a fresh clone made the project of one's own images."""

import click

from assay import params
from assay.commands import source_name, source_options


@click.command()
@click.argument("source")
@source_options.of_tables
@click.option("--dry", is_flag=True, help="Only say what would be done.")
def init(source: str, dry: bool, **options: str | None) -> None:
    """Make this clone the project of the images in SOURCE, a folder or what else `assay snapshot` takes.

    Puts away what belongs to the images before, measures the new ones, suggests expectations, chooses sizes, colour and
    training for them, and commits all of it. Refuses where a model was released or work is not committed; run again it
    changes nothing.
    """
    from assay.operations import setting_up
    from assay.sources import opening

    p = params.load()
    planned = setting_up.plan(source_name.full(source, "init"), source_options.given(options), p)
    n, classes = len(planned.source.entries), opening.class_names(planned.source)
    click.echo(f"{planned.source.name}: {n:,} images in {len(classes)} classes: {', '.join(classes[:10])}")
    for note in opening.notes(planned.source):
        click.echo(f"note: {note}")
    if planned.is_there:
        click.echo("this project is set up for these images already: nothing was changed")
        click.echo("next: `assay snapshot` and `dvc repro` where images have come or gone, else `make repro`")
        return
    gone = ", ".join(each.as_posix() for each in planned.gone)
    click.echo(f"{'would put' if dry else 'put'} away, as it belongs to other images: {gone or 'nothing'}")
    if dry:
        click.echo("would then measure the images, suggest expectations/, choose sizes and training in params.yaml")
        click.echo("next: the same without --dry")
        return
    setting_up.put_away(planned, p)
    setting_up.measure()
    click.echo("\n".join(["chosen, in params.yaml:", *setting_up.choose(p)]))
    click.echo("\n".join(["written, in expectations/:", *setting_up.suggest(params.load())]))
    click.echo(f"committed as {setting_up.commit(planned)}; `git reset --hard HEAD~1` takes it back")
    click.echo("next, one after the other:")
    click.echo("  make repro       # checks, prepares, trains and measures; ends with two pages to look at")
    click.echo("  assay approve    # when the page about the images is as it should be: later ones are held against it")
    click.echo("  assay release    # makes the model a version; the champion, if it may be")
