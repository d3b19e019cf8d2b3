"""Fit the classifier to the train split; keep the epoch that the val split likes best."""

import math
from typing import Any

import pandas as pd

from assay import files, labels, params, passes
from assay.dataset.records import contents
from assay.errors import AssayError
from assay.operations import stage_run
from assay.training import (
    batches,
    checkpoints,
    devices,
    fingerprint,
    fit,
    job,
    keeping,
    keras_file,
    measure,
    network,
    phases,
    recording,
)

DECIMALS = 5  # of losses and shares; a GPU's noise is smaller


def train(paths: params.Paths, p: params.Train, *, seed: int, threads: int) -> dict[str, Any] | None:
    """Return what metrics/train.json says of the epoch that is kept; model, history and record are written.

    `loss` to `val_accuracy` are measured without augmentation, dropout and class weights; `accuracy` is the share of
    images that are right, of a multi-label set in every class. `gap` is accuracy minus val_accuracy: large means
    overfitting. None: another worker writes. Raises `AssayError` when a split or a class has nothing to learn from, and
    for a run that can't be right.
    """
    index = contents.read_index(paths.index)
    _check(index)
    strategy, device = devices.begin(p, threads=threads, seed=seed)
    print(f"on {device}", flush=True)
    statistics = job.statistics(paths.records, index, p)
    with strategy.scope():
        classifier = network.build(index, p, statistics, own=paths.networks)
        made = job.build(classifier, paths.records, index, p=p, seed=seed)
    few = keeping.said(made.rule, index.splits["val"].n_images, made.n_alike)
    others = fingerprint.reservations(classifier, portable=p.portable, gpus=devices.n_gpus())
    for told in filter(None, (few, *others)):
        print(told, flush=True)
    of = checkpoints.identity(paths.index, paths.networks, p, seed=seed, threads=threads)
    try:
        fitted = fit.fit(made, phases.phases(classifier, p), place=paths.memo.training, of=of)
    except fit.Stopped as stopped:
        recording.write_stopped(paths.memo.training, made, classifier, stopped)
        raise
    if not devices.is_chief(strategy):
        return None
    measured = _measured(paths, made, fitted) | {"n_parameters": classifier.count_params()}
    _check_finite(measured)
    if p.precision != "float32":  # what answers is float32, whatever trained
        keras_file.write(paths.model, _plain(classifier, paths, p, index, statistics), index.classes, index.task)
    else:
        keras_file.write(paths.model, classifier, index.classes, index.task)
    recording.write(paths.training, made, classifier, fitted)
    _write_history(paths, fitted)
    return measured | {"fingerprint": fitted.fingerprint} | ({"reservations": others} if others else {})


def _plain(
    trained: Any, paths: params.Paths, p: params.Train, index: contents.Index, statistics: network.Statistics | None
) -> Any:
    """Return the network with the same weights, which computes with float32 alone."""
    devices.compute_with("float32")
    found = network.build(index, p, statistics, own=paths.networks)
    found.set_weights(trained.get_weights())
    return found


def _measured(paths: params.Paths, made: job.Job, fitted: fit.Fit) -> dict[str, Any]:
    same_train = batches.ordered(paths.records, made.index, "train", batch_images=made.p.batch_images)
    (on_train, on_val) = (measure.of(made.answer, each, made.index.task) for each in (same_train, made.val))
    measured = {"loss": on_train.loss, "accuracy": on_train.accuracy}
    measured |= {"val_loss": on_val.loss, "val_accuracy": on_val.accuracy, "gap": on_train.accuracy - on_val.accuracy}
    rounded: dict[str, Any] = {name: round(value, DECIMALS) for name, value in measured.items()}
    ended = {"ended": fitted.ended} if fitted.ended else {}
    return rounded | {"best_epoch": fitted.kept_epoch, "kept_by": made.rule, "epochs": len(fitted.rows)} | ended


def _check_finite(measured: dict[str, Any]) -> None:
    """Raise `AssayError` where the weights that are kept answer with what is no number."""
    if not (math.isfinite(measured["loss"]) and math.isfinite(measured["val_loss"])):
        raise AssayError(
            f"loss: {measured['loss']} on train and {measured['val_loss']} on val, of the weights that would be kept; "
            "a lower rate or decay may help (params.yaml: train.learning_rate, train.weight_decay)"
        )


def _check(index: contents.Index) -> None:
    for split in ("train", "val"):
        if not index.splits[split].n_images:
            raise AssayError(f"{split}: 0 images, at least 1 is needed (params.yaml: ingest.val_share and test_share)")
    counts = index.splits["train"].class_counts
    if unseen := [name for name, count in zip(index.classes, counts, strict=True) if not count]:
        raise AssayError(
            f"train: no image of {', '.join(unseen)}; every class needs one (the source, or ingest's shares)"
        )


def _write_history(paths: params.Paths, fitted: fit.Fit) -> None:
    rows = pd.DataFrame(fitted.rows).drop(columns="loss").rename(columns={"cross_entropy": "loss"})
    rounded = rows[["epoch", "loss", "val_loss", "accuracy", "val_accuracy"]].round(DECIMALS)
    files.write_csv(paths.history, rounded.assign(rate=[float(f"{rate:.3g}") for rate in rows["rate"]]))


def main(p: params.Params) -> None:
    # No dependency in dvc.yaml: a renamed image gives another pass, and must not cost a training.
    passes.check_passed(p.paths.passed)
    passes.check_verified(p.paths.verified, p.paths.index)
    measured = train(p.paths, p.train, seed=p.seed, threads=p.threads)
    if measured is None:
        return
    files.write_json(p.paths.metrics.train, {"train": measured})
    checkpoints.remove(p.paths.memo.training)
    recording.remove_stopped(p.paths.memo.training)
    word = labels.ACCURACY[contents.read_index(p.paths.index).task]
    print(
        f"best epoch {measured['best_epoch']} of {measured['epochs']}: {word} {measured['accuracy']:.4f} on train, "
        f"{measured['val_accuracy']:.4f} on val"
    )


if __name__ == "__main__":
    stage_run.run("train", main)
