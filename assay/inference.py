"""What the champion says of encoded images, prepared as those that it was trained on. Imports TensorFlow."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from assay import backend, image, labels, metrics, model
from assay.champion import Champion

BATCH_IMAGES = 64
COLUMNS = ("predicted", "probability")


def predict(champion: Champion, contents: Sequence[Callable[[], bytes]]) -> pd.DataFrame:
    """Return `predicted` and `probability` of each image: its label, and how sure the model is of it, as `evaluate` has
    them; missing where the image cannot be read or decoded.

    `contents` are called in their order, a batch at a time.
    """
    model.set_up(threads=champion.threads)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.keras"
        file.write_bytes(champion.model)
        network = model.read(file)
    found = pd.DataFrame(index=range(len(contents)), columns=list(COLUMNS), dtype=object)
    for rows in backend.batches(range(len(contents)), BATCH_IMAGES):
        pixels = {row: shown for row in rows if (shown := _pixels(champion, contents[row])) is not None}
        if pixels:
            probabilities = network.predict_on_batch(np.stack(list(pixels.values()))).astype(np.float64)
            found.loc[list(pixels), list(COLUMNS)] = _said(champion, probabilities).to_numpy(object)
    return found.astype({"probability": float})


def _pixels(champion: Champion, content: Callable[[], bytes]) -> np.ndarray | None:
    p = champion.preprocess
    try:
        return image.prepare(content(), height_px=p.height_px, width_px=p.width_px, colour=p.colour, resize=p.resize)
    except (image.Undecodable, OSError):
        return None


def _said(champion: Champion, probabilities: np.ndarray) -> pd.DataFrame:
    if champion.task == "single_label":
        probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
        sure = probabilities.max(axis=1)
    else:
        sure = np.maximum(probabilities, 1 - probabilities).min(axis=1)
    named = [labels.decode(row, champion.classes) for row in metrics.named(probabilities, champion.task)]
    return pd.DataFrame({"predicted": named, "probability": sure.round(6)})
