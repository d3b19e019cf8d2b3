"""The short trainings of `assay diagnose --probe`, and what is kept of them: a probe that was killed goes on."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from assay import files, params
from assay.dataset.records import contents
from assay.errors import AssayError
from assay.evaluation.diagnosis import probe
from assay.evaluation.diagnosis.probe import Arm, Outcome
from assay.state import PROBE
from assay.versions import scratch

Train = Callable[[dict[str, Any]], float | None]


def key(content: dict[str, Any], index: Path) -> str:
    """Return one hash for a training: of its seed, its recipe and its records."""
    kept = {name: content[name] for name in ("seed", "threads", "train", "preprocess")}
    return hashlib.sha256(json.dumps([kept, files.sha256(index)], sort_keys=True).encode()).hexdigest()


def trained(content: dict[str, Any]) -> float | None:
    """Return the accuracy on val of a training; None: it stopped itself. Raises `AssayError` for any other failure."""
    try:
        with scratch.run(content, ("train",), about="probe") as done:
            return float(done.metrics("train")["val_accuracy"])
    except scratch.Stopped:
        return None


def run(
    arms: Sequence[Arm], p: params.Params, *, minutes: float | None, train: Train = trained
) -> Iterator[tuple[Arm, int, float | None]]:
    """Yield arm, seed and accuracy on val of each training, every arm with one seed before any with the next.

    Then the same of what is to be trained in whole. What was trained before is not trained again. After `minutes` no
    further one is begun.
    """
    until = math.inf if minutes is None else time.monotonic() + 60 * minutes
    yield from _run(arms, p, until, train)
    yield from _run(probe.whole(_measured(arms, p)), p, until, train)


def _run(arms: Sequence[Arm], p: params.Params, until: float, train: Train) -> Iterator[tuple[Arm, int, float | None]]:
    content = files.read_yaml(params.FILE)
    for seed in range(probe.SEEDS):
        for arm in arms:
            asked = probe.content(content, arm, seed)
            name, known = key(asked, p.paths.index), _known()
            if name not in known:
                if time.monotonic() > until:
                    return
                known[name] = train(asked)
                files.write_json(PROBE, _known() | {name: known[name]})
            yield arm, seed, known[name]


def outcomes(arms: Sequence[Arm], p: params.Params) -> list[Outcome]:
    """Return what the trainings that are kept say of the arms, the best first; empty without those of the recipe.

    What was trained in whole comes behind what was not. A training that was stopped counts as accuracy 0.
    """
    tried = _measured(arms, p)
    others = [each.accuracies for each in tried]
    return [*tried, *(_measured(more, p, others) if (more := probe.whole(tried)) else [])]


def n_wanted(arms: Sequence[Arm], p: params.Params) -> int:
    """Return how many trainings there are, by what is known so far."""
    return probe.SEEDS * (len(arms) + len(probe.whole(_measured(arms, p))))


def _measured(arms: Sequence[Arm], p: params.Params, others: Sequence[Sequence[float]] = ()) -> list[Outcome]:
    content, known = files.read_yaml(params.FILE), _known()
    measured = []
    for arm in arms:
        keys = [key(probe.content(content, arm, seed), p.paths.index) for seed in range(probe.SEEDS)]
        measured.append((arm, [known[each] or 0.0 for each in keys if each in known]))
    if not measured[0][1]:
        return []
    n_val = contents.read_index(p.paths.index).splits["val"].n_images
    return probe.outcomes([measured[0], *((arm, found) for arm, found in measured[1:] if found)], n_val, others)


def _known() -> dict[str, float | None]:
    try:
        found: dict[str, float | None] = files.read_json(PROBE)
    except (FileNotFoundError, AssayError):  # a file that somebody cut costs trainings and nothing else
        return {}
    return found
