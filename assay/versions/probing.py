"""The short trainings of `assay diagnose --probe`, and what is kept of them: a probe that was killed goes on."""

import hashlib
import json
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

    What was trained before is not trained again. After `minutes` no further one is begun.
    """
    content, begun = files.read_yaml(params.FILE), time.monotonic()
    for seed in range(probe.SEEDS):
        for arm in arms:
            asked = probe.content(content, arm, seed)
            name, known = key(asked, p.paths.index), _known()
            if name not in known:
                if minutes is not None and time.monotonic() - begun > 60 * minutes:
                    return
                known[name] = train(asked)
                files.write_json(PROBE, _known() | {name: known[name]})
            yield arm, seed, known[name]


def outcomes(arms: Sequence[Arm], p: params.Params) -> list[Outcome]:
    """Return what the trainings that are kept say of the arms, the best first; empty without those of the recipe.

    A training that was stopped counts as accuracy 0.
    """
    content, known = files.read_yaml(params.FILE), _known()
    measured = []
    for arm in arms:
        keys = [key(probe.content(content, arm, seed), p.paths.index) for seed in range(probe.SEEDS)]
        measured.append((arm, [known[each] or 0.0 for each in keys if each in known]))
    if not measured[0][1]:
        return []
    n_val = contents.read_index(p.paths.index).splits["val"].n_images
    return probe.outcomes([measured[0], *((arm, found) for arm, found in measured[1:] if found)], n_val)


def _known() -> dict[str, float | None]:
    try:
        found: dict[str, float | None] = files.read_json(PROBE)
    except (FileNotFoundError, AssayError):  # a file that somebody cut costs trainings and nothing else
        return {}
    return found
