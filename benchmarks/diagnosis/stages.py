"""A case in a checkout of its own: its stages run, trained shortly, and what they left of it."""

import contextlib
import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from assay import files, params
from assay.commands import main as commands
from assay.errors import AssayError
from assay.evaluation.diagnosis import evidence
from assay.evaluation.diagnosis.evidence import Evidence
from assay.operations import params_lines
from assay.training import left
from assay.training.augment import Strengths
from assay.versions import scratch
from benchmarks.diagnosis.cases import Case, write
from benchmarks.faults import checkout
from tasks import evaluate, gate, ingest, preprocess, train, validate, verify

DATA, MODEL = (ingest, validate, gate, preprocess, verify), (train, evaluate)
LEAST_PX = 8
STRENGTHS = {f"train.augment.{each.name}" for each in fields(Strengths)} - {"train.augment.flip"}


@dataclass(frozen=True, kw_only=True)
class Left:
    """What the stages left of a case; `balanced`: accuracy, None of a training that stopped itself."""

    evidence: Evidence
    accuracy: float | None
    balanced: float | None
    suspects: tuple[str, ...]  # paths of reports/evaluation/suspects.csv


@contextlib.contextmanager
def prepared(case: Case) -> Iterator[None]:
    """Work in a checkout of the case whose records are written, and say nothing."""
    with tempfile.TemporaryDirectory() as scratch_folder:
        table, folder = write(Path(scratch_folder) / "images", case), Path(scratch_folder) / "checkout"
        _checkout(folder, case)
        with checkout.inside(folder):
            commands.cli(["snapshot", f"table:{table}"], standalone_mode=False)
            for stage in DATA:
                stage.main(params.load())
            yield


def trained() -> Left:
    """Return what training and evaluation of the checkout left."""
    p = params.load()
    try:
        for stage in MODEL:
            stage.main(p)
    except AssayError:
        if not (p.paths.memo.training / left.STOPPED).exists():
            raise
        return Left(evidence=evidence.read(p, "stopped"), accuracy=None, balanced=None, suspects=())
    found = files.read_json(p.paths.metrics.eval)["eval"]
    suspects = pd.read_csv(p.paths.evaluation / "suspects.csv")["path"]
    return Left(
        evidence=evidence.read(p, "run"),
        accuracy=found["accuracy"],
        balanced=found["balanced_accuracy"],
        suspects=tuple(suspects),
    )


def shortly(content: dict[str, Any]) -> float | None:
    """Return the accuracy on val of a short training, as `probing.trained` does, in this process: it is sooner."""
    with tempfile.TemporaryDirectory() as folder:
        text = yaml.safe_dump(content | {"paths": scratch.placed(content["paths"], Path.cwd())})
        (Path(folder) / params.FILE).write_text(text)
        with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
            p = params.load()
            try:
                train.main(p)
            except AssayError:
                if not (p.paths.memo.training / left.STOPPED).exists():
                    raise
                return None
            return float(files.read_json(p.paths.metrics.train)["train"]["val_accuracy"])


def _checkout(folder: Path, case: Case) -> None:
    """Make a checkout with the recipe of the case, whose rules only warn."""
    checkout.checkout(folder, case.rows["label"])
    for file in (folder / "expectations").glob("*.yaml"):
        suite = yaml.safe_load(file.read_text())
        for rule in (suite or {}).get("expectations") or []:
            rule["severity"] = "warning"
            rule.pop("quarantine", None)
            if rule.get("column") in ("width_px", "height_px"):
                rule["min_value"] = LEAST_PX
        file.write_text(yaml.safe_dump(suite, sort_keys=False))
    strengths = {key: value for key, value in case.changes.items() if key in STRENGTHS}
    named = {key: value for key, value in case.changes.items() if key not in STRENGTHS}
    text = params_lines.changed((folder / params.FILE).read_text(), named)
    lines = "".join(f"    {key.rpartition('.')[2]}: {value}\n" for key, value in strengths.items())
    (folder / params.FILE).write_text(text.replace("    flip: none ", f"{lines}    flip: none ", 1))
    (folder / "networks").mkdir()
    if case.network:
        (folder / "networks/own.py").write_text(case.network)
