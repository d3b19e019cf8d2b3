"""The `assay` command. Each subcommand imports what it needs, so that `--help` is quick."""

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from assay import files, params
from assay.errors import AssayError
from assay.labels import ACCURACY


@click.group()
def cli() -> None:
    """Test image data before a model is trained on it, and the model before anyone uses it."""


@cli.command()
@click.argument("source", required=False)
@click.option("--path", metavar="COLUMN", help="The table's column of paths, if not `path`.")
@click.option("--label", metavar="COLUMN", help="The table's column of labels, if not `label`.")
@click.option("--labels", metavar="COLUMN", help="Multi-label: the column of lists, or of text with a separator.")
@click.option("--separator", metavar="TEXT", help="What stands between the labels of --labels: ';' or ', ' or ...")
@click.option("--label-columns", metavar="A,B,...", help="Multi-label: the columns of 0 and 1, one per class.")
@click.option("--group", metavar="COLUMN", help="The table's column of groups, if not `group`.")
@click.option("--split", metavar="COLUMN", help="The table's column of splits, if not `split`.")
def snapshot(source: str | None, **options: str | None) -> None:
    """Write down what SOURCE holds now: the images that the next run works on. Without SOURCE: of the last one.

    \b
    SOURCE is one of
      PATH, folder:PATH  a folder CLASS/IMAGE, or with train, val and test above the classes
      table:PATH         .csv, .jsonl or .parquet with columns path, label and perhaps group, split
      tar:PATTERN        WebDataset shards, e.g. 'tar:shards/*.tar'; a list in .json makes them multi-label
      keras:NAME         mnist, fashion_mnist, cifar10 or cifar100
      tfds:NAME          an image set of TensorFlow Datasets; needs pip install 'assay[tfds]'
      sklearn:digits

    The PATH of a folder and a table may be a URL: s3://..., gs://..., https://...
    """
    from assay import source as sources

    p = params.load()
    given = {name: value for name, value in options.items() if value is not None}
    if source is None and given:
        raise AssayError(f"snapshot: --{next(iter(given)).replace('_', '-')} is for a SOURCE, and none is given")
    images = sources.open_again(p.paths.source) if source is None else sources.open_source(_named(source), given)
    taken = sources.snapshot(images)
    before = p.paths.source.read_text() if p.paths.source.exists() else ""
    files.write_json(p.paths.source, taken)
    if not p.paths.approved.exists():
        files.write_json(p.paths.approved, {})  # nothing approved yet; DVC wants the file
    classes = sources.class_names(images)
    several = ", multi-label" if images.task == "multi_label" else ""
    click.echo(f"{p.paths.source}: {images.name}, {len(images.entries):,} images in {len(classes)} classes{several}")
    click.echo(f"classes: {', '.join(classes[:20])}{', ...' if len(classes) > 20 else ''}")
    click.echo("unchanged" if p.paths.source.read_text() == before else "next: dvc repro")


def _named(source: str, command: str = "snapshot", kinds: str = "a folder, a table, a tar or a data set") -> str:
    """Return the source's full name: a bare path is a folder, absolute unless it lies within this one."""
    if not source:
        raise AssayError(f"{command}: the source is empty, must name {kinds}")
    kind, colon, rest = source.partition(":")
    has_path = kind in ("folder", "table", "tar") and rest != ""
    if colon and not Path(source).exists() and (not has_path or "://" in rest):
        return source
    kind, rest = (kind, rest) if colon and has_path else ("folder", source)
    place, here = Path(rest).expanduser().resolve(), Path.cwd()
    return f"{kind}:{(place.relative_to(here) if place.is_relative_to(here) else place).as_posix()}"


@cli.group()
def expectations() -> None:
    """Look after the suites of expectations/: what the data must be."""


@expectations.command()
def check() -> None:
    """Say whether the suites and the waivers are without a mistake; the first one is named by file, rule and key."""
    from assay import checking

    click.echo(checking.check(params.load().paths))


@expectations.command()
@click.option("--to", type=click.Path(path_type=Path), help="Another folder than that of params.yaml.")
@click.option("--overwrite", is_flag=True, help="Replace the files of the same names.")
def suggest(to: Path | None, overwrite: bool) -> None:
    """Write suites that fit the manifest as it is now; their notes say where each limit comes from."""
    from assay import checking

    click.echo(checking.suggest(params.load(), to, overwrite=overwrite))


@expectations.command()
def docs() -> None:
    """Make Great Expectations' own pages, its Data Docs, of what the last run found. They need no network."""
    from assay import data_docs

    paths = params.load().paths
    click.echo(data_docs.build(paths.expectations, paths.validation, paths.data_docs))


@cli.command()
@click.argument("name", nargs=-1, required=True)
def forget(name: tuple[str, ...]) -> None:
    """Remove the images called NAME for good: a path as the manifest has it, or a SHA-256.

    Their batch is written anew without them; all that DVC's cache and remotes and .assay keep of them is deleted. All
    remotes must be within reach, and no retraining may run.
    """
    from assay import forget as forgetting

    click.echo(forgetting.forget(list(name), params.load()))


@cli.command()
@click.argument("old")
@click.argument("new", default="workspace")
@click.option("--plots", type=click.Path(path_type=Path), help="Draw DVC's plots into this folder, and show them.")
def compare(old: str, new: str, plots: Path | None) -> None:
    """Print as Markdown what changed between the commits OLD and NEW, by default the files as they are.

    Exit code 4: the accuracy drops by more than params.yaml's register.max_accuracy_drop.
    """
    from assay import compare as comparing
    from assay import plots as drawing
    from assay.errors import WorseModel

    worse = None
    try:
        page = comparing.compare(old, new, params.load())
    except WorseModel as error:
        page, worse = error.page, error
    pictures = drawing.draw(plots, old, new) if plots else []
    click.echo("\n\n".join([page, *(f"![{file.stem}]({file.as_posix()})" for file in pictures)]))
    if worse:
        raise worse


