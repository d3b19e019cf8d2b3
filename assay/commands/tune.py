"""`assay tune`: better parameters of training, by trying them."""

import difflib
from pathlib import Path

import click

from assay import files, params


@click.command()
@click.option("--minutes", type=click.FloatRange(min=0.1), required=True, help="How long to try further values.")
def tune(minutes: float) -> None:
    """Try other values for params.yaml's `train`, and print what to change in it.

    What is tried stands in params.yaml under `tune`. A trial is judged by its loss on the validation split; the test
    split is not read. Trials that are behind are given up early. Called again, it goes on where it was.
    """
    from assay.dataset.records import contents
    from assay.operations import params_lines
    from assay.training import tune as tuning
    from assay.training import tune_page

    p = params.load()
    index = contents.read_index(p.paths.index)
    study = tuning.study(p.paths.memo.training, p.paths.index, p)
    tuning.run(study, p, index, minutes=minutes, told=click.echo)
    files.write_text(page := Path("reports/tune/index.html"), tune_page.page(study, p.tune))
    click.echo(f"{len(study.trials)} trials: {page.as_posix()}")
    values = {f"train.{key}": value for key, value in tuning.best(study).items()}
    before = params.FILE.read_text()
    after = params_lines.changed(before, values)
    name = params.FILE.as_posix()
    change = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{name}", f"b/{name}", n=1
    )
    click.echo("".join(change) or "params.yaml has the best values already", nl=False)
