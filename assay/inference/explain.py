"""Why an answer is what it is: where the class was seen, the nearest train images, and whether the image is ordinary.

The heat map is the class-activation map, equal to Grad-CAM where a network ends in pooling and one dense layer
(https://arxiv.org/abs/1610.02391, section 3.1): what the class was seen by, above 0, the most of it as 1.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from assay.evaluation import ood
from assay.images import decode
from assay.images.resizing import Box, plan
from assay.inference.classifier import Classifier
from assay.inference.model import Prediction, told

NEAREST = 5
HEAT = (235, 70, 20)  # red, green, blue
MOST_OPAQUE = 0.65
SIDE_PX = 320  # the longest, of an image with its heat map


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    label: str
    sha256: str  # of the train image
    likeness: float  # cosine of the features, in [-1, 1]


@dataclass(frozen=True, kw_only=True)
class Explanation:
    prediction: Prediction
    of: str  # the class that the heat map is of: the likeliest
    heat: np.ndarray | None  # float32 [h, w] in [0, 1], over the pixels that the network takes; None: it has no maps
    nearest: tuple[Neighbour, ...]
    size: tuple[int, int]  # of the upright image: width, height in px


def explain(
    classifier: Classifier, content: bytes, *, name: str, top: int, max_pixels: int | None = None
) -> Explanation:
    """Return the explanation of an encoded image; raises `decode.Undecodable` for one that cannot be read."""
    pixels = classifier.pixels(content, max_pixels)[None]
    found = classifier.answers(pixels, maps=True)
    best = int(found.probabilities[0].argmax())
    verdict = found.verdicts[0] if found.verdicts else None
    return Explanation(
        prediction=Prediction(name=name, **told(classifier.about, found.probabilities[0], verdict, top)),
        of=classifier.about.classes[best],
        heat=None if found.maps is None else _heat(found.maps[0, ..., best]),
        nearest=_nearest(classifier, found.embedding),
        size=upright_size(content),
    )


def _heat(positions: np.ndarray) -> np.ndarray:
    positive = np.maximum(positions, 0)
    return np.asarray(positive / max(float(positive.max()), 1e-12))


def _nearest(classifier: Classifier, embedding: np.ndarray) -> tuple[Neighbour, ...]:
    known = classifier.reference
    if known is None:
        return ()
    places, likeness = ood.nearest(known, embedding, NEAREST)
    return tuple(
        Neighbour(
            label=_label(known.labels[place], classifier), sha256=known.sha256[place].decode(), likeness=float(near)
        )
        for place, near in zip(places[0], likeness[0], strict=True)
    )


def _label(label: np.ndarray, classifier: Classifier) -> str:
    classes = classifier.about.classes
    return classes[int(label)] if label.ndim == 0 else "|".join(classes[place] for place in np.flatnonzero(label))


def upright_size(content: bytes) -> tuple[int, int]:
    """Return width and height in px of an encoded image as people see it."""
    with decode.opened(content) as source:
        width, height = source.size
        return (height, width) if decode.orientation(source) in decode.TURNED else (width, height)


def picture(classifier: Classifier, explanation: Explanation, *, side_px: int) -> Image.Image | None:
    """Return the heat map as a picture to lay over the upright image, RGBA, as opaque as the heat; None without one.

    It has the aspect of the image; what the network did not see of it (`crop`) is clear.
    """
    if explanation.heat is None:
        return None
    size, p = explanation.size, classifier.about.preprocessing
    planned = plan(size, (p.width_px, p.height_px), p.resize)
    canvas = Image.fromarray(explanation.heat.astype(np.float32)).resize(
        (p.width_px, p.height_px), Image.Resampling.BILINEAR
    )
    left, top = planned.corner
    inside = canvas.crop((left, top, left + planned.inside[0], top + planned.inside[1]))
    scale = side_px / max(size)
    shown = Image.new("F", (max(1, round(size[0] * scale)), max(1, round(size[1] * scale))), 0)
    box = _scaled(planned.box, scale)
    wide, high = max(1, box[2] - box[0]), max(1, box[3] - box[1])
    shown.paste(inside.resize((wide, high), Image.Resampling.BILINEAR), box[:2])
    alpha = np.clip(np.asarray(shown) * 255 * MOST_OPAQUE, 0, 255).round().astype(np.uint8)
    coloured = Image.new("RGBA", shown.size, (*HEAT, 0))
    coloured.putalpha(Image.fromarray(alpha))
    return coloured


def _scaled(box: Box, scale: float) -> tuple[int, int, int, int]:
    left, top, right, bottom = (round(edge * scale) for edge in box)
    return left, top, right, bottom


def laid_over(classifier: Classifier, explanation: Explanation, content: bytes) -> Image.Image:
    """Return the upright image, RGB and no larger than `SIDE_PX` a side, with its heat map over it."""
    shown = decode.to_rgb(decode.decode(content, classifier.about.preprocessing.reading))
    heat = picture(classifier, explanation, side_px=SIDE_PX)
    scale = SIDE_PX / max(shown.size)
    size = heat.size if heat else (max(1, round(shown.width * scale)), max(1, round(shown.height * scale)))
    small = shown.resize(size, Image.Resampling.BILINEAR)
    return small if heat is None else Image.alpha_composite(small.convert("RGBA"), heat).convert("RGB")


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def lines(explanation: Explanation) -> list[str]:
    """Return the explanation for people, a line each."""
    said = explanation.prediction
    answers = ", ".join(f"{name} {probability:.1%}" for name, probability in said.top)
    found = [f"{said.name}: {said.label or '(none)'} ({answers})"]
    if said.is_ordinary is None:
        found.append("the export has no reference, so nothing tells whether the image is ordinary")
    else:
        found.append("like the train images" if said.is_ordinary else "unlike the train images")
        found += [f"  {reason}" for reason in said.reasons]
    if explanation.nearest:
        found.append("nearest train images:")
        found += [f"  {each.label}, likeness {each.likeness:.3f}, {each.sha256[:12]}" for each in explanation.nearest]
    return found
