"""`assay serve`: a page and an interface that answer images."""

import os
import sys
from pathlib import Path

import click

from assay import state
from assay.commands.model import MODEL, chosen
from assay.errors import AssayError

TOKEN = "ASSAY_TOKEN"  # the environment variable, for a command line is seen by everybody on the machine
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
ENDING_S = 30  # for requests that are at work when the server is told to stop


@click.command()
@MODEL
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0: whoever reaches this machine may ask.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option("--max-mb", default=20.0, show_default=True, type=click.FloatRange(0.001), help="Of a request.")
@click.option("--max-mpx", default=40.0, show_default=True, type=click.FloatRange(0.001), help="Of an image.")
@click.option("--waiting", default=64, show_default=True, type=click.IntRange(0), help="Requests, before 503.")
@click.option(
    "--log",
    type=click.Path(path_type=Path, file_okay=False),
    default=state.ANSWERED,
    show_default=True,
    help="Where predictions are noted, without images and names.",
)
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Keep the images too, in this folder.")
def serve(
    model: str | None, host: str, port: int, max_mb: float, max_mpx: float, waiting: int, log: Path, keep: Path | None
) -> None:
    """Answer images over HTTP: a page at /, and /predict for programs. Ends with Ctrl-C, after what is at work.

    A new champion is used as soon as it is there. Where the environment holds ASSAY_TOKEN every request but those for
    the page, /healthz and /readyz must bring it: `Authorization: Bearer TOKEN`.
    """
    import uvicorn

    from assay import params
    from assay.inference.neighbours import Pictures
    from assay.inference.serving import answered, app
    from assay.inference.serving.current import Current
    from assay.inference.serving.limits import MEGA, Limits

    token = os.environ.get(TOKEN)
    if token == "":
        raise AssayError(f"serve: {TOKEN} is empty; unset it, or give it a value")
    is_open = host not in LOOPBACK
    current = Current(chosen(model))
    paths = params.load().paths if params.FILE.exists() else None
    pictures = Pictures(paths.index, paths.records) if paths else Pictures(Path("-"), Path("-"))
    made = app.create(
        current,
        limits=Limits(body_bytes=round(max_mb * MEGA), pixels=round(max_mpx * MEGA), waiting=waiting),
        pictures=pictures,
        log=answered.Log(log, keep),
        token=token,
        hosts=None if is_open else LOOPBACK,
    )
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"{current.classifier.version} at http://{shown}:{port}/", err=True)
    if is_open and token is None:
        click.echo(f"anybody who reaches this machine may ask: set {TOKEN} to change that", err=True)
    uvicorn.run(
        made,
        host=host,
        port=port,
        log_level="warning",
        limit_concurrency=4 * (waiting + 64),
        timeout_graceful_shutdown=ENDING_S,
        server_header=False,
    )
    sys.exit(0)
