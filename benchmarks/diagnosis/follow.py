"""Does the advice help? `python -m benchmarks.diagnosis.follow OUT SET [FAULT ...]`, after run.py, by the rules of now.

What looks the same as something else, or is only possible, is told by the probe first, as `assay diagnose` says to do.
Then the first advice is followed: a change of params.yaml by what `assay diagnose --apply 1` does, suspected labels as
a person does who knows the truth and looks at those that are listed. The stages run again, and OUT/followed.jsonl gets
what it gave. No advice of that kind: nothing is run.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from assay import params
from assay.evaluation.diagnosis import diagnose, probe
from assay.evaluation.diagnosis.diagnose import Diagnosis
from assay.evaluation.diagnosis.probe import Arm, Outcome
from assay.operations import diagnosing
from assay.versions import probing
from benchmarks.diagnosis import run, stages
from benchmarks.diagnosis.cases import Case

FOLLOWED = "followed.jsonl"


def main(out: Path, name: str, wanted: list[str]) -> None:
    runs, known = run.read(out), {(each["fault"], each["strength"]) for each in read(out)}
    healthy = run.usual(runs)
    for (fault, strength), kept in runs.items():
        if (
            not strength
            or (fault, strength) in known
            or (wanted and fault not in wanted)
            or not run.costs(kept, healthy)
        ):
            continue
        found = {"fault": fault, "strength": strength} | followed(run.case(name, fault, strength), kept)
        with (out / FOLLOWED).open("a") as lines:
            lines.write(json.dumps(found) + "\n")
        print(fault, strength, kept.balanced, found["named"], found["applied"], found["balanced"], flush=True)


def read(out: Path) -> list[dict[str, Any]]:
    file = out / FOLLOWED
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def followed(case: Case, kept: stages.Left) -> dict[str, Any]:
    """Return what the probe found where it is asked, the cause that came first, what was changed, and what it gave."""
    found, tried = diagnose.diagnose(kept.evidence), None
    if is_open(found):
        tried = probed(case, probe.arms(kept.evidence, found))
        found = probe.decided(found, tried)
    first = found.findings[0] if found.findings else None
    applied: Any = "nothing"
    again = None
    if first and first.change:
        applied = dict(first.change)
        with stages.prepared(case):
            diagnosing.apply(found, 1)
            again = stages.trained()
    elif first and first.cause == "label_noise":
        applied = f"{correct(case, kept.suspects)} labels"
        with stages.prepared(case):
            again = stages.trained()
    return {
        "named": first.cause if first else "nothing",
        "certainty": first.certainty if first else "",
        "outcomes": None if tried is None else [asdict(each) for each in tried],
        "applied": applied,
        "balanced": again.balanced if again else None,
    }


def is_open(found: Diagnosis) -> bool:
    """Say whether the first finding is one that the probe decides."""
    return bool(found.findings) and found.findings[0].kind == "symptom" and not found.findings[0].is_confident


def probed(case: Case, arms: list[Arm]) -> list[Outcome]:
    with stages.prepared(case):
        p = params.load()
        list(probing.run(arms, p, minutes=None, train=stages.shortly))
        return probing.outcomes(arms, p)


def outcomes(of: list[dict[str, Any]]) -> list[Outcome]:
    """Return what was kept of a probe."""
    return [Outcome(**each | {"arm": Arm(**each["arm"]), "accuracies": tuple(each["accuracies"])}) for each in of]


def correct(case: Case, suspects: tuple[str, ...]) -> int:
    """Give the listed images the labels that are true, and return how many had another."""
    listed = np.array([int(Path(path).stem) for path in suspects], int)
    labels, truth = case.rows["label"].to_numpy(copy=True), case.rows["truth"].to_numpy()
    wrong = listed[labels[listed] != truth[listed]]
    labels[wrong] = truth[wrong]
    case.rows["label"] = labels
    return len(wrong)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), sys.argv[2], sys.argv[3:])
