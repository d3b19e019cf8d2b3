"""The `assay` command. Each subcommand imports what it needs when it is called, so that `--help` is quick."""

import sys

import click

from assay import terminal
from assay.commands.approve import approve
from assay.commands.clean import clean
from assay.commands.compare import compare
from assay.commands.deploy_flows import deploy_flows
from assay.commands.diagnose import diagnose
from assay.commands.doctor import doctor
from assay.commands.expectations import expectations
from assay.commands.explain import explain
from assay.commands.export import export
from assay.commands.forget import forget
from assay.commands.history import history
from assay.commands.init import init
from assay.commands.models import models
from assay.commands.monitor import monitor
from assay.commands.noise import noise
from assay.commands.predict import predict
from assay.commands.promote import promote
from assay.commands.relabel import relabel
from assay.commands.release import release
from assay.commands.results import results
from assay.commands.rollback import rollback
from assay.commands.serve import serve
from assay.commands.serve_flows import serve_flows
from assay.commands.snapshot import snapshot
from assay.commands.tune import tune
from assay.commands.verify import verify
from assay.errors import AssayError, of_lost_link


@click.group()
def cli() -> None:
    """Test image data before a model is trained on it, and the model before anyone uses it."""


COMMANDS = (
    *(init, snapshot, expectations, approve, relabel, monitor, forget),  # data
    *(models, tune, results, diagnose, compare, noise, release, promote, rollback, history, verify),  # models
    *(predict, explain, serve, export),  # users of a model
    *(serve_flows, deploy_flows, doctor, clean),  # the machine
)
for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    terminal.guard()
    try:
        cli()
    except AssayError as error:
        terminal.complain(f"assay: {error}")
        sys.exit(error.exit_code)
    except OSError as error:
        plain = f"{error.filename}: {error.strerror}" if error.filename else " ".join(str(error).split())
        said = of_lost_link(error) or plain
        terminal.complain(f"assay: {said}")
        sys.exit(1)
