"""`assay monitor`: new images that nobody labelled."""

import click

from assay import params
from assay.commands import source_name


@click.command()
@click.argument("source", required=False)
@click.option("--served", is_flag=True, help="In place of SOURCE: what `assay serve` answered, by its log.")
@click.option("--days", default=7, show_default=True, type=click.IntRange(1), help="Of --served: days with answers.")
def monitor(source: str | None, served: bool, days: int) -> None:
    """Say whether new images, of whose classes nobody told, are like the approved ones and those the champion knows.

    \b
    SOURCE is one of
      PATH, folder:PATH  every image below a folder
      table:PATH         .csv, .jsonl or .parquet with a column path and perhaps group

    The PATH may be a URL. Exit code 6: they are not. Leaves a page in .assay/monitor/reports.
    """
    from assay.errors import DriftFound
    from assay.inference.monitoring import look

    if served == (source is not None):
        raise click.UsageError("one of SOURCE and --served must be given")
    if source is None:
        _served(days)
        return
    found = look.look(source_name.full(source, "monitor", "a folder or a table"), params.load())
    if found.report is None:
        click.echo(found.lines[0])
        return
    click.echo(f"{found.n_images:,} images: {'drift' if found.moved else 'no drift'}")
    click.echo(f"report: {found.report / 'index.html'}")
    if found.moved:
        raise DriftFound("\n".join(["monitor: drift", *found.lines]))


def _served(days: int) -> None:
    from assay import state
    from assay.errors import DriftFound
    from assay.inference.monitoring import look, served, survey
    from assay.versions import champion

    found = served.compare(served.read(state.ANSWERED, days), champion.read())
    others = f", and {found.n_of_others:,} by other versions" if found.n_of_others else ""
    click.echo(
        f"{found.n_images:,} images answered by the champion{others}; {found.unlike:.1%} unlike the train images"
    )
    if not found.compared:
        click.echo(f"a look waits for {survey.FEWEST}")
    elif moved := [look.said(each) for each in found.compared if each.has_moved]:
        raise DriftFound("\n".join(["monitor: drift", *moved, "`assay serve --keep FOLDER` keeps what to look at"]))
    else:
        click.echo("classes and confidence are as on the test images")
