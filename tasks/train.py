"""Fit the classifier to the train split; keep the epoch that the val split likes best."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from assay import dataset, files, gate, labels, model, params, records, stage
from assay.errors import AssayError

DECIMALS = 5  # of losses and shares; a GPU's noise is smaller


def train(paths: params.Paths, p: params.Train, *, seed: int, threads: int) -> dict[str, float]:
    """Return what metrics/train.json says of the best epoch; the model and its history are written.

    `loss` to `val_accuracy` are measured without augmentation, dropout and class weights; `accuracy` is the share of
    images that are right, of a multi-label set in every class. `gap` is accuracy minus val_accuracy: large means
    overfitting. Raises `AssayError` when a split or a class has nothing to learn from.
    """
    index = records.read_index(paths.index)
    _check(index)
    device = model.set_up(threads=threads, seed=seed)
    print(f"{index.splits['train'].n_images:,} images, {p.epochs} epochs, on {device}", flush=True)
    classifier = model.build(index, p, _statistics(paths, index, p))
    val = dataset.ordered(paths.records, index, "val", batch_images=p.batch_images, again=True)
    fit = model.fit(
        classifier,
        dataset.shuffled(paths.records, index, "train", seed=seed, p=p),
        val,
        task=index.task,
        epochs=p.epochs,
        class_weights=_weights(index, p),
    )
    model.write(paths.model, classifier, index.classes, index.task)
    _write_history(paths, fit)
    same_train = dataset.ordered(paths.records, index, "train", batch_images=p.batch_images)
    loss, accuracy = classifier.evaluate(same_train, verbose=0)
    val_loss, val_accuracy = classifier.evaluate(val, verbose=0)
    measured = {"loss": loss, "accuracy": accuracy, "val_loss": val_loss, "val_accuracy": val_accuracy}
    counted = {"best_epoch": fit.best_epoch, "epochs": p.epochs, "n_parameters": classifier.count_params()}
    return {
        name: round(value, DECIMALS) for name, value in (measured | {"gap": accuracy - val_accuracy}).items()
    } | counted


def _statistics(paths: params.Paths, index: records.Index, p: params.Train) -> model.Statistics | None:
    """Return those of the train split alone: the others' would tell the network of images it must not have seen."""
    if p.scale != "standard":
        return None
    mean, deviation = dataset.statistics(paths.records, index, "train", batch_images=p.batch_images)
    return model.Statistics(mean=tuple(map(float, mean)), deviation=tuple(map(float, deviation)))


def _check(index: records.Index) -> None:
    for split in ("train", "val"):
        if not index.splits[split].n_images:
            raise AssayError(f"{split}: 0 images, at least 1 is needed (params.yaml: ingest.val_share and test_share)")
    counts = index.splits["train"].class_counts
    if unseen := [name for name, count in zip(index.classes, counts, strict=True) if not count]:
        raise AssayError(
            f"train: no image of {', '.join(unseen)}; every class needs one (the source, or ingest's shares)"
        )


def _weights(index: records.Index, p: params.Train) -> dict[int, float] | np.ndarray | None:
    found = index.splits["train"]
    if p.class_weights == "none":
        return None
    if index.task == "multi_label":
        return balance_decisions(found.class_counts, found.n_images)
    return balance(found.class_counts)


def balance(class_counts: Sequence[int]) -> dict[int, float]:
    """Return the weight of each label that makes all classes count the same; the mean over images is 1."""
    total = sum(class_counts) / len(class_counts)
    return {label: total / count for label, count in enumerate(class_counts)}


def balance_decisions(class_counts: Sequence[int], n_images: int) -> np.ndarray:
    """Return what a decision against and for each class weighs [2, K].

    The images with a class then count as much as those without it; the mean over images is 1 in each class.
    """
    held = np.array(class_counts)
    return n_images / 2 / np.maximum([n_images - held, held], 1)


def _write_history(paths: params.Paths, fit: model.Fit) -> None:
    rows = pd.DataFrame(fit.epochs)[["loss", "val_loss", "accuracy", "val_accuracy"]].round(DECIMALS)
    rows.insert(0, "epoch", range(1, len(rows) + 1))
    files.write_csv(paths.history, rows)


def main(p: params.Params) -> None:
    # No dependency in dvc.yaml: a renamed image gives another pass, and must not cost a training.
    gate.check_passed(p.paths.passed)
    gate.check_verified(p.paths.verified, p.paths.index)
    measured = train(p.paths, p.train, seed=p.seed, threads=p.threads)
    files.write_json(p.paths.metrics.train, {"train": measured})
    word = labels.ACCURACY[records.read_index(p.paths.index).task]
    print(
        f"best epoch {measured['best_epoch']} of {measured['epochs']}: {word} {measured['accuracy']:.4f} on train, "
        f"{measured['val_accuracy']:.4f} on val"
    )


if __name__ == "__main__":
    stage.run("train", main)
