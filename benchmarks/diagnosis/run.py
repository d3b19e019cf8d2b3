"""Is the cause named? `python -m benchmarks.diagnosis.run OUT SET [FAULT ...]`; hours. README.md has what came out.

SET: `digits`, or FOLDER of class folders, or FOLDER@SIDE at another side than 24 px. Faults are put into healthy
recipes on it, by parameters, by data, or by a network of one's own, each at two strengths; the stages run as they are,
behind a gate whose rules only warn. The folder OUT keeps what a diagnosis stands on, so that other rules can be asked
later; runs that it has are not run again.
"""

import pickle
import sys
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.diagnosis import stages
from benchmarks.diagnosis.cases import Case, healthy
from benchmarks.diagnosis.faults import FAULTS, VARIED, own

# Name and strength: 0 nothing, 1 weak, 2 strong. The place decides split and chance, so that a part gives what all do.
RUNS = [*((name, 0) for name in VARIED), *((name, strength) for name in FAULTS for strength in (1, 2))]
COSTS = 0.01  # of accuracy, balanced, below the median of the healthy runs: of less a fault is none

Runs = dict[tuple[str, int], stages.Left]


def main(out: Path, name: str, wanted: list[str]) -> None:
    out.mkdir(exist_ok=True)
    for fault, strength in RUNS:
        file = out / f"{fault}-{strength}.pickle"
        if file.exists() or (wanted and fault not in wanted):
            continue
        with stages.prepared(case(name, fault, strength)):
            found = stages.trained()
        file.write_bytes(pickle.dumps(found))
        print(fault, strength, found.accuracy, flush=True)


def case(name: str, fault: str, strength: int) -> Case:
    """Return the case of a set, always the same."""
    number = RUNS.index((fault, strength))
    found = healthy(name, seed=100 + number % 7)
    if strength:
        FAULTS[fault](found, strength == 2, np.random.default_rng(number))
    else:
        found.changes |= VARIED[fault]
        if fault == "healthy_own":
            own({}, {})(found, False, np.random.default_rng(0))
    return found


def read(out: Path) -> Runs:
    """Return what is kept, in the order of `RUNS`."""
    kept = {each: out / f"{each[0]}-{each[1]}.pickle" for each in RUNS}
    return {each: pickle.loads(file.read_bytes()) for each, file in kept.items() if file.exists()}


def usual(runs: Runs) -> float:
    return median(kept.balanced or 0.0 for (_, strength), kept in runs.items() if not strength)


def costs(kept: stages.Left, healthy: float) -> bool:
    return kept.balanced is None or healthy - kept.balanced >= COSTS


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), sys.argv[2], sys.argv[3:])
