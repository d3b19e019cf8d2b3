"""Brings one stage up to date in a process of its own: `python -m flows.reproduce STAGE`.

DVC's own `Repo.reproduce` is not safe in threads, and a process can be killed. What DVC and the stage print goes to
stderr. On stdout stands one line: {"stage", "state", "exit_code", "message"}, where state is

    ran        the command ran and DVC recorded it
    restored   DVC put back the outputs of an equal earlier run
    skipped    nothing had changed
    failed     the command ended badly; exit_code is the stage's, 1 if it could not say
    refused    DVC would not run it or record it
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException, ReproductionError
from dvc.repo import Repo
from dvc.stage.exceptions import StageCmdFailedError

from assay import processes
from assay.errors import of_lost_link
from assay.operations import stage_run
from assay.versions import dvc_repo

OUTCOME = Path(".dvc/tmp/outcome.json")  # the stage's own words, as assay.stage leaves them; absent if it did not run


def reproduce(name: str) -> dict[str, Any]:
    """Return how it ended, as in the module's docstring."""
    OUTCOME.unlink(missing_ok=True)
    try:
        with Repo(_wait_for_lock=True) as repo:
            os.environ[stage_run.OUTCOME] = str(OUTCOME.absolute())
            return {"stage": name, **_reproduce(repo, name)}
    except DvcException as error:
        return {"stage": name, "state": "refused", "exit_code": 1, "message": f"{name}: {dvc_repo.said(error)}"}


def _reproduce(repo: Repo, name: str) -> dict[str, Any]:
    try:
        changed = repo.reproduce(name, single_item=True)
    except ReproductionError as error:
        return _bad_end(name, error.__cause__ or error)
    state = "skipped" if not changed else "ran" if OUTCOME.exists() else "restored"
    return {"state": state, "exit_code": 0, "message": ""}


def _bad_end(name: str, cause: BaseException) -> dict[str, Any]:
    """Return the stage's own words if it left any, else DVC's."""
    if not isinstance(cause, StageCmdFailedError):
        lost = of_lost_link(cause) if isinstance(cause, OSError) else ""
        said = lost or " ".join(str(cause).split())  # who has the checkout stands in DVC's second line
        return {"state": "refused", "exit_code": 1, "message": f"{name}: {said}"}
    if not OUTCOME.exists():
        return {"state": "failed", "exit_code": 1, "message": f"{name}: ended without a word; {cause}"}
    return {"state": "failed", **json.loads(OUTCOME.read_text())}


def main() -> None:
    processes.die_with_parent()
    os.environ[processes.PARENT] = str(os.getpid())
    answer = os.dup(1)
    os.dup2(2, 1)
    said = json.dumps(reproduce(sys.argv[1]))
    os.write(answer, f"{said}\n".encode())


if __name__ == "__main__":
    main()
