"""Why this one image is answered as it is: how it was read, what it is like, and whether the answer is steady."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from PIL import Image

from assay import params, words
from assay.images import decode
from assay.inference import explain
from assay.inference.classifier import Classifier
from assay.inference.explain import Explanation
from assay.inference.model import told

TURN_DEG, SHIFT_SHARE, BRIGHTER = 8.0, 0.06, 0.1  # what leaves the label of nearly every image
NEAR = 0.2  # of probability, between the first class and the second: the answer is close


@dataclass(frozen=True, kw_only=True)
class Steadiness:
    """What the answer is after light changes of the image."""

    n_changes: int
    others: tuple[tuple[str, str], ...]  # what was changed, and what is answered then


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the manifest says of an image of these very bytes, or pixels."""

    path: str
    label: str
    split: str  # empty: set aside


def steadiness(classifier: Classifier, pixels: np.ndarray) -> Steadiness:
    """Return which light changes turn the answer; `pixels`: uint8 [H, W, C], as the model takes them."""
    named = dict(changed(pixels))
    found = classifier.answers(np.stack([pixels, *named.values()])).probabilities
    said = [str(told(classifier.about, row, None, 1)["label"]) for row in found]
    turned = tuple((name, after) for name, after in zip(named, said[1:], strict=True) if after != said[0])
    return Steadiness(n_changes=len(named), others=turned)


def changed(pixels: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield light changes of the image by name: turned, shifted, brighter, mirrored borders fill what comes in."""
    height, width = pixels.shape[:2]
    margin = max(2, -(-max(height, width) // 5))
    mode: Literal["reflect", "edge"] = "reflect" if min(height, width) > margin else "edge"
    wide = np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), mode)
    picture = Image.fromarray(wide.squeeze(axis=2) if wide.shape[2] == 1 else wide)
    for turn in (-TURN_DEG, TURN_DEG):
        turned = np.asarray(picture.rotate(turn, Image.Resampling.BILINEAR)).reshape(wide.shape)
        yield f"turned by {turn:+g}°", turned[margin:-margin, margin:-margin]
    for name, axis, size in (("down", 0, height), ("right", 1, width)):
        for sign in (-1, 1):
            step = sign * max(1, round(SHIFT_SHARE * size))
            yield f"shifted {name} by {step:+d} px", np.roll(wide, step, axis)[margin:-margin, margin:-margin]
    for sign in (-1, 1):
        lighter = np.clip(pixels.astype(float) * (1 + sign * BRIGHTER), 0, 255).round().astype(np.uint8)
        yield f"{sign * BRIGHTER:+.0%} brightness", lighter


def known(rows: pd.DataFrame, sha256: str) -> Known | None:
    """Return what the manifest knows of the image; `rows`: path, label, split and sha256."""
    found = rows[rows["sha256"] == sha256]
    if found.empty:
        return None
    first = found.iloc[0].fillna("")
    return Known(path=str(first["path"]), label=str(first["label"]), split=str(first["split"]))


def confused(p: params.Params, explanation: Explanation) -> tuple[int, int] | None:
    """Return how many test images of the second likeliest class are taken for the first, and how many there are."""
    if not p.paths.predictions.exists() or len(explanation.prediction.top) < 2:
        return None
    first, second = (name for name, _ in explanation.prediction.top[:2])
    texts = {"label": str, "predicted": str}
    said = pd.read_csv(p.paths.predictions, dtype=texts, keep_default_na=False, usecols=list(texts))
    of = said[said["label"] == second]
    return int((of["predicted"] == first).sum()), len(of)


def read_as(classifier: Classifier, content: bytes) -> str:
    """Return how the file was read and prepared."""
    size = classifier.about.preprocessing
    with decode.opened(content) as source:
        stored = f"{source.format} {source.mode}, {source.size[0]} x {source.size[1]} px"
        turned = ", turned upright" if decode.orientation(source) != 1 else ""
    return f"read as {stored}{turned}; given as {size.colour}, {size.width_px} x {size.height_px} px ({size.resize})"


def lines(
    explanation: Explanation, *, read: str, steady: Steadiness, is_known: Known | None, confused: tuple[int, int] | None
) -> list[str]:
    """Return the diagnosis for people; `confused`: of so many test images of the first class, how many are taken for
    the second."""
    said = explanation.prediction
    found = [*explain.lines(explanation), read]
    if len(said.top) > 1 and said.top[0][1] - said.top[1][1] < NEAR:
        found.append(f"the answer is close: {said.top[0][0]!r} and {said.top[1][0]!r}")
    if confused and len(said.top) > 1:
        n, of = confused
        found.append(
            f"of {words.counted(of, 'test image')} of {said.top[1][0]!r}, {n:,} are taken for {said.top[0][0]!r}"
        )
    if steady.others:
        what = "; ".join(f"{name}: {label or '(none)'}" for name, label in steady.others)
        found.append(f"{len(steady.others)} of {steady.n_changes} light changes turn the answer: {what}")
    else:
        found.append(f"none of {steady.n_changes} light changes turns the answer")
    return [*found, _about(is_known, said.label)]


def _about(is_known: Known | None, said: str | None) -> str:
    if is_known is None:
        return "its label is not known: no image of the manifest has these bytes"
    where = f"in the {is_known.split} split" if is_known.split else "set aside"
    judged = "as answered" if is_known.label == said else f"and {said!r} is answered"
    return f"labelled {is_known.label!r} {where} ({is_known.path}), {judged}"


def next_step(explanation: Explanation, steady: Steadiness, is_known: Known | None) -> str:
    """Return the one thing to do."""
    said = explanation.prediction
    heat = f"`assay explain {said.name} --out heat.png` shows what it was seen by"
    if said.is_ordinary is False:
        return "add train images of this kind, or have people look at images that are set aside"
    if is_known and is_known.label != said.label:
        like = {each.label for each in explanation.nearest}
        if like == {said.label}:
            return "its nearest train images are all labelled as it is answered: look at its label (`assay relabel`)"
        return f"{heat}; more train images like it help"
    if steady.others:
        return "stronger augmentation makes such answers steady (params.yaml: train.augment.preset)"
    return heat
