"""DVC, as the library uses it: the only module that knows where DVC's classes live."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import dvc.api
from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo

from assay.errors import AssayError

WORKSPACE = "workspace"  # DVC's word for the files as they are, committed or not


@contextmanager
def opened(command: str, *, locked: bool = False) -> Iterator[Repo]:
    """Yield DVC's view of this checkout; `locked`: no other DVC command runs meanwhile.

    What DVC refuses in the block becomes an `AssayError` that begins with `command`.
    """
    try:
        with Repo() as repo, repo.lock if locked else nullcontext():
            yield repo
    except LockError:
        raise AssayError(f"{command}: another DVC command works in this checkout; wait for its end") from None
    except DvcException as error:
        raise AssayError(f"{command}: {error}") from None


def read(file: Path, rev: str) -> str | None:
    """Return the text of a file at a commit, from git or from DVC's cache or remote; None where it is not to be had."""
    try:
        found: str = dvc.api.read(file.as_posix(), rev=rev)
    except (DvcException, OSError):
        return None
    return found


def plots(old: str, new: str) -> dict[str, dict[str, Any]]:
    """Return the Vega-Lite of each plot of dvc.yaml that shows both commits, by its name, those with data only."""
    revisions = [old] if new == WORKSPACE else [old, new]
    # The command and not the class: its answer is documented, and the templates are filled in.
    command = [sys.executable, "-m", "dvc", "plots", "diff", *revisions, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssayError(f"compare: plots: {done.stderr.strip().removeprefix('ERROR: ')}")
    found = json.loads(done.stdout)["data"]
    return {name: each[0]["content"] for name, each in found.items() if each and each[0]["type"] == "vega"}
