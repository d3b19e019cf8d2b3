"""Which epoch is kept, and when no better one is to be expected.

The epoch with the lowest loss on the validation split is the best one where that split can tell epochs apart. Of few
images it is the one that was lucky: there the losses of several epochs are averaged first, and of next to none the last
epoch is kept. Where rare classes weigh more, those few images of them decide, and the number that counts is of images
that would tell as much if all weighed the same.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

Rule = Literal["best", "smoothed", "last"]
FEW, NEXT_TO_NONE = 200, 20  # validation images, below which losses are averaged, and below which they decide nothing
AVERAGED = 5  # epochs
ALIKE = 0.9  # of the images, from which on nobody needs to hear that rare ones weigh more


@dataclass(frozen=True, kw_only=True)
class Kept:
    epoch: int = 0  # from 1; 0: none yet
    loss: float = math.inf  # on val, averaged if the rule says so
    waited: int = 0  # epochs since


def rule(wanted: Literal["auto", "best", "smoothed", "last"], n_alike: float) -> Rule:
    """Return the rule; `auto` goes by how many validation images tell epochs apart."""
    if wanted != "auto":
        return wanted
    if n_alike >= FEW:
        return "best"
    return "smoothed" if n_alike >= NEXT_TO_NONE else "last"


def step(kept: Kept, val_losses: list[float], rule: Rule) -> Kept:
    """Return which epoch is kept after the last of `val_losses`, those of all epochs so far."""
    loss = _judged(val_losses, rule)
    if rule == "last" or loss < kept.loss:
        better = loss < kept.loss
        return Kept(epoch=len(val_losses), loss=min(loss, kept.loss), waited=0 if better else kept.waited + 1)
    return Kept(epoch=kept.epoch, loss=kept.loss, waited=kept.waited + 1)


def _judged(val_losses: list[float], rule: Rule) -> float:
    """Return the loss of the last epoch, or its average with those before. The first few have too few to be kept."""
    if rule != "smoothed":
        return val_losses[-1]
    return float(np.mean(val_losses[-AVERAGED:]))


def said(rule: Rule, n_val_images: int, n_alike: float) -> str:
    """Return what to tell people, or nothing where nothing is remarkable."""
    few = f"only {n_val_images:,} validation images"
    if n_alike < ALIKE * n_val_images:
        few = f"{n_val_images:,} validation images, of rare classes so few that they tell as much as {n_alike:.0f}"
    match rule:
        case "smoothed":
            return f"{few}: the epoch is kept whose loss, averaged over the last {AVERAGED}, is lowest"
        case "last":
            return f"{few}: they can't tell epochs apart, the last one is kept"
    return ""
