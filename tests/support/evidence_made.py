"""Evidence of runs that never were: one that is sound, and what of it a fault changes.

The numbers of the sound one are those of the digits; those of the faults were measured on other sets of real images.
"""

import copy
import dataclasses
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from checkouts import ROOT

from assay import params
from assay.evaluation import intervals
from assay.evaluation.diagnosis.evidence import Evidence, Run, Split

P = params.load(ROOT / "params.yaml")
CLASSES = tuple("abcde")
RECORD: dict[str, Any] = {
    "task": "single_label",
    "n_classes": len(CLASSES),
    "n_images": {"train": 1000, "val": 200, "test": 400},
    "guessing": float(np.log(len(CLASSES))),
    "kept": {"epoch": 3, "rule": "best"},
    "path": 2.4,
    "epochs": [
        {
            "epoch": epoch,
            "cross_entropy": 1 / epoch,
            "clean_loss": 0.5 / epoch,
            "clean_accuracy": 1 - 0.28 / epoch,
            "val_loss": 0.6 / epoch,
            "val_accuracy": 1 - 0.3 / epoch,
            "update_ratio": 0.0086 / epoch,
        }
        for epoch in (1, 2, 3)
    ],
    "regularisation": {"n_images": 600, "clean": 0.02, "augmented": 0.03, "dropout": 0.03},
    "augmentation": {"plain": 0.97, "augmented": 0.86, "chance": 0.2, "correlation": 0.66},
    "lightly": {"flips": 0.01, "accuracy": 0.98, "accuracy_changed": 0.97},
    "input": {"mean": 0.3, "deviation": 0.31, "low": 0.0, "high": 1.0, "shares": [0.5, 0.2, 0.2, 0.1]},
    "kernels": {
        name: {"rms_began": 0.1, "rms": 0.12, "gradient_to_weight": slope}
        for name, slope in (("convolve/kernel", 0.08), ("logits/kernel", 0.001))
    },
    "activations": {"activate": {"dead": 0.0, "constant": 0.0, "largest": 5.0}},
}


def split(actual: np.ndarray, right: np.ndarray, name: str, confidence: float = 0.9) -> Split:
    """Return a split of labels [N] that are answered rightly, bool [N], or by the next class."""
    said = np.where(right, actual, (actual + 1) % len(CLASSES))
    marks, named = np.eye(len(CLASSES), dtype=bool)[actual], np.eye(len(CLASSES), dtype=bool)[said]
    probabilities = np.where(named, confidence, (1 - confidence) / (len(CLASSES) - 1))
    # What is wrong is less sure, as in any sound run.
    probabilities[~right] = np.where(named[~right], 0.35, 0.65 / (len(CLASSES) - 1))
    groups = np.arange(len(actual))
    return Split(
        sha256=tuple(f"{name}{n:05d}" for n in range(len(actual))),
        actual=marks,
        probabilities=probabilities,
        predicted=named,
        groups=groups,
        accuracy=intervals.share(right, groups, 0.95),
    )


def right(n: int, share: float) -> np.ndarray:
    """Return which of `n` images are right, the wrong ones spread evenly over the classes."""
    found = np.ones(n, bool)
    found[np.random.default_rng(n).permutation(n)[: round(n * (1 - share))]] = False
    return found


def sound(*, accuracy: float = 0.97, n_test: int = 400, **record: Any) -> Evidence:
    """Return the evidence of a run in which nothing is wrong; `record`: what of record.json is other."""
    return dataclasses.replace(_sound(accuracy, n_test), record=copy.deepcopy(RECORD) | record)


@cache
def _sound(accuracy: float, n_test: int) -> Evidence:
    """Return it without a record, once for all; who changes rows or pixels changes a copy."""
    sizes = {"train": 1000, "val": 200, "test": n_test}
    shares = {"train": accuracy + 0.01, "val": accuracy, "test": accuracy}
    splits = {name: split(np.arange(n) % len(CLASSES), right(n, shares[name]), name) for name, n in sizes.items()}
    rng = np.random.default_rng(0)
    rows = pd.concat(
        [
            pd.DataFrame(
                {
                    "path": [f"{name}/{n}.png" for n in range(size)],
                    "label": [CLASSES[n % len(CLASSES)] for n in range(size)],
                    "split": name,
                    "group": None,
                    "sha256": splits[name].sha256,
                    "pixels": [f"{name}-{n}" for n in range(size)],
                    **{each: rng.normal(100, 10, size) for each in ("brightness", "contrast", "sharpness")},
                }
            )
            for name, size in sizes.items()
        ],
        ignore_index=True,
    )
    return Evidence(
        train=P.train,
        register=P.register,
        rows=rows,
        pixels=rng.integers(0, 256, (len(rows), 2, 60)).astype(np.uint8),
        pairs=pd.DataFrame({"path": [], "partner": []}, dtype=str),
        failed=(),
        record=None,
        stopped="",
        run=Run(task="single_label", classes=CLASSES, n_train=(200,) * len(CLASSES), **splits),
    )


def without_rows(evidence: Evidence) -> Evidence:
    """Return the evidence of what was trained alone: rows in which nothing is wrong are most of a diagnosis's time."""
    return dataclasses.replace(evidence, rows=evidence.rows[:0], pixels=evidence.pixels[:0])


def recorded(evidence: Evidence, **changed: Any) -> Evidence:
    """Return the evidence with other values of the record: of a dictionary only those that are named."""
    record = copy.deepcopy(dict(evidence.record or {}))
    for name, value in changed.items():
        record[name] = record[name] | value if isinstance(value, dict) else value
    return dataclasses.replace(evidence, record=record)


def trained(evidence: Evidence, **changed: Any) -> Evidence:
    return dataclasses.replace(evidence, train=dataclasses.replace(evidence.train, **changed))


def answered(evidence: Evidence, **splits: Split) -> Evidence:
    assert evidence.run
    return dataclasses.replace(evidence, run=dataclasses.replace(evidence.run, **splits))
