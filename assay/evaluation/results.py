"""The whole evaluation of a model: what the page shows, the card says and `metrics/eval.json` keeps.

All of it follows from what the model says of the splits (`predictions.Outputs`) and from the manifest. Probabilities
are those at the fitted temperature, as users get them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from assay import labels, params
from assay.evaluation import (
    answering,
    calibration,
    comparison,
    far_sets,
    groups,
    label_errors,
    metrics,
    ood,
    slices,
)
from assay.evaluation.answering import Answering
from assay.evaluation.calibration import Calibration
from assay.evaluation.label_errors import Margins
from assay.evaluation.predictions import Outputs
from assay.labels import Task

LIKE = 5  # nearest train images of a test image


@dataclass(frozen=True, kw_only=True)
class Split:
    """What the model says of one split, measured."""

    outputs: Outputs
    answers: metrics.Answers
    measured: metrics.Measured


@dataclass(frozen=True, kw_only=True)
class Unlike:
    """How well what is foreign is told apart; scores above 1 are set aside."""

    scores: np.ndarray  # [N], of the test images
    verdicts: tuple[ood.Verdict, ...]  # of the test images
    far: dict[str, np.ndarray]  # scores of the far sets, by name
    separation: dict[str, float]  # area under the ROC curve of test against each far set


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    task: Task
    classes: tuple[str, ...]
    confidence: float  # of the intervals
    answering: Answering
    test: Split
    val: Split
    before: Calibration  # of test, at temperature 1
    after: Calibration  # of test, at the fitted one
    detectable: float  # the smallest difference from another model that the test set would show, see `detectable`
    slices: tuple[slices.Slice, ...]  # of test, the surest worse one first
    suspects: pd.DataFrame  # columns as in `label_errors.COLUMNS`
    noise_share: float | None  # of labels of val and test that are probably wrong; None: multi-label
    unlike: Unlike
    nearest: np.ndarray  # int [N, L], places in the reference of the train images most like each test image
    rows: pd.DataFrame  # of the manifest, one for each test image, in its order


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What there is to evaluate."""

    train: Outputs  # at most `predictions.MOST_TRAIN` images
    val: Outputs
    test: Outputs
    far: Mapping[str, Outputs]
    manifest: pd.DataFrame
    pairs: pd.DataFrame  # near-duplicates, by path
    margins: Margins | None
    classes: tuple[str, ...]
    task: Task


def reference(train: Outputs) -> ood.Reference:
    """Return what new images are held against."""
    return ood.fit(train.features, train.labels, train.sha256, train.properties)


def evaluate(asked: Asked, known: ood.Reference, p: params.Evaluate) -> Evaluation:
    """Return everything that is known of the model. At least one test image must be in a class."""
    task, confidence, test = asked.task, p.confidence, asked.test
    chosen = answering.fit(asked.val.logits, asked.val.actual(), asked.val.features, known, task)
    of = {split: _split(outputs, asked, chosen, confidence) for split, outputs in (("test", test), ("val", asked.val))}
    rows, found = _rows(test, asked.manifest), of["test"].answers
    plain = metrics.answers(found.actual, calibration.probabilities(test.logits, task), found.groups, task=task)
    return Evaluation(
        task=task,
        classes=asked.classes,
        confidence=confidence,
        answering=chosen,
        **of,
        before=calibration.measure(plain.probabilities, found.actual, task, p.calibration_bins),
        after=calibration.measure(found.probabilities, found.actual, task, p.calibration_bins),
        detectable=detectable(of["test"].measured, confidence),
        slices=tuple(slices.find(rows, found.right, found.groups, task, confidence)),
        suspects=_suspects(asked, of, chosen),
        noise_share=_noise_share(asked, of),
        unlike=_unlike(asked, known, chosen.limits),
        nearest=ood.nearest(known, np.nan_to_num(test.features), LIKE)[0],
        rows=rows,
    )


def _split(outputs: Outputs, asked: Asked, chosen: Answering, confidence: float) -> Split:
    found = _answers(outputs, asked, chosen)
    return Split(outputs=outputs, answers=found, measured=metrics.measure(found, confidence))


def _answers(outputs: Outputs, asked: Asked, chosen: Answering) -> metrics.Answers:
    probabilities = calibration.probabilities(outputs.logits, asked.task, chosen.temperature.value)
    of = groups.of_rows(_rows(outputs, asked.manifest), asked.pairs)
    return metrics.answers(outputs.actual(), probabilities, of, task=asked.task, thresholds=chosen.thresholds)


def _rows(outputs: Outputs, manifest: pd.DataFrame) -> pd.DataFrame:
    """Return the row of the manifest of each image, in their order."""
    distinct = manifest.drop_duplicates("sha256").set_index("sha256", drop=False)
    return distinct.reindex(outputs.names()).reset_index(drop=True)


def detectable(measured: metrics.Measured, confidence: float) -> float:
    """Return the smallest difference in accuracy that the test set would show, beside another model as good.

    It depends on how many images the two disagree on, which nobody knows before: as many as this one has wrong are
    assumed, and one at the least. Two seeds of one recipe disagree on 0.6 to 1.5 times as many.
    """
    accuracy = measured.accuracy
    wrong = (accuracy.n * (1 - accuracy.value) + 1) / (accuracy.n + 2)
    return comparison.detectable(wrong, accuracy.n_effective, confidence)


def _suspects(asked: Asked, of: Mapping[str, Split], chosen: Answering) -> pd.DataFrame:
    trust: dict[str, tuple[float, str]] = {}
    suggested: dict[str, str] = {}
    if asked.margins is not None:
        in_train = label_errors.trust_in_margins(asked.margins.aum)
        names = (value.decode() for value in asked.margins.sha256)
        trust |= {name: (float(value), "margin") for name, value in zip(names, in_train, strict=True)}
        suggested |= _suggested(asked.train, _answers(asked.train, asked, chosen), asked.classes)
    for split in of.values():
        values = label_errors.trust_in_labels(split.answers.probabilities, split.answers.actual, asked.task)
        names_of = split.outputs.names()
        trust |= {name: (float(value), "probability") for name, value in zip(names_of, values, strict=True)}
        suggested |= _suggested(split.outputs, split.answers, asked.classes)
    return label_errors.queue(asked.manifest, trust, suggested)


def _suggested(outputs: Outputs, found: metrics.Answers, classes: tuple[str, ...]) -> dict[str, str]:
    named = [labels.decode(row, classes) for row in found.predicted]
    return dict(zip(outputs.names(), named, strict=True))


def _noise_share(asked: Asked, of: Mapping[str, Split]) -> float | None:
    if asked.task == "multi_label":
        return None
    probabilities = np.concatenate([split.answers.probabilities for split in of.values()])
    return label_errors.noise_share(probabilities, np.concatenate([split.outputs.labels for split in of.values()]))


def _unlike(asked: Asked, known: ood.Reference, limits: ood.Limits) -> Unlike:
    def ratios(of: Outputs) -> np.ndarray:
        return ood.ratios(known, limits, of.features, of.properties)

    test = ratios(asked.test)
    far = {name: ratios(outputs).max(axis=1) for name, outputs in asked.far.items()}
    return Unlike(
        scores=test.max(axis=1),
        verdicts=tuple(ood.verdict(of_image) for of_image in test),
        far=far,
        separation={name: far_sets.separation(test.max(axis=1), scores) for name, scores in far.items()},
    )
