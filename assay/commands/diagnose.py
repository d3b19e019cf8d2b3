"""`assay diagnose`: why the classifier is poor, and one change to try."""

from pathlib import Path

import click

from assay import params
from assay.commands.model import MODEL, loaded
from assay.errors import AssayError


@click.command()
@click.argument("image", required=False, type=click.Path(path_type=Path, dir_okay=False, exists=True))
@MODEL
@click.option("--apply", "number", type=click.IntRange(1), help="Write the change of cause N to params.yaml.")
@click.option("--probe", is_flag=True, help="Train again with one change each, mostly for a third of the epochs.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Of --probe: begin no training after so many.")
@click.option("--json", "in_json", is_flag=True, help="Print the causes as JSON.")
def diagnose(
    image: Path | None, model: str | None, number: int | None, probe: bool, minutes: float | None, in_json: bool
) -> None:
    """Rank the causes of a poor result, each with what was seen and one change to try; or say why IMAGE is answered so.

    Looks at what the stages left; where the gate is closed or the training was stopped, at what there is. What looks
    the same from one run, --probe tells apart; the model in place stays as it is.
    """
    if sum((image is not None, number is not None, probe, in_json)) > 1:
        raise click.UsageError("at most one of IMAGE, --apply, --probe and --json")
    if (minutes and not probe) or (model and image is None):
        raise click.UsageError("--minutes is of --probe, and --model of IMAGE")
    if image is not None:
        click.echo("\n".join(_of_image(image, model)))
        return
    import json

    from assay.evaluation.diagnosis.diagnose import as_json
    from assay.inference import prepared
    from assay.operations import diagnosing

    p = params.load()
    seen = diagnosing.now(p, prepared.otherwise)
    if number:
        click.echo("\n".join(diagnosing.apply(seen.found, number)))
    elif probe:
        for line in diagnosing.probed(seen, p, minutes):
            click.echo(line)
    elif in_json:
        click.echo(json.dumps(as_json(seen.found), indent=2))
    else:
        click.echo("\n".join(diagnosing.lines(seen.found)))


def _of_image(image: Path, model: str | None) -> list[str]:
    import hashlib

    from assay.dataset import manifest
    from assay.images.decode import Undecodable
    from assay.inference import explain, one_image

    classifier, content = loaded(model), image.read_bytes()
    try:
        pixels = classifier.pixels(content)
        found = explain.explain(classifier, content, name=str(image), top=3)
    except Undecodable as error:
        raise AssayError(f"diagnose: {image}: {error}") from None
    p, known = params.load() if params.FILE.exists() else None, None
    if p and p.paths.manifest.exists():
        known = one_image.known(manifest.read(p.paths.manifest), hashlib.sha256(content).hexdigest())
    steady = one_image.steadiness(classifier, pixels)
    read, confused = one_image.read_as(classifier, content), one_image.confused(p, found) if p else None
    said = one_image.lines(found, read=read, steady=steady, is_known=known, confused=confused)
    return [*said, f"next: {one_image.next_step(found, steady, known)}"]
