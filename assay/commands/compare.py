"""`assay compare`: what changed between two commits."""

from pathlib import Path

import click

from assay import files, params
from assay.commands import output


@click.command()
@click.argument("old")
@click.argument("new", default="workspace")
@click.option(
    "--gate", "asked", multiple=True, metavar="METRIC:CHANGE", help="E.g. test.f1_macro:-0.01; may be repeated."
)
@click.option("--json", "as_json", type=click.Path(path_type=Path), help="Write it for programs into this file.")
@click.option(
    "--html", type=click.Path(path_type=Path), help="Write a page with the new errors' pictures into this file."
)
@click.option("--plots", type=click.Path(path_type=Path), help="Draw DVC's plots into this folder, and show them.")
def compare(
    old: str, new: str, asked: tuple[str, ...], as_json: Path | None, html: Path | None, plots: Path | None
) -> None:
    """Print as Markdown what changed between the commits OLD and NEW, by default the files as they are.

    Exit code 4: a gate is not kept; 1: one cannot be held. Without --gate the accuracy must not drop by more than
    params.yaml's register.margin.
    """
    from assay.errors import WorseModel
    from assay.versions import changes, changes_page, gates
    from assay.versions import plots as drawing

    p = params.load()
    ours = [file for file in vars(p.paths).values() if isinstance(file, Path)]
    for file, option, suffix in ((as_json, "--json", ".json"), (html, "--html", ".html")):
        if file:
            output.check(file, ours, of=f"compare: {option}", suffix=suffix)
    wanted = [gates.parse(text) for text in asked] or [gates.usual(p.register.margin)]
    found = changes.look(old, new, p)
    pictures = drawing.draw(plots, old, new) if plots else []
    click.echo("\n\n".join([changes.markdown(found), *(f"![{file.stem}]({file.as_posix()})" for file in pictures)]))
    if as_json:
        files.write_json(as_json, changes.as_json(found))
    if html:
        files.write_text(html, changes_page.build(found, p))
    if failed := gates.fallen(found, wanted):
        raise WorseModel("; ".join(failed) + ("" if asked else " (params.yaml: register.margin)"))