@cli.command()
def approve() -> None:
    """Take the data that the last run validated for what data should be like: new images are held against them.

    Writes data/approved.json, for git: distributions and shares, no image. Look at reports/validation first.
    """
    from assay import approve as approving

    p = params.load()
    click.echo("\n".join(approving.approve(p)))
    click.echo(f"{p.paths.approved}: commit it; then `dvc repro`")


@cli.command()
@click.argument("source")
def monitor(source: str) -> None:
    """Say whether new images, of whose classes nobody told, are like the approved ones and those the champion knows.

    \b
    SOURCE is one of
      PATH, folder:PATH  every image below a folder
      table:PATH         .csv, .jsonl or .parquet with a column path and perhaps group

    The PATH may be a URL. Exit code 6: they are not. Leaves a page in .assay/monitor/reports.
    """
    from assay import monitor as watching
    from assay.errors import DriftFound

    found = watching.look(_named(source, "monitor", "a folder or a table"), params.load())
    if found.report is None:
        click.echo(found.lines[0])
        return
    click.echo(f"{found.n_images:,} images: {'drift' if found.moved else 'no drift'}")
    click.echo(f"report: {found.report / 'index.html'}")
    if found.moved:
        raise DriftFound("\n".join(["monitor: drift", *found.lines]))


@cli.command()
@click.option("--hold", is_flag=True, help="Do not make it the champion, even if it may.")
def release(hold: bool) -> None:
    """Commit what the last run made and tag it as a version of the classifier."""
    from assay import release as releases

    click.echo(releases.release(params.load(), hold=hold))


@cli.command()
@click.argument("version")
@click.option("--here", is_flag=True, help="In this checkout and branch, not in one of its own.")
@click.option("--ref", default="main", show_default=True, help="What retrainings stand on.")
def promote(version: str, here: bool, ref: str) -> None:
    """Make the released VERSION the champion: a held one, or an older one to go back to it.

    The commit, on a branch retrain/promote-VERSION, and all tags are pushed to the remotes, where there are any, as a
    retraining pushes them. With --here nothing is pushed.
    """
    if here:
        from assay import release as releases

        click.echo(releases.promote(version, params.load()))
    else:
        from assay import promote as promotion

        click.echo(promotion.promote(version, ref))


@cli.command("serve-flows")
def serve_flows() -> None:
    """Run the flows of prefect.yaml when they are due, until ended. Needs a server: `prefect server start`."""
    _flow("serve")


@cli.command("deploy-flows")
def deploy_flows() -> None:
    """Give the flows of prefect.yaml to the workers of their work pools. Needs a server, and the pools."""
    _flow("deploy")


@cli.command()
@click.option("--test-alerts", is_flag=True, help="Send each receiver a test message, and what it did not take.")
@click.option("--alert", is_flag=True, help="Tell the receivers what is wrong.")
def doctor(**options: bool) -> None:
    """Say what stands in the way of the next retraining, and what to do. Exit code 1: something does."""
    _flow("doctor", *(f"--{name.replace('_', '-')}" for name, wanted in options.items() if wanted))


@cli.command()
@click.option("--dry", is_flag=True, help="Only count.")
def clean(dry: bool) -> None:
    """Remove old reports and worktrees, and from DVC's cache what no branch or tag needs."""
    from assay import clean as cleaning
    from assay.wording import counted

    removed = cleaning.clean(dry=dry)
    would = "would remove" if dry else "removed"
    counts = f"{counted(removed.worktrees, 'worktree')}, {counted(removed.reports, 'report')}"
    click.echo(f"{would} {counts}, {counted(removed.objects, 'object')} of the cache")


def _flow(name: str, *arguments: str) -> NoReturn:
    """Become a module of flows/, which this library does not import."""
    if not Path(f"flows/{name}.py").exists():
        raise AssayError(f"{name}: run this in the folder that holds flows/")
    os.execv(sys.executable, [sys.executable, "-m", f"flows.{name}", *arguments])


@cli.command()
def results() -> None:
    """Print what the last run came to, and where to look."""
    paths = params.load().paths
    if not paths.passed.exists():
        click.echo(f"{'data':8} {'rejected, or not validated yet':70} {paths.validation / 'index.html'}")
        click.echo("what lies here of a model is an earlier run's")
        return
    from assay import tracking

    if due := tracking.due(Path(), here=True):
        click.echo(f"{'data':8} {'passed':70} {paths.validation / 'index.html'}")
        click.echo(f"{due[0]} has to run: what lies here of a model is an earlier run's")
        return
    test, candidate = files.read_json(paths.metrics.eval)["eval"], files.read_json(paths.candidate)
    word = ACCURACY[candidate.get("task", "single_label")]
    accuracy = f"{word} {test['accuracy']:.4f}, between {test['accuracy_low']:.4f} and {test['accuracy_high']:.4f}"
    rows = [
        ("data", "passed", paths.validation / "index.html"),
        ("model", f"{accuracy}, on {test['n_images']:,} test images", paths.evaluation / "index.html"),
        ("verdict", candidate["verdict"], paths.card),
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
        said = f"{error.filename}: {error.strerror}" if error.filename else " ".join(str(error).split())
        click.echo(f"assay: {said}", err=True)
        sys.exit(1)
