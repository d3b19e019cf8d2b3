"""Sizes, colour and training that suit the images, as a start for params.yaml, each with its reason."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from assay import labels
from assay.labels import Task
from assay.operations import flips
from assay.training import presets

SIDES_PX = (8, 12, 16, 24, 32, 48, 64, 96, 128)  # short sides; training from nothing hardly gains beyond, and pays
STEP_PX = 8  # the long side is a multiple, as the blocks of the network halve it
ONE_SHAPE = 0.05  # so much may the aspects of nearly all images differ and still be one
NEARLY_ALL = (0.02, 0.98)  # quantiles
LONG = 2.0  # an aspect beyond which a long side costs more than it shows
GREY_SATURATION = 0.02  # in [0, 1]: what JPEG leaves of a grey picture
COLOURED = 0.01  # of the images may be coloured in a set that is grey


@dataclass(frozen=True, kw_only=True)
class Choice:
    key: str  # of params.yaml, dotted
    value: Any
    why: str


def choices(rows: pd.DataFrame, pixels: np.ndarray, classes: Sequence[str], task: Task) -> list[Choice]:
    """Return the choices for the images of a manifest, decodable ones with a split; in the order of params.yaml.

    `pixels`: border and centre of each row, uint8 [N, 2, 60].
    """
    used = rows[rows["decodable"].astype("bool") & rows["split"].notna()]
    height, width = (used[f"{side}_px"].astype("float64") for side in ("height", "width"))
    found = [*_size(height, width), _colour(used)]
    value = {each.key.partition(".")[2]: each.value for each in found}
    n_train = int((used["split"] == "train").sum())
    preset = _preset(value, n_train, len(classes))
    found += [
        Choice(key=f"train.{key}", value=_plain(getattr(preset, key)), why=why) for key, why in preset.reasons.items()
    ]
    flip, why = flips.choice(pixels, _places(used[used["split"] == "train"], classes, task))
    return [*found, Choice(key="train.augment.flip", value=flip, why=why)]


def _places(rows: pd.DataFrame, classes: Sequence[str], task: Task) -> dict[str, np.ndarray]:
    """Return where in the manifest the rows of each class are."""
    found: dict[str, list[int]] = {name: [] for name in classes}
    for place, label in rows["label"].items():
        for name in labels.names(label, task):
            found[name].append(place)
    return {name: np.array(places, int) for name, places in found.items()}


def hint(rows: pd.DataFrame, n_classes: int, chosen: list[Choice]) -> str:
    """Return what else may be worth a try in training; may be empty."""
    value = {each.key.partition(".")[2]: each.value for each in chosen}
    return _preset(value, int((rows["split"] == "train").sum()), n_classes).hint


def _preset(value: dict[str, Any], n_train: int, n_classes: int) -> presets.Preset:
    return presets.suggest(value["height_px"], value["width_px"], n_train, n_classes, value["colour"])


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _size(height: "pd.Series[float]", width: "pd.Series[float]") -> list[Choice]:
    short = pd.concat([height, width], axis=1).min(axis=1)
    median = float(short.median())
    side = max((each for each in SIDES_PX if each <= median), default=SIDES_PX[0])
    aspect = width / height
    low, high = aspect.quantile(NEARLY_ALL[0]), aspect.quantile(NEARLY_ALL[1])
    is_one_shape = high <= low * (1 + ONE_SHAPE) and low >= 1 / LONG and high <= LONG
    usual = float(aspect.median())
    tall = side if usual >= 1 else _long(side, 1 / usual)
    wide = side if usual <= 1 else _long(side, usual)
    seen = f"the median short side is {median:,.0f} px"
    why = f"{seen}; beyond {SIDES_PX[-1]} px a network that starts from nothing pays more than it gains"
    why = why if median >= SIDES_PX[-1] else f"{seen}; larger ones would be enlarged"
    if is_one_shape:
        shape = f"nearly all images have one shape, width {usual:.2f} times the height: nothing is distorted"
        return _of_size(tall, wide, why, "stretch", shape)
    shapes = f"width {low:.2f} to {high:.2f} times the height: padding keeps all of a picture and its shape"
    return _of_size(side, side, why, "pad", shapes)


def _of_size(height: int, width: int, why: str, resize: str, shape: str) -> list[Choice]:
    return [
        Choice(key="preprocess.height_px", value=height, why=why),
        Choice(key="preprocess.width_px", value=width, why=why),
        Choice(key="preprocess.resize", value=resize, why=shape),
    ]


def _long(side: int, aspect: float) -> int:
    """Return the long side: a multiple of `STEP_PX`, or the short one where they are nearly equal."""
    long = side * aspect
    return side if long < side * (1 + ONE_SHAPE) else max(side, STEP_PX * math.ceil(long / STEP_PX - 0.5))


def _colour(used: pd.DataFrame) -> Choice:
    saturation = used["saturation"].astype("float64").fillna(0)
    coloured = float(((used["channels"].astype("float64") > 2) & (saturation > GREY_SATURATION)).mean())
    seen = f"{coloured:.0%} of the images have colour"
    if coloured <= COLOURED:
        return Choice(key="preprocess.colour", value="grey", why=f"{seen}; three equal channels would cost three times")
    return Choice(key="preprocess.colour", value="rgb", why=seen)
