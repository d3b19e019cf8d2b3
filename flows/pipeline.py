"""The pipeline of dvc.yaml as a Prefect flow, here and now: `python -m flows.pipeline`, in the folder of dvc.yaml.

A run ends as one of these states, and `python -m flows.pipeline` with this exit code:

    Completed            0  every stage is up to date
    Completed (Skipped)  0  another run has this checkout
    Failed (Rejected)    3  the gate is closed
    Failed               1  anything else
"""

import os
import sys
from pathlib import Path
from typing import Any

import click

os.environ.setdefault("DO_NOT_TRACK", "1")  # Prefect asks for it while it is imported

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from assay import params
from assay.errors import AssayError, GateClosed
from assay.operations import messages
from assay.versions import lock
from flows.running import dag, show, stages
from flows.server import api
from flows.server.tell import tell


@flow(persist_result=False)
def pipeline() -> State[Any]:
    """Return how the run ended, as in the module's docstring; a bad end was told to people."""
    try:
        params.load()
        declared = dag.stages()
    except AssayError as error:
        tell(messages.no_start(str(error)))
        return Failed(message=str(error))
    with lock.taken("pipeline") as taken:
        if not taken:
            return Completed(name="Skipped", message=f"another run has this checkout ({lock.FILE} is locked)")
        ends = stages.run(declared, Path.cwd())
        if aside := stages.set_aside(ends, Path.cwd()):
            tell(aside)
        if bad := stages.bad_end(ends, Path.cwd()):
            tell(bad)
        show.metrics(declared, ends)
        show.verdicts(declared, ends, Path.cwd())
        show.diagnosis(declared, ends, Path.cwd())
        return stages.end(declared, ends)


@click.command()
def main() -> None:
    """Bring every stage of dvc.yaml up to date, as `dvc repro` would, and show it in Prefect.

    Exit code 0: up to date, or another run has this checkout. 3: the gate is closed. 1: a stage failed.
    """
    try:
        api.check()
        end = pipeline(return_state=True)
    except AssayError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0 if end.is_completed() else GateClosed.exit_code if end.name == "Rejected" else 1)


if __name__ == "__main__":
    main()
