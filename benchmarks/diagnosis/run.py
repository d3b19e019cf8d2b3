"""Is the cause named? `python -m benchmarks.diagnosis.run OUT SET [FAULT ...]`; hours. README.md has what came out.

SET: `digits`, or a folder of class folders. Faults are put into healthy recipes on it, by parameters, by data, or by a
network of one's own, each at two strengths; the stages run as they are, behind a gate whose rules only warn, and the
diagnosis sees what they left and nothing else. OUT gets a line of JSON for each run; those it has are not run again.
"""

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from assay import files, params
from assay.commands import main as commands
from assay.errors import AssayError
from assay.evaluation.diagnosis import diagnose, evidence, readings
from assay.operations import params_lines
from assay.training import left
from benchmarks.diagnosis.cases import Case, healthy, write
from benchmarks.diagnosis.faults import FAULTS, VARIED, own
from benchmarks.faults import checkout
from tasks import evaluate, gate, ingest, preprocess, train, validate, verify

STAGES = (ingest, validate, gate, preprocess, verify, train, evaluate)
# Name and strength: 0 nothing, 1 weak, 2 strong. The place decides split and chance, so that a part gives what all do.
RUNS = [*((name, 0) for name in VARIED), *((name, strength) for name in FAULTS for strength in (1, 2))]


def main(out: Path, name: str, wanted: list[str]) -> None:
    known = {(each["fault"], each["strength"]) for each in read(out)}
    for number, (fault, strength) in enumerate(RUNS):
        if (fault, strength) in known or (wanted and fault not in wanted):
            continue
        case = healthy(name, seed=100 + number % 7)
        if strength:
            FAULTS[fault](case, strength == 2, np.random.default_rng(number))
        else:
            case.changes |= VARIED[fault]
            if fault == "healthy_own":
                own({}, {})(case, False, np.random.default_rng(0))
        found = {"set": name, "fault": fault, "strength": strength} | run(case)
        with out.open("a") as lines:
            lines.write(json.dumps(found) + "\n")
        print(fault, strength, found["accuracy"], found["causes"][:3], flush=True)


def read(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []


def run(case: Case) -> dict[str, Any]:
    """Return what the stages and the diagnosis say of a case."""
    with tempfile.TemporaryDirectory() as scratch, inside(Path(scratch) / "checkout", case):
        table = write(Path(scratch) / "images", case)
        commands.cli(["snapshot", f"table:{table}"], standalone_mode=False)
        stopped = ""
        for stage in STAGES:
            try:
                stage.main(params.load())
            except AssayError as error:
                stopped = f"{stage.__name__.rpartition('.')[2]}: {error}"
                break
        p = params.load()
        if stopped and not (Path(p.paths.memo.training) / left.STOPPED).exists():
            raise AssayError(stopped)
        seen = evidence.read(p, "stopped" if stopped else "run")
        found = diagnose.diagnose(seen)
        metrics = files.read_json(p.paths.metrics.eval)["eval"] if not stopped else {}
        return {
            "stopped": stopped,
            "accuracy": metrics.get("accuracy"),
            "balanced": metrics.get("balanced_accuracy"),
            "causes": [[each.cause, each.certainty] for each in found.findings],
            "lines": diagnose.lines(found),
            "signals": signals(seen),
        }


def signals(seen: evidence.Evidence) -> dict[str, Any]:
    """Return the numbers that the rules look at."""
    record = seen.record
    assert record
    return {
        "fit": readings.fit(record),
        "grown": readings.grown(record),
        "path": record["path"],
        "first": readings.first(record),
        "dropout": readings.added(record, "dropout"),
        "augmented": readings.added(record, "augmented"),
        "augmentation": record["augmentation"],
        "lightly": record["lightly"],
        "input": record["input"],
        "dead": max((each["dead"] for each in record["activations"].values()), default=0),
        "slopes": [each["gradient_to_weight"] for each in record["kernels"].values()],
        "right": [float(each.right.mean()) for each in (seen.run.train, seen.run.val, seen.run.test)]
        if seen.run
        else [],
        "failed": [each["expectation"] for each in seen.failed],
    }


@contextlib.contextmanager
def inside(folder: Path, case: Case) -> Iterator[None]:
    """Work in a checkout with the recipe of the case, whose rules only warn, and say nothing."""
    checkout.checkout(folder, case.rows["label"])
    for file in (folder / "expectations").glob("*.yaml"):
        suite = yaml.safe_load(file.read_text())
        for rule in (suite or {}).get("expectations") or []:
            rule["severity"] = "warning"
            rule.pop("quarantine", None)
            if rule.get("column") in ("width_px", "height_px"):
                rule["min_value"] = 8
        file.write_text(yaml.safe_dump(suite, sort_keys=False))
    text = (folder / "params.yaml").read_text()
    named = {
        name: value for name, value in case.changes.items() if not name.startswith("train.augment.") or "preset" in name
    }
    content = yaml.safe_load(params_lines.changed(text, named))
    content["train"]["augment"] |= {
        name.rpartition(".")[2]: value for name, value in case.changes.items() if name not in named
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    (folder / "networks").mkdir()
    if case.network:
        (folder / "networks/own.py").write_text(case.network)
    with checkout.inside(folder):
        yield


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
