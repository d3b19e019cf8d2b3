"""`assay export`: the model for runtimes other than ours."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.commands.model import MODEL, loaded

if TYPE_CHECKING:
    from assay.inference.extras.extra import Kind


@click.command()
@click.argument("kind", type=click.Choice(["savedmodel", "litert", "litert-int8"]))
@MODEL
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="A folder.  [default: models/extras/KIND]"
)
def export(kind: "Kind", model: str | None, out: Path | None) -> None:
    """Write the model for another runtime, and say how far it answers as the ONNX export does.

    \b
    savedmodel   for TensorFlow Serving
    litert       LiteRT (once TensorFlow Lite), for phones and small boards
    litert-int8  the same in 8-bit integers: a third of the size, other answers now and then

    All take the pixels that the ONNX export takes, and give its probabilities. They are measured on the test images of
    the checkout, and not written where they answer otherwise than they may (params.yaml: export).
    """
    from assay import params
    from assay.inference.extras import extra

    p = params.load()
    classifier = loaded(model)
    made = extra.write(out or p.paths.extras / kind, kind, classifier, p)
    click.echo(f"{made.folder}: {made.bytes / 1000:,.0f} kB, of the model {classifier.about.model[:12]}")
    click.echo(made.agreement.text)
    if made.quantised_by is not None:
        click.echo(f"the ranges of its integers: by {made.quantised_by:,} train images, drawn with seed {p.seed}")
    click.echo('next: docs/serving.md, "Other runtimes", has a program that asks it; model.json is what that reads')
