"""Stages run aside: as DVC would run them on the records of this checkout, in a folder that is gone afterwards.

Nothing of the checkout is written, not even what spares work after a kill.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from assay import files, params
from assay.errors import AssayError
from assay.training import left

# What the stages leave; all else lies in the checkout.
LEFT = ("model", "training", "outputs", "answering", "reference", "predictions", "evaluation", "history")
PLOTS = ("confusion", "roc", "calibration")
OUTCOME = "ASSAY_OUTCOME"  # with it a stage that fails tells nobody else


class Stopped(AssayError):
    """A training that stopped itself: it learnt nothing, or its numbers ended. A result, and not a fault of the run."""


@dataclass(frozen=True, kw_only=True)
class Done:
    folder: Path
    paths: dict[str, Any]  # of params.yaml, as the stages had them

    def metrics(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = files.read_json(self.folder / self.paths["metrics"][name])[name]
        return found


@contextmanager
def run(content: dict[str, Any], stages: Sequence[str], *, about: str) -> Iterator[Done]:
    """Give what the stages left; `content`: of params.yaml. Raises `AssayError`, which begins with `about`; for
    a training that stopped itself `Stopped`.
    """
    with tempfile.TemporaryDirectory(prefix=f"assay-{about}-") as scratch:
        folder, paths = Path(scratch), placed(content["paths"], Path.cwd())
        (folder / params.FILE).write_text(yaml.safe_dump(content | {"paths": paths}, sort_keys=False))
        for stage in stages:
            if problem := _run_stage(stage, folder):
                stopped = (folder / paths["memo"]["training"] / left.STOPPED).exists()
                raise (Stopped if stopped else AssayError)(f"{about}: {problem}")
        yield Done(folder=folder, paths=paths)


def placed(paths: dict[str, Any], checkout: Path) -> dict[str, Any]:
    """Return the paths with all but what the stages leave in the checkout."""
    found: dict[str, Any] = {}
    for name, path in paths.items():
        if name == "metrics":
            found[name] = dict(path)
        elif name == "memo":
            found[name] = {key: each if key == "training" else str(checkout / each) for key, each in path.items()}
        else:
            found[name] = path if name in LEFT + PLOTS else str(checkout / path)
    return found


def _run_stage(stage: str, folder: Path) -> str:
    """Run the stage of this checkout in the folder, and return what went wrong; its retries are those of no flow."""
    environment = os.environ | {"PYTHONPATH": str(Path.cwd()), OUTCOME: str(folder / "outcome.json")}
    command = [sys.executable, "-m", f"tasks.{stage}"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if not done.returncode:
        return ""
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return said[0] if said else f"{stage} ended with exit code {done.returncode}"
