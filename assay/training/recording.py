"""What a run leaves for those who ask later what was wrong with it: record.json, margins.npz and augmented.png.

Measured at the end with the weights that are kept, a few passes over a few images; numbers have six digits. Beside what
`record` returns it holds nothing: no time, no host.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from assay import files
from assay.training import augment, batches, changed, inspection, left, measure, steps
from assay.training.fit import Fit, Stopped
from assay.training.job import Job
from assay.training.tensors import keras, tf

DIGITS = 6
COMPARED, SLOPED, INSIDE = 600, 256, 512  # images: clean against augmented, for gradients, for activations
KNOWN, ASKED = 2000, 400  # images of train and of val: what augmentation leaves of the latter
SHOWN, CHANGED, SIDE_PX = 6, 5, 96  # images of the picture, changed how often, at least so large


def record(job: Job, network: keras.Model, fit: Fit) -> dict[str, Any]:
    """Return the content of record.json.

    `recipe`: what params.yaml said of `train`. `epochs`: of each, `loss` (what was made small), `cross_entropy` and
    `accuracy` of the images as trained on, `clean_loss` and `clean_accuracy` of some of train as in use, those of
    val, `rate`, `update_ratio` (of a step to the kernel it changes, geometric mean). `path`: the sum of the update
    ratios over all steps. `guessing`: the loss of who knows only how common the classes are. `regularisation`:
    losses of the same train images as in use, augmented, and with dropout. `augmentation`: what it leaves of val
    images, see `changed.compared`; None: several classes an image. `lightly`: what a light change does to the
    answers, see `changed.lightly`. `input`: what the first kernel is given, see `inspection.network_input`.
    `kernels`: root mean square at the start and at the end, and gradient to weight at the end. `activations`:
    shares of channels that are dead or constant on val.
    """
    val = [images.numpy() for images, _ in job.val.unbatch().batch(64).take(INSIDE // 64)]
    train = _first(job, COMPARED)
    slopes = inspection.gradients(job.learner, _first(job, SLOPED), job.index.task)
    sizes = inspection.sizes(job.learner)
    found = {
        "recipe": asdict(job.p),
        "task": job.index.task,
        "n_classes": len(job.index.classes),
        "n_images": {split: part.n_images for split, part in job.index.splits.items()},
        "batch_images": job.p.batch_images,
        "steps": job.plan.steps,
        "guessing": job.guessing,
        "kept": {"epoch": fit.kept_epoch, "rule": job.rule},
        "ended": fit.ended,
        "epochs": list(fit.rows),
        "path": sum(row["update_ratio"] for row in fit.rows) * job.plan.steps,
        "regularisation": _regularisation(job, network, train),
        **_changed(job),
        "input": inspection.network_input(job.learner, val[0]),
        "kernels": {
            name: {"rms_began": fit.began.get(name, size), "rms": size, "gradient_to_weight": slopes[name]}
            for name, size in sizes.items()
        },
        "activations": inspection.activations(network, val),
    }
    return dict(rounded(found))


def _first(job: Job, n_images: int) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Return the first images of train in the order of the shards, which is that of a hash, in batches."""
    ordered = batches.ordered(job.folder, job.index, "train", batch_images=64)
    return list(ordered.unbatch().take(n_images).batch(64))


def _regularisation(job: Job, network: keras.Model, train: Sequence[tuple[tf.Tensor, tf.Tensor]]) -> dict[str, float]:
    task, labels = job.index.task, np.concatenate([labels.numpy() for _, labels in train])
    seed = np.array([job.plan.seed, -1])
    changed = [augment.apply(images, seed - [0, n], job.plan.strengths) for n, (images, _) in enumerate(train)]
    embed = measure.answering(keras.Model(network.input, steps.outputs_of(network)["embedding"]))
    embedded = np.concatenate([embed(images).numpy() for images, _ in train])

    def loss(logits: np.ndarray) -> float:
        return float(measure.losses(labels, logits, task).mean())

    return {
        "n_images": len(labels),
        "clean": loss(_head(network, embedded, dropout=False)),
        "augmented": loss(np.concatenate([job.answer(images).numpy() for images in changed])),
        "dropout": loss(_head(network, embedded, dropout=True)),
    }


