"""What the champion says of encoded images, as its users get it: by its export, at its temperature and thresholds."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from assay.inference import predict as predicting
from assay.inference.classifier import Classifier
from assay.inference.inputs import Input
from assay.inference.model import Prediction

DECIMALS = 6


def predict(classifier: Classifier, contents: Sequence[Callable[[], bytes]]) -> pd.DataFrame:
    """Return `predicted` and `probability` of each image: its label, and how sure the model is of it, as `evaluate` has
    them; missing where the image cannot be read or decoded.

    `contents` are called in threads, about in their order.
    """
    inputs = [Input(name=str(number), read=read) for number, read in enumerate(contents)]
    said = [(each.label, _sureness(classifier, each)) for each in predicting.stream(classifier, inputs, top=1)]
    found = pd.DataFrame(said, columns=["predicted", "probability"])
    return found.astype({"predicted": object, "probability": float}).round({"probability": DECIMALS})


def _sureness(classifier: Classifier, of: Prediction) -> float | None:
    """Return the probability of the label; of several classes that of the least sure decision, by its threshold."""
    if of.probabilities is None or classifier.about.task == "single_label":
        return of.probability
    named = of.probabilities >= np.array(classifier.about.limits)
    return float(np.where(named, of.probabilities, 1 - of.probabilities).min())
