"""Evaluations of models that never were: predictions drawn at random, measured as those of a real one."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from checkouts import ROOT

from assay import labels, params
from assay.dataset.records import contents
from assay.evaluation import examples, ood, page, provenance, results
from assay.evaluation.predictions import Outputs
from assay.evaluation.provenance import Provenance
from assay.evaluation.results import Asked, Evaluation
from assay.labels import Task

P = params.load(ROOT / "params.yaml")
FEATURES = 8


@dataclass(frozen=True, kw_only=True)
class Made:
    found: Evaluation
    known: ood.Reference
    pixels: dict[str, np.ndarray]  # of every image
    made_from: Provenance

    def html(self, p: params.Register = P.register) -> str:
        shown = examples.choose(self.found, self.known)
        pixels = {name: self.pixels[name] for name in shown.wanted(self.found)}
        return page.build(
            P.paths, self.found, shown, pixels=pixels, made_from=self.made_from, why=[], looked_at=["leakage"], p=p
        )


def make(
    classes: tuple[str, ...],
    *,
    n_test: int,
    accuracy: float,
    task: Task = "single_label",
    shape: tuple[int, int, int] = (8, 8, 1),
    seed: int = 0,
    n_unanswered: int = 0,
) -> Made:
    """Return an evaluation of `n_test` test images; a multi-label image is in about a third of the classes.

    The first `n_unanswered` have logits and features that are no numbers.
    """
    rng = np.random.default_rng(seed)
    sizes = {"train": max(60, 2 * len(classes)), "val": max(60, 2 * len(classes)), "test": n_test}
    split = {name: _outputs(name, n, len(classes), accuracy, task, rng) for name, n in sizes.items()}
    for broken in (split["test"].logits, split["test"].features):
        broken[:n_unanswered] = np.nan
    rows = pd.concat([_rows(name, outputs, classes) for name, outputs in split.items()], ignore_index=True)
    far = {
        name: _outputs(name, 50, len(classes), 0.5, task, rng, away=far) for name, far in (("noise", 9), ("photos", 2))
    }
    pairs = pd.DataFrame({"path": [], "partner": []})
    asked = Asked(**split, far=far, manifest=rows, pairs=pairs, margins=None, classes=classes, task=task)
    known = results.reference(asked.train)
    return Made(
        found=results.evaluate(asked, known, P.evaluate),
        known=known,
        pixels={name: rng.integers(0, 256, shape, np.uint8) for name in rows["sha256"]},
        made_from=_provenance(split, classes, task, shape),
    )


def _outputs(
    name: str, n: int, n_classes: int, accuracy: float, task: Task, rng: np.random.Generator, away: float = 0
) -> Outputs:
    if task == "multi_label":
        numbers = (rng.random((n, n_classes)) < 0.34).astype(np.int64)
        is_so = np.where(rng.random((n, n_classes)) < accuracy, numbers, 1 - numbers)
        logits = (2 * is_so - 1) * rng.gamma(4, 0.5, (n, n_classes))
        middle = numbers[:, :FEATURES] @ np.ones((min(FEATURES, n_classes), FEATURES))
    else:
        numbers = np.arange(n) % n_classes
        # Errors fall more often on the next class than on any other.
        wrong = (numbers + np.where(rng.random(n) < 0.5, 1, rng.integers(1, n_classes, n))) % n_classes
        said = np.where(rng.random(n) < accuracy, numbers, wrong)
        logits = rng.normal(0, 1, (n, n_classes))
        logits[np.arange(n), said] += rng.gamma(6, 1, n)
        middle = np.random.default_rng(1).normal(0, 3, (n_classes, FEATURES))[numbers]
    features = middle + rng.normal(0, 1, (n, FEATURES)) + away
    return Outputs(
        sha256=np.array(sorted(f"{name}{at:06d}".encode().hex().ljust(64, "0").encode() for at in range(n))),
        labels=numbers,
        logits=logits.astype(np.float32),
        features=features.astype(np.float32),
        properties=rng.normal(0, 1, (n, len(ood.PROPERTIES))).astype(np.float32),
    )


def _rows(name: str, outputs: Outputs, classes: tuple[str, ...]) -> pd.DataFrame:
    named = [labels.decode(row, classes) for row in outputs.actual()]
    bright = np.random.default_rng(2).random(len(named))
    paths = [f"{label or 'none'}/{name}-{at:05d}.png" for at, label in enumerate(named)]
    sha256 = outputs.names()
    return pd.DataFrame(
        {"path": paths, "sha256": sha256, "label": named, "split": name, "brightness": bright, "group": None}
    )


def _provenance(
    split: dict[str, Outputs], classes: tuple[str, ...], task: Task, shape: tuple[int, int, int]
) -> Provenance:
    splits = {
        name: contents.Split(
            n_images=len(of.sha256), class_counts=tuple(of.actual().sum(axis=0).tolist()), shards=("0.tfrecord",)
        )
        for name, of in split.items()
    }
    epochs = np.arange(1, 31)
    loss = 2.3 * np.exp(-epochs / 6)
    history = pd.DataFrame({"epoch": epochs, "loss": loss, "val_loss": loss + 0.004 * epochs})
    history = history.assign(
        accuracy=1 - loss / 3, val_accuracy=0.98 - loss / 3, rate=0.002 * (1 + np.cos(epochs / 9.6)) / 2
    )
    height, width, channels = shape
    index = contents.Index(
        height_px=height, width_px=width, channels=channels, classes=classes, splits=splits, task=task
    )
    return Provenance(
        index=index,
        manifest_sha256="a" * 64,
        model_sha256="b" * 64,
        parameters=provenance.flat({"seed": 7, "train": P.train}),
        versions={"numpy": "2.4.6"},
        history=history,
        trained={"best_epoch": 17, "accuracy": 0.99, "val_accuracy": 0.97, "gap": 0.02, "n_parameters": 73114},
    )
