"""`assay predict`: what the classifier says of images."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay.commands import output
from assay.commands.model import MODEL, loaded
from assay.errors import AssayError, Unreadable

if TYPE_CHECKING:
    from assay.inference.inputs import Input
    from assay.inference.model import Prediction


@click.command()
@click.argument("given", metavar="PATH...", nargs=-1, required=True)
@click.option("--top", default=3, show_default=True, type=click.IntRange(1), help="How many classes of each image.")
@MODEL
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv", "parquet"]),
    default="table",
    show_default=True,
    help="Of what is written.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="A file in place of standard output.")
def predict(given: tuple[str, ...], top: int, model: str | None, form: str, out: Path | None) -> None:
    """Say what the classifier sees in images.

    \b
    PATH is a file, a folder, a glob, a table (.csv, .jsonl or .parquet with a column
    path), a tar, or a URL of one of them; - is an image on standard input, or a list
    of paths, one a line.

    An image that cannot be read is a row that says why. Exit code 7: there is such a row.
    """
    from assay.inference import inputs, predict, rows

    counts = {"images": 0, "unreadable": 0}
    if out is not None:
        output.check(out, map(Path, inputs.holders(given)), of="predict: --out")
    classifier = loaded(model)
    found = predict.stream(classifier, _kept(inputs.listed(given), out), top=top)
    rows.write(
        _counted(_shown(found, inputs.count(given) if sys.stderr.isatty() else None), counts), form, out, top=top
    )
    if not counts["images"]:
        raise AssayError(f"predict: {', '.join(given)}: holds no file")
    if out:
        click.echo(f"{out}: {counts['images']:,} images, by {classifier.version}", err=True)
    if counts["unreadable"]:
        raise Unreadable(f"predict: {counts['unreadable']:,} of {counts['images']:,} images cannot be read")


def _kept(listed: Iterable["Input"], out: Path | None) -> Iterator["Input"]:
    """Yield what is listed; raises `AssayError` at an image in whose place the answers would be written."""
    for each in listed:
        if out is not None and out.name == Path(each.place).name:
            output.check(out, [Path(each.place)], of="predict: --out")
        yield each


def _counted(predictions: Iterable["Prediction"], counts: dict[str, int]) -> Iterator["Prediction"]:
    for each in predictions:
        counts["images"] += 1
        counts["unreadable"] += bool(each.problem)
        yield each


def _shown(predictions: Iterable["Prediction"], total: int | None) -> Iterable["Prediction"]:
    """Return the predictions with a bar and the time that is left, at a terminal."""
    from tqdm import tqdm

    bar: Iterable[Prediction] = tqdm(predictions, total=total, unit=" images", disable=None, delay=1, file=sys.stderr)
    return bar
