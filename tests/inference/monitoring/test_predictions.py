"""Monitoring asks the champion as its users do: a temperature or threshold that it forgot would be called drift."""

import io
from pathlib import Path

import numpy as np
import pytest
import tiny
from PIL import Image

from assay import Classifier
from assay.evaluation import calibration, metrics
from assay.evaluation.predictions import confidence
from assay.inference.monitoring import predictions
from assay.labels import Task, decode


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("task", ["single_label", "multi_label"])
def test_answers_are_those_of_the_evaluation(tmp_path: Path, task: Task) -> None:
    """The evaluation's own way from logits to label and sureness, at a temperature far from 1."""
    model, pixels = tiny.network(task=task), tiny.pixels(20)
    said = tiny.write(tmp_path, model, task=task, temperature=3.0)
    classifier = Classifier.load(tmp_path)
    found = predictions.predict(classifier, [lambda image=image: png(image) for image in pixels])
    plain = np.asarray(model(pixels)).astype(np.float64)
    logits = np.log(plain) - (np.log1p(-plain) if task == "multi_label" else 0)
    cooled = calibration.probabilities(logits, task, 3.0)
    answers = metrics.answers(cooled > 0, cooled, np.arange(20), task=task, thresholds=said.thresholds)
    assert found["predicted"].tolist() == [decode(row, tiny.CLASSES) for row in answers.predicted]
    assert found["probability"].to_numpy() == pytest.approx(confidence(answers), abs=2e-5)


def test_what_cannot_be_read_is_missing_and_costs_no_other(tmp_path: Path) -> None:
    tiny.write(tmp_path, tiny.network())

    def gone() -> bytes:
        raise FileNotFoundError(2, "No such file", "x.png")

    good = png(tiny.pixels(1)[0])
    found = predictions.predict(Classifier.load(tmp_path), [lambda: good, gone, lambda: b"no image", lambda: good])
    assert found["predicted"].isna().tolist() == [False, True, True, False]
    assert found["probability"].isna().tolist() == [False, True, True, False]


def test_no_image_is_an_empty_table(tmp_path: Path) -> None:
    tiny.write(tmp_path, tiny.network())
    assert predictions.predict(Classifier.load(tmp_path), []).columns.tolist() == ["predicted", "probability"]
