"""Symptoms of what keeps a network from learning by heart, and can keep it from learning at all."""

from assay.evaluation.diagnosis import readings, recipes
from assay.evaluation.diagnosis.evidence import Evidence
from assay.evaluation.diagnosis.finding import Finding, symptom
from assay.evaluation.diagnosis.readings import Record

DROPPED, AUGMENTED = 0.1, 0.12  # loss that dropout, and augmentation, add, to that of guessing
LEFT, LIKE = 0.5, 0.3  # what augmentation leaves: of what tells classes apart in pixels; correlation with the image
UNFITTED, LOST = 0.3, 0.6  # losses to that of guessing
HEAVY = 0.8  # share of the features that dropout takes: no published recipe takes so many


def dropout_too_strong(evidence: Evidence, record: Record) -> Finding | None:
    """Dropout that adds a loss which the network can't work off; the heaviest adds none, for nothing is learnt."""
    added, fit, dropout = readings.added(record, "dropout"), readings.fit(record), evidence.train.dropout
    heavy = dropout >= HEAVY and fit > UNFITTED
    if (added <= DROPPED or readings.is_early(record) or _is_invisible(record)) and not heavy:
        return None
    said = f"with dropout the loss on train is higher by {added:.0%} of that of guessing, the limit is {DROPPED:.0%}"
    if added <= DROPPED:
        said = f"the loss on train is {fit:.0%} of that of guessing; of {HEAVY:.0%} and more hardly anything is learnt"
    return symptom(
        "dropout_too_strong",
        f"{said}; it drops {dropout:.0%}",
        {"train.dropout": round(min(0.3, dropout / 2), 2)},
    )


def penalty_too_strong(evidence: Evidence, record: Record) -> Finding | None:
    """Kernels that have shrunk although the train images are not fitted."""
    grown, p = readings.grown(record), evidence.train
    held = {name: value for name, value in (("l1", p.l1), ("l2", p.l2), ("weight_decay", p.weight_decay)) if value}
    if grown >= readings.SHRUNK or readings.fit(record) <= UNFITTED or not held:
        return None
    strongest = max(held, key=lambda name: held[name] * (p.learning_rate if name == "weight_decay" else 1))
    return symptom(
        "penalty_too_strong",
        f"the kernels have shrunk to {grown:.2f} of their size (median), sound runs stay above {readings.SHRUNK:g}; "
        f"the loss on train is {readings.fit(record):.0%} of that of guessing; {strongest} is {held[strongest]:g}",
        {f"train.{strongest}": 0.0001 if strongest == "weight_decay" else 0},
    )


def _is_invisible(record: Record) -> bool:
    """Say whether augmented images are like neither themselves nor their class, and nothing was learnt of them."""
    left = readings.left(record)
    is_unlike = readings.likeness(record) < LIKE and (left is None or left < LEFT)
    return is_unlike and readings.fit(record) > LOST


def augmentation_too_strong(evidence: Evidence, record: Record) -> Finding | None:
    """Augmented images that the network, or even their own pixels, no longer tell apart."""
    added, left, likeness = readings.added(record, "augmented"), readings.left(record), readings.likeness(record)
    invisible = _is_invisible(record)
    if readings.is_early(record) or (added <= AUGMENTED and not invisible):
        return None
    said = f"augmented, the loss on train is higher by {added:.0%} of that of guessing, the limit is {AUGMENTED:.0%}"
    if invisible:
        said = f"an augmented image correlates with itself by {likeness:.2f}, the least is {LIKE:g}"
        if left is not None:
            said += f", and is like images of its own class in {left:.0%} of what it was, the least is {LEFT:.0%}"
        said += f"; the loss on train is {readings.fit(record):.0%} of that of guessing"
    return symptom(
        "augmentation_too_strong",
        said,
        recipes.weaker(evidence.train),
        look="reports/training/augmented.png: train images as training sees them",
    )
