"""`assay models`: the networks that `train.network` may name."""

from pathlib import Path

import click


@click.command()
def models() -> None:
    """Print the networks that params.yaml's train.network may name, and whether a backbone's weights are here."""
    from assay import params
    from assay.training import catalogue

    own = params.load().paths.networks if params.FILE.exists() else Path("networks")
    click.echo(f"from scratch: {', '.join([*catalogue.networks(), *catalogue.files(own)])}\n")
    click.echo(f"{'backbone':<18}{'parameters':>12}{'side, px':>10}  {'licence':<14}imagenet's weights")
    for name, backbone in catalogue.BACKBONES.items():
        sides = f"{backbone.side_px} (≥{backbone.least_side_px})"
        head = f"{name:<18}{backbone.parameters:>12,}{sides:>10}  {backbone.licence:<14}"
        click.echo(f"{head}{catalogue.source(name)}, {'here' if catalogue.is_here(name) else 'not here'}")
