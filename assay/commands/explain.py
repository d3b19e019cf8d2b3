"""`assay explain`: why the classifier says of an image what it says."""

from pathlib import Path

import click

from assay.commands import output
from assay.commands.model import MODEL, loaded
from assay.errors import AssayError


@click.command()
@click.argument("image", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@MODEL
@click.option("--top", default=3, show_default=True, type=click.IntRange(1), help="How many classes.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="A .png: the image with its heat map.")
def explain(image: Path, model: str | None, top: int, out: Path | None) -> None:
    """Say why IMAGE is answered as it is: where the class was seen, the nearest train images, what is unusual.

    The heat map shows what the likeliest class was seen by: its class-activation map.
    """
    from assay import files
    from assay.images.decode import Undecodable
    from assay.inference import explain

    if out is not None:
        output.check(out, [image], of="explain: --out", suffix=".png")
    classifier, content = loaded(model), image.read_bytes()
    try:
        found = explain.explain(classifier, content, name=str(image), top=top)
    except Undecodable as error:
        raise AssayError(f"explain: {image}: {error}") from None
    click.echo("\n".join(explain.lines(found)))
    if out is not None:
        if found.heat is None:
            raise AssayError("explain: this network has no class-activation maps: it does not end in pooling and dense")
        with files.replacing(out) as content_out:
            content_out.write(explain.png(explain.laid_over(classifier, found, content)))
        click.echo(f"heat map of {found.of!r}: {out}")
