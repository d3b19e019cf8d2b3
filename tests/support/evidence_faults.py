"""Evidence with a fault: what each cause looks like, put into that of a sound run."""

import dataclasses
from collections.abc import Callable
from functools import cache

import evidence_made as made
import numpy as np
import pandas as pd

from assay.evaluation.diagnosis import diagnose
from assay.evaluation.diagnosis.evidence import Evidence


def named(evidence: Evidence) -> list[str]:
    return [each.cause for each in diagnose.diagnose(evidence).findings]


def kernels(factor: float) -> dict[str, dict[str, float]]:
    slopes = {"convolve/kernel": 0.08, "logits/kernel": 0.001}
    return {n: {"rms_began": 0.1, "rms": 0.1 * factor, "gradient_to_weight": slope} for n, slope in slopes.items()}


def unfit(evidence: Evidence, loss: float = 1.0) -> Evidence:
    return made.recorded(evidence, regularisation={"clean": loss, "augmented": loss, "dropout": loss})


def first_step(evidence: Evidence, ratio: float) -> Evidence:
    assert evidence.record
    epochs = [row | {"update_ratio": ratio} for row in evidence.record["epochs"]]
    return made.recorded(unfit(evidence), path=0.3, epochs=epochs)


def imbalanced(evidence: Evidence) -> Evidence:
    assert evidence.run
    actual, is_right = np.arange(400) % 5, np.ones(400, bool)
    is_right[actual < 2] = False
    n_train = dataclasses.replace(evidence.run, n_train=(12, 12, 300, 300, 300))
    return made.answered(dataclasses.replace(evidence, run=n_train), test=made.split(actual, is_right, "test"))


def moved(evidence: Evidence) -> Evidence:
    actual = np.arange(400) % 5
    return made.answered(evidence, test=made.split(actual, np.zeros(400, bool), "test"))


def with_rows(evidence: Evidence, change: Callable[[pd.DataFrame], None]) -> Evidence:
    rows = evidence.rows.copy()
    change(rows)
    return dataclasses.replace(evidence, rows=rows)


def conflicts(rows: pd.DataFrame) -> None:
    rows.loc[0:40:2, "pixels"] = rows.loc[1:41:2, "pixels"].to_numpy()


def leaks(rows: pd.DataFrame) -> None:
    test = rows.index[rows["split"] == "test"][:40]
    rows.loc[test, "pixels"] = rows.loc[:39, "pixels"].to_numpy()
    rows.loc[test, "label"] = rows.loc[:39, "label"].to_numpy()


def foreign(rows: pd.DataFrame) -> None:
    rows.loc[rows["split"] == "test", "brightness"] += 40


def noisy(evidence: Evidence) -> Evidence:
    """A tenth of the labels of val and test are answered otherwise, as surely as the others."""
    for name, n in (("val", 200), ("test", 400)):
        found = made.split(np.arange(n) % 5, made.right(n, 0.88), name)
        sure = np.where(found.predicted, 0.9, 0.025)
        evidence = made.answered(evidence, **{name: dataclasses.replace(found, probabilities=sure)})
    return evidence


def overfitted(evidence: Evidence) -> Evidence:
    train = made.split(np.arange(1000) % 5, np.ones(1000, bool), "train")
    others = {name: made.split(np.arange(n) % 5, made.right(n, 0.8), name) for name, n in (("val", 200), ("test", 400))}
    return made.answered(evidence, train=train, **others)


def destroyed(evidence: Evidence) -> Evidence:
    """Two epochs of the new head alone, then what the backbone knew is lost."""
    assert evidence.record
    transfer = dataclasses.replace(evidence.train.transfer, head_epochs=2, from_layer="block_16_expand")
    shares = (0.8, 0.85, 0.4)
    epochs = [row | {"val_accuracy": share} for row, share in zip(evidence.record["epochs"], shares, strict=True)]
    return made.recorded(made.trained(evidence, network="MobileNetV2", transfer=transfer), epochs=epochs)


FAULTS: dict[str, Callable[[Evidence], Evidence]] = {
    "scaling": lambda e: made.recorded(e, input={"mean": 76.0, "deviation": 80.0}),
    "label_map": moved,
    "conflicting_labels": lambda e: with_rows(e, conflicts),
    "leakage": lambda e: with_rows(e, leaks),
    "imbalance": imbalanced,
    "foreign_test": lambda e: made.answered(
        with_rows(e, foreign), test=made.split(np.arange(400) % 5, made.right(400, 0.6), "test")
    ),
    "small_test": lambda e: made.sound(n_test=40),
    "rate_too_high": lambda e: made.recorded(unfit(e, 0.4), kernels=kernels(12)),
    "rate_too_low": lambda e: first_step(e, 4e-4),
    "too_few_epochs": lambda e: first_step(e, 8e-3),
    "batch_too_small": lambda e: made.trained(e, batch_images=3),
    "dropout_too_strong": lambda e: made.recorded(e, regularisation={"clean": 0.2, "dropout": 0.6, "augmented": 0.2}),
    "penalty_too_strong": lambda e: made.recorded(made.trained(unfit(e), l2=1.0), kernels=kernels(0.1)),
    "augmentation_too_strong": lambda e: made.recorded(
        unfit(e, 1.6), augmentation={"plain": 0.97, "augmented": 0.25, "chance": 0.2, "correlation": 0.1}
    ),
    "dead_units": lambda e: made.recorded(
        unfit(e), activations={"activate": {"dead": 0.9, "constant": 0.9, "largest": 0.0}}
    ),
    "vanishing_gradients": lambda e: made.recorded(
        made.trained(unfit(e), normalisation="none"),
        kernels={
            name: {"rms_began": 0.1, "rms": 0.1, "gradient_to_weight": slope}
            for name, slope in (("convolve/kernel", 1e-5), ("logits/kernel", 0.1))
        },
    ),
    "backbone_destroyed": destroyed,
    "label_noise": noisy,
    "overfitting": overfitted,
    "model_too_small": lambda e: unfit(e, 0.8),
    "stopped": lambda e: dataclasses.replace(e, run=None, stopped="nothing was learnt in 6 of 30 epochs"),
    "gate": lambda e: dataclasses.replace(
        e,
        closed="closed by 1 critical expectation\nx: y",
        record=None,
        run=None,
        failed=(
            {
                "severity": "critical",
                "expectation": "decodable",
                "message": "",
                "observed": "3 fail",
                "table": "images",
            },
        ),
    ),
    "used_test": lambda e: dataclasses.replace(e, n_looks=40),
    "shortcut": lambda e: dataclasses.replace(
        e,
        failed=(
            {
                "severity": "warning",
                "expectation": "border tells no more than centre",
                "message": "",
                "observed": "0.4",
                "must": "be at most 0.1",
                "table": "borders",
            },
        ),
    ),
}


@cache
def diagnosed(cause: str) -> tuple[Evidence, diagnose.Diagnosis]:
    """Return the evidence of a sound run with the fault, and what is found in it; nobody changes either."""
    evidence = FAULTS[cause](made.sound())
    return evidence, diagnose.diagnose(evidence)
