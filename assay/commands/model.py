"""`--model`: which classifier a command asks."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from assay import params

if TYPE_CHECKING:
    from assay.inference.classifier import Classifier

MODEL = click.option(
    "--model",
    metavar="DIR|VERSION",
    help="A folder that `register` exported to, a released version such as v0.0.3, or `champion`. "
    "[default: the champion; while there is none, what the last run exported]",
)


def chosen(model: str | None) -> str:
    """Return which classifier is meant: the one that is named, else the champion, else what the last run exported."""
    if model is not None:
        return model
    from assay.versions import tagged

    if tagged.has_champion() or not params.FILE.exists():
        return tagged.CHAMPION
    exported = params.load().paths.export
    if not exported.is_dir():
        return tagged.CHAMPION
    click.echo(f"no champion yet: {exported} answers, which the last run left; `assay release` makes it one", err=True)
    return f"{exported.as_posix()}/"


def loaded(model: str | None) -> "Classifier":
    """Return the classifier of an export folder or of a released version; raises `AssayError`."""
    from assay.inference.classifier import Classifier

    named = chosen(model)
    is_folder = Path(named).is_dir() or "/" in named
    return Classifier.load(named) if is_folder else Classifier.load(version=named)