def _arrays(batches: Iterable[tuple[tf.Tensor, tf.Tensor]]) -> tuple[np.ndarray, np.ndarray]:
    images, labels = zip(*((images.numpy(), labels.numpy()) for images, labels in batches), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def _changed(job: Job) -> dict[str, Any]:
    images, labels = _arrays(job.val.unbatch().batch(64).take(-(-ASKED // 64)))
    found = None
    if job.index.task == "single_label":
        known = _arrays(_first(job, KNOWN))
        found = changed.compared(known, (images, labels), strengths=job.plan.strengths, seed=job.plan.seed)
    lightly = changed.lightly(job.answer, images, labels, job.index.task, seed=job.plan.seed)
    return {"augmentation": found, "lightly": lightly}


def _head(network: keras.Model, embedded: np.ndarray, *, dropout: bool) -> np.ndarray:
    """Return the logits of features [N, D]: of all layers only the dropout before `logits` works as in training."""
    names = [layer.name for layer in network.layers]
    if dropout and "dropout" in names:
        rate = network.get_layer("dropout").rate
        kept = np.random.default_rng(0).random(embedded.shape) >= rate
        embedded = embedded * kept / (1 - rate)
    kernel, bias = network.get_layer("logits").get_weights()
    return np.asarray(embedded.astype(np.float64) @ kernel + bias)


def rounded(value: Any) -> Any:
    """Return the value with `DIGITS` digits in all its floats; one that is no number becomes None."""
    if isinstance(value, Mapping):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(each) for each in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else None
    return value


def aum(margins: np.ndarray) -> np.ndarray:
    """Return the mean margin of each image over the epochs that showed it, float32 [N]; NaN if none did."""
    shown = np.isfinite(margins)
    sums = np.where(shown, margins, 0).sum(axis=0, dtype=np.float64)
    return np.where(shown.any(axis=0), sums / np.maximum(shown.sum(axis=0), 1), np.nan).astype(np.float32)


def write(folder: Path, job: Job, network: keras.Model, fit: Fit) -> None:
    """Write record.json, margins.npz (`sha256` S64 [N], `margins` [epochs, N], `aum` [N]) and augmented.png."""
    files.write_json(folder / left.RECORD, record(job, network, fit))
    with files.replacing(folder / left.MARGINS) as out:
        np.savez(out, sha256=job.names.sha256, margins=fit.margins, aum=aum(fit.margins))
    images = np.concatenate([images.numpy() for images, _ in _first(job, SHOWN)])
    with files.replacing(folder / left.AUGMENTED) as out:
        Image.fromarray(picture(images, job)).save(out, "PNG")


def write_stopped(folder: Path, job: Job, network: keras.Model, stopped: Stopped) -> None:
    """Write what is known of a run that was stopped, for who asks why: stopped.json, `said` and `record`."""
    files.write_json(folder / left.STOPPED, {"said": str(stopped), "record": record(job, network, stopped.so_far)})


def remove_stopped(folder: Path) -> None:
    (folder / left.STOPPED).unlink(missing_ok=True)


def picture(images: np.ndarray, job: Job) -> np.ndarray:
    """Return a row for each image: as it is, then as training sees it, `CHANGED` times; uint8 [H, W, 3]."""
    seeds = [tf.constant([job.plan.seed, -1 - n], tf.int64) for n in range(CHANGED)]
    columns = [images, *(augment.apply(tf.constant(images), seed, job.plan.strengths).numpy() for seed in seeds)]
    enlarged = -(-SIDE_PX // min(images.shape[1:3]))
    rows = [np.concatenate([_framed(each, enlarged) for each in row], 1) for row in zip(*columns, strict=True)]
    grid = np.concatenate(rows, 0)
    return np.asarray(np.repeat(grid, 3, axis=2) if grid.shape[2] == 1 else grid)


def _framed(image: np.ndarray, enlarged: int) -> np.ndarray:
    large = np.repeat(np.repeat(image, enlarged, axis=0), enlarged, axis=1)
    return np.pad(large, ((2, 2), (2, 2), (0, 0)), constant_values=255)
