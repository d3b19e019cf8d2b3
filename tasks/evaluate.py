"""Measure the model on the test split."""

from collections.abc import Mapping
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
    gate.check_verified(p.paths.verified, p.paths.index)
    model.set_up(threads=p.threads)
    index = records.read_index(p.paths.index)
    predictions = predict(p.paths, index)
    actual, probabilities = as_arrays(predictions, index)
    predicted = metrics.named(probabilities, index.task)
    confidence, n_bins = p.evaluate.confidence, p.evaluate.calibration_bins
    overall = metrics.overall(actual, probabilities, index.task, confidence=confidence, n_bins=n_bins)
    by_class = metrics.by_class(actual, predicted, probabilities, confidence)
    scores = dict(zip(index.classes, by_class, strict=True))
    bins = metrics.calibration(actual, probabilities, index.task, n_bins)
    counts = metrics.confusion(actual, predicted) if index.task == "single_label" else None

    files.write_json(p.paths.metrics.eval, {"eval": as_metrics(overall, scores, len(actual))})
    files.write_csv(p.paths.predictions, predictions, "%.6f")
    confused = two_by_two(scores, len(actual)) if counts is None else pairs(counts, index.classes)
    files.write_csv(p.paths.confusion, confused)
    files.write_csv(p.paths.roc, curves(actual, probabilities, index.classes), "%.5f")
    files.write_csv(p.paths.calibration, pd.DataFrame(bins), "%.5f")
    is_wrong = (actual != predicted).any(axis=1)
    wrong = predictions.assign(sure=sureness(actual, probabilities, index.task))[is_wrong]
    worst = min((name for name, score in scores.items() if score.n), key=lambda name: scores[name].recall)
    page = report.render(
        "evaluation.html",
        task=index.task,
        threshold=labels.THRESHOLD,
        confidence=confidence,
        overall=overall,
        scores=scores,
        worst=worst,
        counts=[] if counts is None else counts.tolist(),
        bins=bins,
        wrong=shown(p.paths, index, wrong),
        n_wrong=len(wrong),
        n_images=len(actual),
    )
    files.write_text(p.paths.evaluation / "index.html", page)
    print(
        *lines(overall, index.task),
        f"{len(wrong):,} of {len(actual):,} test images wrong, "
        f"recall {scores[worst].recall:.4f} of the worst class, {worst}",
        f"report: {(p.paths.evaluation / 'index.html').as_posix()}",
        sep="\n",
    )


def lines(overall: Mapping[str, float], task: labels.Task) -> list[str]:
    """Return what a person wants to know at once."""

    def told(name: str) -> str:
        return f"{overall[name]:.4f}, between {overall[f'{name}_low']:.4f} and {overall[f'{name}_high']:.4f}"

    commonest = "class" if task == "single_label" else "set of classes"
    first = f"{labels.ACCURACY[task]} {told('accuracy')} (always the commonest {commonest}: "
    first += f"{overall['baseline_accuracy']:.4f})"
    if task == "single_label":
        return [first]
    return [first, f"micro F1 {told('micro_f1')}; Hamming loss {overall['hamming_loss']:.4f}"]


def predict(paths: params.Paths, index: records.Index) -> pd.DataFrame:
    """Return one row per test image, sorted by `sha256`: label, predicted, probability, and p_<class> of each class.

    `probability` is that of the class which is predicted; of a multi-label set, how sure the least sure decision is.
    Raises `AssayError` for a test split without an image of any class.
    """
    test = index.splits["test"]
    if not test.n_images:
        raise AssayError("test: 0 images, at least 1 is needed (params.yaml: ingest.test_share)")
    if not any(test.class_counts):
        raise AssayError(f"test: none of {test.n_images:,} images is in a class, at least 1 is needed")
    classifier = model.read(paths.model)
    hashes, encoded, found = [], [], []
    for images, batch, sha256 in dataset.named(paths.records, index, "test", batch_images=BATCH_IMAGES):
        found.append(classifier.predict_on_batch(images))
        encoded.append(batch.numpy())
        hashes += [value.decode() for value in sha256.numpy()]
    probabilities, marks = np.concatenate(found).astype(np.float64), np.concatenate(encoded)
    if index.task == "single_label":
        marks = metrics.one_hot(marks, len(index.classes))
        probabilities /= probabilities.sum(axis=1, keepdims=True)  # float32 leaves 1e-7
        sure = probabilities.max(axis=1)
    else:
        sure = np.maximum(probabilities, 1 - probabilities).min(axis=1)
    head = {
        "sha256": hashes,
        "label": [labels.decode(row, index.classes) for row in marks],
        "predicted": [labels.decode(row, index.classes) for row in metrics.named(probabilities, index.task)],
        "probability": sure,
    }
    rows = {f"p_{name}": probabilities[:, number] for number, name in enumerate(index.classes)}
    return pd.DataFrame(head | rows).sort_values("sha256", ignore_index=True)


