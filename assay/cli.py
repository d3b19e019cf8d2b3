"""The `assay` command. Each subcommand imports what it needs, so that `--help` is quick."""

import sys
from pathlib import Path

import click

from assay import files, params
from assay.errors import AssayError


@click.group()
def cli() -> None:
    """Test image data before a model is trained on it, and the model before anyone uses it."""


@cli.command()
@click.argument("source")
def snapshot(source: str) -> None:
    """Write down what SOURCE holds now: the images that the next run works on.

    SOURCE is a folder of class sub-folders, or sklearn:digits.
    """
    from assay import source as sources

    p = params.load()
    images = sources.open_source(_named(source))
    taken = sources.snapshot(images)
    before = p.paths.source.read_text() if p.paths.source.exists() else ""
    files.write_json(p.paths.source, taken)
    classes = sorted({entry.label for entry in images.entries if entry.label is not None})
    click.echo(f"{p.paths.source}: {images.name}, {len(images.entries):,} images in {len(classes)} classes")
    click.echo(f"classes: {', '.join(classes[:20])}{', ...' if len(classes) > 20 else ''}")
    click.echo("unchanged" if p.paths.source.read_text() == before else "next: dvc repro")


def _named(source: str) -> str:
    """Return the source's full name: a bare path is a folder, absolute unless it lies within this one."""
    kind, colon, rest = source.partition(":")
    if colon and not Path(source).exists() and (kind != "folder" or not rest):
        return source
    folder = Path(source.removeprefix("folder:")).expanduser().resolve()
    here = Path.cwd()
    return f"folder:{(folder.relative_to(here) if folder.is_relative_to(here) else folder).as_posix()}"


@cli.command()
def release() -> None:
    """Commit what the last run made and tag it as a version of the classifier."""
    from assay import release as releases

    click.echo(releases.release(params.load()))


@cli.command()
def results() -> None:
    """Print what the last run came to, and where to look."""
    paths = params.load().paths
    if not paths.passed.exists():
        click.echo(f"{'data':8} {'rejected, or not validated yet':70} {paths.validation / 'index.html'}")
        click.echo("what lies here of a model is an earlier run's")
        return
    test, verdict = files.read_json(paths.metrics.eval)["eval"], files.read_json(paths.candidate)["verdict"]
    accuracy = f"accuracy {test['accuracy']:.4f}, between {test['accuracy_low']:.4f} and {test['accuracy_high']:.4f}"
    rows = [
        ("data", "passed", paths.validation / "index.html"),
        ("model", f"{accuracy}, on {test['n_images']:,} test images", paths.evaluation / "index.html"),
        ("verdict", verdict, paths.card),
    ]
    for name, seen, place in rows:
        click.echo(f"{name:8} {seen:70} {place}")


def main() -> None:
    try:
        cli()
    except AssayError as error:
        click.echo(f"assay: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        click.echo(f"assay: {error.filename}: {error.strerror}", err=True)
        sys.exit(1)
