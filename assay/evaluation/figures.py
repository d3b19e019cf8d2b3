"""The results as metrics/ and plots/ keep them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from assay import labels
from assay.evaluation import areas, metrics
from assay.evaluation.results import Evaluation, Unlike

DECIMALS = 4
WITH_ENDS = ("accuracy", "balanced_accuracy", "f1_macro", "f1_micro")  # whose intervals metrics/eval.json keeps

WEAKEST = 10  # slices that are surely worse


def as_metrics(found: Evaluation) -> dict[str, Any]:
    """Return the content of metrics/eval.json: numbers only, rounded; a class goes by its slug."""
    test, keys = found.test.measured, labels.slugs(found.classes)
    content: dict[str, Any] = {}
    for name, estimate in test.overall.items():
        content[name] = estimate.value
        if name in WITH_ENDS:
            content |= {f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    content |= _counted(found) | _sure(found) | {"ood": _far(found.unlike), "val": _val(found.val.measured)}
    if weak := [each for each in found.slices if each.is_worse]:
        named = labels.slugs(f"{each.column} {each.value}" for each in weak)
        content["weak_slices"] = {named[f"{each.column} {each.value}"]: each.share.value for each in weak[:WEAKEST]}
    content["class"] = {keys[name]: _of_class(each) for name, each in zip(found.classes, test.classes, strict=True)}
    return _rounded(content)


def _counted(found: Evaluation) -> dict[str, Any]:
    accuracy = found.test.measured.accuracy
    counts: dict[str, Any] = {"n_images": accuracy.n, "n_groups": accuracy.n_groups}
    counts |= {"n_effective": accuracy.n_effective, "detectable_difference": found.detectable}
    counts |= {"n_unanswered": found.test.answers.n_unanswered} if found.test.answers.n_unanswered else {}
    counts |= {"n_suspects": len(found.suspects), "n_weak_slices": sum(each.is_worse for each in found.slices)}
    return counts | ({} if found.noise_share is None else {"label_noise_share": found.noise_share})


def _sure(found: Evaluation) -> dict[str, Any]:
    before, after = found.before, found.after
    return {
        "temperature": found.answering.temperature.value,
        "calibration_error": after.error,
        "calibration_error_uncalibrated": before.error,
        "calibration_error_floor": after.floor,
        "log_loss_uncalibrated": before.log_loss,
        "brier_uncalibrated": before.brier,
    }


def _far(unlike: Unlike) -> dict[str, float]:
    set_aside = float((unlike.scores > 1).mean())
    caught = {f"{name}_caught_share": float((scores > 1).mean()) for name, scores in unlike.far.items()}
    return {"test_set_aside_share": set_aside} | {f"{name}_auc": v for name, v in unlike.separation.items()} | caught


def _val(measured: metrics.Measured) -> dict[str, float]:
    return {name: measured.overall[name].value for name in ("accuracy", "f1_macro", "log_loss")}


def _of_class(score: metrics.ClassScore) -> dict[str, Any]:
    shares = {"precision": score.precision.value, "recall": score.recall.value, "f1": score.f1.value}
    areas = {"roc_auc": score.roc_auc, "average_precision": score.average_precision}
    known = {name: area.value for name, area in areas.items() if area}
    return shares | known | ({} if score.threshold is None else {"threshold": score.threshold}) | {"n": score.n}


def _rounded(content: Mapping[str, Any]) -> dict[str, Any]:
    rounded: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            rounded[key] = _rounded(value)
        elif value is not None:
            rounded[key] = round(value, DECIMALS) if isinstance(value, float) else value
    return rounded


def confusion(found: Evaluation) -> pd.DataFrame:
    """Return how often each class was taken for which; of a multi-label set four counts of each class."""
    answers = found.test.answers
    if found.task == "multi_label":
        scores = dict(zip(found.classes, found.test.measured.classes, strict=True))
        return two_by_two(scores, len(answers.actual))
    return pairs(metrics.confusion(answers.actual, answers.predicted), found.classes)


def pairs(counts: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    """Return a row for every pair of classes, also where the count is 0, so that two commits have the same rows."""
    return pd.DataFrame(
        [
            {"actual": actual, "predicted": predicted, "count": int(counts[row, column])}
            for row, actual in enumerate(classes)
            for column, predicted in enumerate(classes)
        ]
    )


def two_by_two(scores: Mapping[str, metrics.ClassScore], n_images: int) -> pd.DataFrame:
    """Return four rows for each class of a multi-label set: in it or not, against named or not."""
    rows = []
    for name, s in scores.items():
        without = f"{name} (not)"  # stands beside the class in the order of names
        counts = (s.n_found, s.n - s.n_found, s.n_named - s.n_found, n_images - s.n - s.n_named + s.n_found)
        places = [(name, name), (name, without), (without, name), (without, without)]
        rows += [(*place, count) for place, count in zip(places, counts, strict=True)]
    return pd.DataFrame(rows, columns=["actual", "predicted", "count"])


def curves(actual: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    """Return the points of each class against all others; a class that none or all test images have is left out."""
    rows = [
        {"class": name, "false_positive_rate": false_rate, "true_positive_rate": true_rate}
        for number, name in enumerate(classes)
        if 0 < actual[:, number].sum() < len(actual)
        for false_rate, true_rate in areas.roc(actual[:, number], probabilities[:, number])
    ]
    return pd.DataFrame(rows, columns=["class", "false_positive_rate", "true_positive_rate"])


def reliability(found: Evaluation) -> pd.DataFrame:
    """Return the bins of confidence that hold answers, at the fitted temperature."""
    return pd.DataFrame(found.after.bins)
