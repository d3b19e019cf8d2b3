"""Symptoms of how a network learns: its rate, its epochs, its batches, and whether all of it takes part."""

from assay import params
from assay.evaluation.diagnosis import readings, recipes
from assay.evaluation.diagnosis.evidence import Evidence
from assay.evaluation.diagnosis.finding import Finding, symptom
from assay.evaluation.diagnosis.readings import UNFIT, Record

GROWN = 3.0  # times the size that a kernel began with, in the middle of all kernels
SLOW, SOUND = 1.5e-3, 1e-2  # of the size of the kernels, what a step of the first epoch changes: the least, and usual
MOST = 1000.0  # times the rate, that one change is
FEWEST_BATCH = 8  # images, with batch normalisation
DEAD, VANISHED = 0.4, 0.02  # channels of a layer; gradient to weight of the least moved kernel to that of the last


def rate_too_high(evidence: Evidence, record: Record) -> Finding | None:
    """Kernels that have grown far beyond what a sound run makes of them."""
    grown, rate = readings.grown(record), evidence.train.learning_rate
    if grown <= GROWN or readings.fit(record) <= UNFIT / 10:
        return None
    return symptom(
        "rate_too_high",
        f"the kernels have grown {grown:.1f}-fold (median), sound runs stay below {GROWN:g}; the rate is {rate:g}",
        recipes.learning_rate(evidence.train, 1 / min(grown, MOST), digits=1),
    )


def rate_too_low(evidence: Evidence, record: Record) -> Finding | None:
    """Steps so small that the kernels are hardly other than at the start."""
    first = readings.first(record)
    if not readings.is_early(record) or first >= SLOW:
        return None
    rate = evidence.train.learning_rate
    return symptom(
        "rate_too_low",
        f"a step changes the kernels by {first:.1e} of their size and all steps together by {record['path']:.2g}, "
        f"the least is {SLOW:g} and {readings.PATH:g}; the rate is {rate:g}",
        recipes.learning_rate(evidence.train, min(MOST, SOUND / max(first, 1e-9)), digits=1),
    )


def too_few_epochs(evidence: Evidence, record: Record) -> Finding | None:
    """A run that ends while the train images are not fitted and the kernels have hardly moved.

    A narrow network, and one that is shown few images, ends so after any number of epochs.
    """
    first, p = readings.first(record), evidence.train
    if not readings.is_early(record) or first < SLOW or recipes.is_narrow(p) or readings.are_few(record, p):
        return None
    epochs = len(record["epochs"])
    named = {"train.max_epochs": None} if p.max_epochs else {}
    return symptom(
        "too_few_epochs",
        f"{epochs} epochs moved the kernels by {record['path']:.2g} of their size, the least is {readings.PATH:g}, "
        f"and the loss on train is {readings.fit(record):.0%} of that of guessing",
        {"train.epochs": max(3 * p.epochs, 10)} | named,
    )


def batch_too_small(evidence: Evidence, record: Record) -> Finding | None:
    """Batches of so few images that their mean and deviation say little."""
    size = evidence.train.batch_images
    if size >= FEWEST_BATCH or evidence.train.normalisation != "batch":
        return None
    return symptom(
        "batch_too_small",
        f"batches of {size} images: batch normalisation takes mean and deviation from so few; from {FEWEST_BATCH} on "
        "they say enough",
        {"train.batch_images": 32},
    )


def dead_units(evidence: Evidence, record: Record) -> Finding | None:
    """A layer of which many channels are 0 for every image."""
    shares = {name: each["dead"] for name, each in record["activations"].items()}
    if not shares or max(shares.values()) <= DEAD or readings.fit(record) <= UNFIT:
        return None
    if readings.grown(record) < readings.SHRUNK:  # by a penalty, which then is the cause
        return None
    layer = max(shares, key=lambda name: shares[name])
    p = evidence.train
    change: recipes.Change = {}
    if not recipes.is_own(p):
        change = {"train.activation": "leaky_relu"} if p.activation == "relu" else recipes.learning_rate(p, 1 / 3)
    return symptom(
        "dead_units",
        f"{shares[layer]:.0%} of the channels of layer {layer} are 0 for every image; the limit is {DEAD:.0%}",
        change,
        look="" if change else _own(p),
    )


def vanishing_gradients(evidence: Evidence, record: Record) -> Finding | None:
    """A kernel before the last that hardly learns beside it: what is behind it learns without what is before."""
    slopes = {name: each["gradient_to_weight"] or 0.0 for name, each in record["kernels"].items()}
    if len(slopes) < 2 or readings.fit(record) <= UNFIT:
        return None
    least, (*_, last) = min(slopes, key=lambda name: slopes[name]), slopes.values()
    if slopes[least] >= VANISHED * last:
        return None
    p = evidence.train
    change: recipes.Change = {}
    if not recipes.is_own(p):
        change = {"train.normalisation": "batch"} if p.normalisation == "none" else {"train.activation": "relu"}
    return symptom(
        "vanishing_gradients",
        f"the gradient of kernel {least}, to its size, is {slopes[least] / max(last, 1e-30):.2g} of that of the last "
        f"one; the limit is {VANISHED:g}",
        change,
        look="" if change else _own(p),
    )


def _own(p: params.Train) -> str:
    return f"networks/{p.network}.py: normalisation behind each kernel, relu or leaky_relu, fewer layers"
