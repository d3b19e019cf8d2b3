"""How the model answers: what is chosen on validation, and belongs to the model as much as its weights.

The temperature makes its probabilities true, the thresholds say which multi-label classes are named (by probabilities
at that temperature), and the limits from when on an image is unlike anything it learned from.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assay import files
from assay.evaluation import calibration, ood, thresholds
from assay.evaluation.calibration import Temperature
from assay.labels import Task


@dataclass(frozen=True, kw_only=True)
class Answering:
    temperature: Temperature
    thresholds: tuple[float, ...] | None  # None: single-label
    limits: ood.Limits


def fit(
    logits: np.ndarray, actual: np.ndarray, features: np.ndarray, reference: ood.Reference, task: Task
) -> Answering:
    """Return what validation says: logits [N, K], bool [N, K] and features [N, D]; `reference`: of train."""
    temperature = calibration.fit(logits, actual, task)
    chosen = None
    if task == "multi_label":
        chosen = thresholds.choose(actual, calibration.probabilities(logits, task, temperature.value))
    return Answering(temperature=temperature, thresholds=chosen, limits=ood.limits(reference, features))


def write(file: Path, answering: Answering) -> None:
    content = {
        "temperature": answering.temperature.value,
        "temperature_reason": answering.temperature.reason,
        "thresholds": answering.thresholds,
        "ood": asdict(answering.limits),
    }
    files.write_json(file, content)


def read(file: Path) -> Answering:
    return of_json(files.read_json(file))


def of_json(content: dict[str, Any]) -> Answering:
    """Return what the content of the file says."""
    chosen = content["thresholds"]
    return Answering(
        temperature=Temperature(value=content["temperature"], reason=content["temperature_reason"]),
        thresholds=None if chosen is None else tuple(chosen),
        limits=ood.Limits(**content["ood"]),
    )
