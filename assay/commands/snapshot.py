"""`assay snapshot`: what the source holds now."""

import click

from assay import files, params
from assay.commands import source_name, source_options
from assay.errors import AssayError


@click.command()
@click.argument("source", required=False)
@source_options.of_tables
def snapshot(source: str | None, **options: str | None) -> None:
    """Write down what SOURCE holds now: the images that the next run works on. Without SOURCE: of the last one.

    \b
    SOURCE is one of
      PATH, folder:PATH  a folder CLASS/IMAGE, or with train, val and test above the classes
      table:PATH         .csv, .jsonl or .parquet with columns path, label and perhaps group, split
      tar:PATTERN        WebDataset shards, e.g. 'tar:shards/*.tar'; a list in .json makes them multi-label
      keras:NAME         mnist, fashion_mnist, cifar10 or cifar100; needs pip install 'assay[tfds]'
      tfds:NAME          any image set of TensorFlow Datasets; needs the same
      sklearn:digits

    The PATH of a folder and a table may be a URL: s3://..., gs://..., https://...
    """
    from assay.sources import opening

    p = params.load()
    given = source_options.given(options)
    if source is None and given:
        raise AssayError(f"snapshot: --{next(iter(given)).replace('_', '-')} is for a SOURCE, and none is given")
    images = (
        opening.open_again(p.paths.source) if source is None else opening.open_source(source_name.full(source), given)
    )
    taken = opening.snapshot(images)
    before = p.paths.source.read_text() if p.paths.source.exists() else ""
    files.write_json(p.paths.source, taken)
    if not p.paths.approved.exists():
        files.write_json(p.paths.approved, {})  # nothing approved yet; DVC wants the file
    if not p.paths.relabels.exists():
        files.write_text(p.paths.relabels, "sha256,was,label,path\n")  # nor corrected
    classes = opening.class_names(images)
    several = ", multi-label" if images.task == "multi_label" else ""
    click.echo(f"{p.paths.source}: {images.name}, {len(images.entries):,} images in {len(classes)} classes{several}")
    click.echo(f"classes: {', '.join(classes[:20])}{', ...' if len(classes) > 20 else ''}")
    for note in opening.notes(images):
        click.echo(f"note: {note}")
    from assay.operations import next_step

    is_new = p.paths.source.read_text() != before
    click.echo(f"{'' if is_new else 'unchanged; '}next: {next_step.after_snapshot(p, images.name, classes)}")
