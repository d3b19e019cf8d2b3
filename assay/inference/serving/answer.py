"""What is said of an upload, as JSON."""

import base64
from typing import Any

from assay.images import decode, thumbnail
from assay.inference import explain
from assay.inference.classifier import Classifier
from assay.inference.model import Prediction, problem, told
from assay.inference.neighbours import Pictures
from assay.inference.serving.uploads import Upload

SHOWN_BY_BROWSERS = {"AVIF", "BMP", "GIF", "JPEG", "MPO", "PNG", "WEBP"}
HEAT_PX = 160  # the longest side of a heat map: it is smooth, and the browser enlarges it


def predicted(classifier: Classifier, uploads: list[Upload], *, top: int, max_pixels: int) -> list[Prediction]:
    """Return the prediction of each upload; one that cannot be read is one with a problem."""
    found = []
    for each in uploads:
        try:
            pixels = classifier.pixels(each.content, max_pixels)[None]
        except decode.Undecodable as error:
            found.append(Prediction(name=each.name, problem=problem(error)))
            continue
        answers = classifier.answers(pixels)
        verdict = answers.verdicts[0] if answers.verdicts else None
        found.append(Prediction(name=each.name, **told(classifier.about, answers.probabilities[0], verdict, top)))
    return found


def explained(
    classifier: Classifier, uploads: list[Upload], pictures: Pictures, *, top: int, max_pixels: int
) -> tuple[list[Prediction], list[dict[str, Any]]]:
    """Return the predictions, and of each what the page shows beside it: heat map and nearest train images."""
    predictions: list[Prediction] = []
    more: list[dict[str, Any]] = []
    for each in uploads:
        try:
            found = explain.explain(classifier, each.content, name=each.name, top=top, max_pixels=max_pixels)
        except decode.Undecodable as error:
            predictions.append(Prediction(name=each.name, problem=problem(error)))
            more.append({})
            continue
        predictions.append(found.prediction)
        more.append(_more(classifier, found, pictures) | {"preview": _preview(classifier, each.content)})
    return predictions, more


def _more(classifier: Classifier, found: explain.Explanation, pictures: Pictures) -> dict[str, Any]:
    heat = explain.picture(classifier, found, side_px=HEAT_PX)
    among = () if classifier.reference is None else classifier.reference.sha256
    return {
        "width_px": found.size[0],
        "height_px": found.size[1],
        "heat_map": heat and {"of": found.of, "png": _uri(explain.png(heat))},
        "nearest": [
            {
                "label": each.label,
                "likeness": round(each.likeness, 4),
                "sha256": each.sha256,
                "picture": pictures.of(each.sha256, among),
            }
            for each in found.nearest
        ],
    }


def _preview(classifier: Classifier, content: bytes) -> str | None:
    """Return the image as a small one, where a browser would not show it, or not as the model sees it."""
    reading = classifier.about.preprocessing.reading
    with decode.opened(content) as source:
        is_scaled = reading.white_level is not None and source.mode.startswith("I")
        if source.format in SHOWN_BY_BROWSERS and not is_scaled:
            return None
    return thumbnail.small(decode.to_rgb(decode.decode(content, reading)))


def _uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def as_json(prediction: Prediction) -> dict[str, Any]:
    """Return the prediction as /predict answers it."""
    return {
        "name": prediction.name,
        "label": prediction.label,
        "probability": prediction.probability,
        "top": [{"label": label, "probability": probability} for label, probability in prediction.top],
        "ordinary": prediction.is_ordinary,
        "reasons": list(prediction.reasons),
        "problem": prediction.problem or None,
    }
