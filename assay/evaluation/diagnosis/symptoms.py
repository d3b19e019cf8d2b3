"""Causes that a training shows: what is told from the outside of one run. Pure: evidence in.

The order matters: what explains another symptom is asked first.
"""

from collections.abc import Callable, Mapping

from assay.evaluation.diagnosis import generalising, optimising, regularising
from assay.evaluation.diagnosis.evidence import Evidence
from assay.evaluation.diagnosis.finding import Finding, symptom
from assay.evaluation.diagnosis.readings import Record


def stopped(evidence: Evidence, record: Record) -> Finding | None:
    """What the training said when it stopped itself."""
    if not evidence.stopped:
        return None
    return symptom("stopped", evidence.stopped, look="what it says, and whether the labels belong to the images")


RULES: Mapping[str, Callable[[Evidence, Record], Finding | None]] = {
    rule.__name__: rule
    for rule in (
        optimising.rate_too_high,
        optimising.dead_units,
        optimising.vanishing_gradients,
        optimising.batch_too_small,
        regularising.dropout_too_strong,
        regularising.penalty_too_strong,
        regularising.augmentation_too_strong,
        optimising.rate_too_low,
        generalising.too_few_images,
        optimising.too_few_epochs,
        generalising.model_too_small,
        generalising.label_noise,
        generalising.backbone_destroyed,
        generalising.overfitting,
        stopped,
    )
}
