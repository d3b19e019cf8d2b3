"""Measure the model on the test split."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from assay import dataset, files, gate, labels, manifest, metrics, model, params, records, report, stage
from assay.errors import AssayError

BATCH_IMAGES = 64
SHOWN = 60  # wrong images on the page, at most
DECIMALS = 4


def main(p: params.Params) -> None:
    gate.check_open(p.paths.passed, p.paths.manifest)
    model.set_up(threads=p.threads)
    index = records.read_index(p.paths.index)
    predictions = predict(p.paths, index)
    actual, probabilities = as_arrays(predictions, index.classes)
    overall = metrics.overall(
        actual, probabilities, confidence=p.evaluate.confidence, n_bins=p.evaluate.calibration_bins
    )
    counts = metrics.confusion(actual, probabilities.argmax(axis=1), len(index.classes))
    scores = dict(zip(index.classes, metrics.by_class(counts, p.evaluate.confidence), strict=True))
    bins = metrics.calibration(actual, probabilities, p.evaluate.calibration_bins)

    files.write_json(p.paths.metrics.eval, {"eval": as_metrics(overall, scores)})
    _write_csv(p.paths.predictions, predictions, "%.6f")
    _write_csv(p.paths.confusion, pairs(counts, index.classes))
    _write_csv(p.paths.roc, curves(actual, probabilities, index.classes), "%.5f")
    _write_csv(p.paths.calibration, pd.DataFrame(bins), "%.5f")
    wrong = predictions[predictions["label"] != predictions["predicted"]]
    worst = min((name for name, score in scores.items() if score.n), key=lambda name: scores[name].recall)
    page = report.render(
        "evaluation.html",
        confidence=p.evaluate.confidence,
        overall=overall,
        scores=scores,
        worst=worst,
        counts=counts.tolist(),
        bins=bins,
        wrong=shown(p.paths, index, wrong),
        n_wrong=len(wrong),
        n_images=len(predictions),
    )
    files.write_text(p.paths.evaluation / "index.html", page)
    print(
        f"accuracy {overall['accuracy']:.4f}, between {overall['accuracy_low']:.4f} and {overall['accuracy_high']:.4f} "
        f"(always the commonest class: {overall['baseline_accuracy']:.4f})",
        f"{len(wrong):,} of {len(predictions):,} test images wrong, "
        f"recall {scores[worst].recall:.4f} of the worst class, {worst}",
        f"report: {(p.paths.evaluation / 'index.html').as_posix()}",
        sep="\n",
    )


def predict(paths: params.Paths, index: records.Index) -> pd.DataFrame:
    """Return one row per test image, sorted by `sha256`: label, predicted, probability of it, p_<class> of each class.

    Raises `AssayError` for an empty test split.
    """
    if not index.splits["test"].n_images:
        raise AssayError("test: 0 images, at least 1 is needed (params.yaml: ingest.test_share)")
    classifier = model.read(paths.model)
    hashes, actual, found = [], [], []
    for images, numbers, sha256 in dataset.named(paths.records, index, "test", batch_images=BATCH_IMAGES):
        found.append(classifier.predict_on_batch(images))
        actual.append(numbers.numpy())
        hashes += [value.decode() for value in sha256.numpy()]
    names, probabilities = np.array(index.classes, dtype=object), np.concatenate(found).astype(np.float64)
    probabilities /= probabilities.sum(axis=1, keepdims=True)  # float32 leaves 1e-7
    head = {
        "sha256": hashes,
        "label": names[np.concatenate(actual)],
        "predicted": names[probabilities.argmax(axis=1)],
        "probability": probabilities.max(axis=1),
    }
    rows = {f"p_{name}": probabilities[:, number] for number, name in enumerate(index.classes)}
    return pd.DataFrame(head | rows).sort_values("sha256", ignore_index=True)


def as_arrays(predictions: pd.DataFrame, classes: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels [N] and the probabilities [N, K] of the rows."""
    numbers = {name: number for number, name in enumerate(classes)}
    probabilities = predictions[[f"p_{name}" for name in classes]].to_numpy()
    return predictions["label"].map(numbers).to_numpy(np.int64), probabilities


def as_metrics(overall: Mapping[str, float], scores: Mapping[str, metrics.ClassScore]) -> dict[str, Any]:
    """Return the content of metrics/eval.json: numbers only, rounded; a class goes by its slug."""
    keys = labels.slugs(scores)
    return {
        **{name: round(value, DECIMALS) for name, value in overall.items()},
        "n_images": sum(score.n for score in scores.values()),
        "class": {
            keys[name]: {
                "precision": round(score.precision, DECIMALS),
                "recall": round(score.recall, DECIMALS),
                "f1": round(score.f1, DECIMALS),
                "n": score.n,
            }
            for name, score in scores.items()
        },
    }


def pairs(counts: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    """Return a row for every pair of classes, also where the count is 0, so that two commits have the same rows."""
    return pd.DataFrame(
        [
            {"actual": actual, "predicted": predicted, "count": int(counts[row, column])}
            for row, actual in enumerate(classes)
            for column, predicted in enumerate(classes)
        ]
    )


def curves(actual: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    """Return the points of each class against all others; a class that none or all test images have is left out."""
    rows = [
        {"class": name, "false_positive_rate": false_rate, "true_positive_rate": true_rate}
        for number, name in enumerate(classes)
        if 0 < (actual == number).sum() < len(actual)
        for false_rate, true_rate in metrics.roc(actual == number, probabilities[:, number])
    ]
    return pd.DataFrame(rows, columns=["class", "false_positive_rate", "true_positive_rate"])


def shown(paths: params.Paths, index: records.Index, wrong: pd.DataFrame) -> list[dict[str, Any]]:
    """Return what the page shows of the wrong test images, the surest error first, `SHOWN` at most."""
    surest = wrong.sort_values(["probability", "sha256"], ascending=[False, True]).head(SHOWN)
    named = manifest.read(paths.manifest).drop_duplicates("sha256").set_index("sha256")["path"]
    pictures = _pictures(paths, index, set(surest["sha256"]))
    return [
        {
            "path": named[row.sha256],
            "sha256": row.sha256,  # what `assay forget` finds the picture by
            "picture": pictures[row.sha256],
            "actual": row.label,
            "predicted": row.predicted,
            "probability": row.probability,
        }
        for row in surest.itertuples()
    ]


def _pictures(paths: params.Paths, index: records.Index, wanted: set[str]) -> dict[str, str]:
    """Return the `data:` URI of each wanted test image; they are read anew, for all images may not fit in memory."""
    found = {}
    for images, _, sha256 in dataset.named(paths.records, index, "test", batch_images=BATCH_IMAGES):
        for image, key in zip(images.numpy(), (value.decode() for value in sha256.numpy()), strict=True):
            if key in wanted:
                found[key] = report.picture(image)
    return found


def _write_csv(file: Path, rows: pd.DataFrame, decimals: str | None = None) -> None:
    files.write_text(file, rows.to_csv(index=False, lineterminator="\n", float_format=decimals))


if __name__ == "__main__":
    stage.run("evaluate", main)