def as_arrays(predictions: pd.DataFrame, index: records.Index) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes bool [N, K] and the probabilities [N, K] of the rows."""
    held = {label: labels.names(label, index.task) for label in predictions["label"].unique()}
    marks = {label: [name in names for name in index.classes] for label, names in held.items()}
    probabilities = predictions[[f"p_{name}" for name in index.classes]].to_numpy()
    return np.array([marks[label] for label in predictions["label"]]), probabilities


def sureness(actual: np.ndarray, probabilities: np.ndarray, task: labels.Task) -> np.ndarray:
    """Return how sure the model is of its answers [N]; of a multi-label set: of the surest wrong decision, or 0."""
    if task == "single_label":
        return np.asarray(probabilities.max(axis=1))
    is_wrong = actual != metrics.named(probabilities, task)
    return np.asarray((np.maximum(probabilities, 1 - probabilities) * is_wrong).max(axis=1))


def as_metrics(overall: Mapping[str, float], scores: Mapping[str, metrics.ClassScore], n_images: int) -> dict[str, Any]:
    """Return the content of metrics/eval.json: numbers only, rounded; a class goes by its slug."""
    keys = labels.slugs(scores)
    return {
        **{name: round(value, DECIMALS) for name, value in overall.items()},
        "n_images": n_images,
        "class": {keys[name]: _as_metrics(score) for name, score in scores.items()},
    }


def _as_metrics(score: metrics.ClassScore) -> dict[str, float]:
    shares = {"precision": score.precision, "recall": score.recall, "f1": score.f1}
    areas = {"auc": score.auc, "average_precision": score.average_precision}
    known = {name: value for name, value in (shares | areas).items() if value is not None}
    return {name: round(value, DECIMALS) for name, value in known.items()} | {"n": score.n}


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
        for false_rate, true_rate in metrics.roc(actual[:, number], probabilities[:, number])
    ]
    return pd.DataFrame(rows, columns=["class", "false_positive_rate", "true_positive_rate"])


def shown(paths: params.Paths, index: records.Index, wrong: pd.DataFrame) -> list[dict[str, Any]]:
    """Return what the page shows of the wrong test images, the surest error first, `SHOWN` at most."""
    surest = wrong.sort_values(["sure", "sha256"], ascending=[False, True]).head(SHOWN)
    path = manifest.read(paths.manifest).drop_duplicates("sha256").set_index("sha256")["path"]
    pictures = _pictures(paths, index, set(surest["sha256"]))
    return [
        {
            "path": path[row["sha256"]],
            "sha256": row["sha256"],  # what `assay forget` finds the picture by
            "picture": pictures[row["sha256"]],
            "actual": row["label"],
            "predicted": row["predicted"],
            "probability": row["probability"],
            "mistakes": mistakes(row, index),
        }
        for row in surest.to_dict("records")
    ]


def mistakes(row: Mapping[str, Any], index: records.Index) -> list[dict[str, Any]]:
    """Return the classes that one of the two has and the other does not, with their probability."""
    actual, predicted = (set(labels.names(row[column], index.task)) for column in ("label", "predicted"))
    return [
        {"class": name, "is_missed": name in actual, "probability": row[f"p_{name}"]}
        for name in sorted(actual ^ predicted)
    ]


def _pictures(paths: params.Paths, index: records.Index, wanted: set[str]) -> dict[str, str]:
    """Return the `data:` URI of each wanted test image; they are read anew, for all images may not fit in memory."""
    found = {}
    for images, _, sha256 in dataset.named(paths.records, index, "test", batch_images=BATCH_IMAGES):
        for image, key in zip(images.numpy(), (value.decode() for value in sha256.numpy()), strict=True):
            if key in wanted:
                found[key] = report.picture(image)
    return found


if __name__ == "__main__":
    stage.run("evaluate", main)
