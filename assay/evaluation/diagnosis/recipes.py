"""One change of a recipe for a cause, as lines of params.yaml: what the rules advise and what the probe tries."""

from typing import Any

from assay import params
from assay.training import catalogue

STRONGER = {"none": "light", "light": "medium", "medium": "strong"}
WEAKER = {"strong": "light", "medium": "light", "light": "none"}
BALANCED = "logit_adjustment"  # which found most of rare classes: benchmarks/imbalance.md
BACKBONE_SIDE_PX = 96  # that small images are enlarged to for a backbone: seven points on photos of 32 px
USUAL, NARROW = (16, 32, 64), 8  # filters of each block; fewer of the last block are too few for anything
PRESET_OR_PLACE = ("preset", "flip")  # of `train.augment`: all else names a strength

Change = dict[str, Any]  # by dotted key


def weaker(p: params.Train) -> Change:
    """Return weaker augmentation: without the strengths that are named beside the preset, and the next weaker preset.

    Of named strengths beside none or light these alone go: they are what is strong.
    """
    preset = p.augment.preset
    named = [name for name, value in vars(p.augment).items() if name not in PRESET_OR_PLACE and value]
    without: Change = {f"train.augment.{name}": None for name in named}
    if named and preset in ("none", "light"):
        return without
    return without | ({"train.augment.preset": WEAKER[preset]} if preset in WEAKER else {})


def stronger(p: params.Train) -> Change:
    return {"train.augment.preset": STRONGER[p.augment.preset]} if p.augment.preset in STRONGER else {}


def against_overfitting(p: params.Train) -> Change:
    """Return stronger augmentation, or a stronger decay where there is none."""
    return stronger(p) or {"train.weight_decay": max(0.01, 10 * p.weight_decay)}


def balanced(p: params.Train) -> Change:
    return {"train.imbalance": BALANCED} if p.imbalance != BALANCED else {}


def backbone(p: params.Train) -> Change:
    """Return a head on a backbone that has learnt from photos, and nothing where there is a backbone."""
    if p.network in catalogue.BACKBONES:
        return {}
    found: Change = {"train.network": catalogue.LITE, "train.transfer.side_px": BACKBONE_SIDE_PX}
    wanted = {"weights": "imagenet", "weights_sha256": None, "from_layer": None}
    return found | {
        f"train.transfer.{name}": value for name, value in wanted.items() if getattr(p.transfer, name) != value
    }


def is_own(p: params.Train) -> bool:
    """Say whether the network is a file of one's own, which may read nothing of the recipe."""
    return p.network not in (*catalogue.networks(), *catalogue.BACKBONES)


def wider(p: params.Train) -> Change:
    """Return twice the filters, or of a narrow network those of the recipe that Assay comes with."""
    return {"train.filters": list(USUAL)} if is_narrow(p) else filters(p, 2)


def is_narrow(p: params.Train) -> bool:
    """Say whether the last block has fewer filters than any network in use."""
    return p.network in catalogue.networks() and p.filters[-1] < NARROW


def filters(p: params.Train, factor: float) -> Change:
    """Return a network of more or fewer filters; nothing for one that brings its own size."""
    if p.network in catalogue.BACKBONES:
        return {}
    return {"train.filters": [max(2, round(factor * each)) for each in p.filters]}


def learning_rate(p: params.Train, factor: float, digits: int = 2) -> Change:
    return {"train.learning_rate": float(f"{p.learning_rate * factor:.{digits}g}")}
