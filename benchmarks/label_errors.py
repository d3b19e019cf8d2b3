"""How many wrong labels come first in the queue: `python -m benchmarks.label_errors [DATA ...]`; minutes on one core.

DATA: digits, elpv (`pip install elpv-dataset`), or a folder of photos in class folders. A share of the images gets
another label, in train, val and test alike; the network of the preset is trained on them, without augmentation. The
margins of the train labels are taken after every epoch, as the network then answers. Counted is the average precision
of the queue, and the share of wrong labels among as many of its first rows as there are wrong labels (label_errors.md).
"""

import math
import sys
from pathlib import Path

import numpy as np
import sklearn.metrics

from assay import params
from assay.dataset.records.contents import Index, Split
from assay.evaluation import calibration, label_errors, metrics
from assay.training import network
from assay.training.tensors import draw_from, keras, set_up
from benchmarks import recipes

RATES = (0.05, 0.10, 0.20)
RATE, DECAY, BATCH = 0.002, 0.0001, 32
EPOCHS = 12
SPLITS = {"train": 0.7, "val": 0.1, "test": 0.2}


def main(names: list[str]) -> None:
    set_up(threads=1, seed=0)
    print("| data, wrong labels | accuracy, by right labels | train, margins | train, last epoch | val and test |")
    print("|---|---|---|---|---|")
    for name in names:
        images, truth = recipes.load(name)
        order = np.random.default_rng(0).permutation(len(truth))
        images, truth, p = images[order], truth[order], recipes.preset(images, truth)
        for rate in RATES:
            labels, is_wrong = flipped(truth, rate)
            print(f"| {name}, {rate:.0%} | {' | '.join(judged(images, truth, labels, is_wrong, p))} |", flush=True)


def flipped(truth: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels of which a share is another class, any with the same chance, and which those are."""
    rng, n_classes = np.random.default_rng(1), truth.max() + 1
    is_wrong = rng.random(len(truth)) < rate
    return np.where(is_wrong, (truth + rng.integers(1, n_classes, len(truth))) % n_classes, truth), is_wrong


class Margins(keras.callbacks.Callback):  # type: ignore[misc]
    """The logit of each label less the largest other, after each epoch."""

    def __init__(self, asked: keras.Model, images: np.ndarray, labels: np.ndarray) -> None:
        super().__init__()
        self.asked, self.images, self.actual = asked, images, metrics.one_hot(labels, labels.max() + 1)
        self.found: list[np.ndarray] = []

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        logits = self.asked.predict(self.images, batch_size=256, verbose=0)
        self.found.append(logits[self.actual] - np.where(self.actual, -np.inf, logits).max(axis=1))


def judged(
    images: np.ndarray, truth: np.ndarray, labels: np.ndarray, is_wrong: np.ndarray, p: params.Train
) -> list[str]:
    ends = np.cumsum([0, *(int(share * len(labels)) for share in SPLITS.values())])
    train, others = slice(0, ends[1]), slice(ends[1], None)
    n_classes, (height, width, channels) = truth.max() + 1, images.shape[1:]
    counts = tuple(int(count) for count in np.bincount(labels[train], minlength=n_classes))
    split = Split(n_images=ends[1], class_counts=counts, shards=())
    shape = {"height_px": height, "width_px": width, "channels": channels}
    index = Index(**shape, classes=tuple(map(str, range(n_classes))), splits=dict.fromkeys(SPLITS, split))
    draw_from(0)
    model = network.build(index, p, own=Path("nowhere"))
    falling = keras.optimizers.schedules.CosineDecay(RATE, EPOCHS * math.ceil(ends[1] / BATCH))
    model.compile(keras.optimizers.AdamW(falling, weight_decay=DECAY), "sparse_categorical_crossentropy")
    asked = keras.Model(model.input, model.get_layer("probabilities").input)
    margins = Margins(asked, images[train], labels[train])
    model.fit(images[train], labels[train], epochs=EPOCHS, batch_size=BATCH, callbacks=[margins], verbose=0)
    logits = asked.predict(images[others], batch_size=256, verbose=0)
    probabilities = calibration.probabilities(logits, "single_label")
    trust = label_errors.trust_in_labels(probabilities, metrics.one_hot(labels[others], n_classes), "single_label")
    aum = label_errors.trust_in_margins(np.mean(margins.found, axis=0))
    last = label_errors.trust_in_margins(margins.found[-1])
    accuracy = (logits.argmax(axis=1) == truth[others]).mean()
    of_train = [told(is_wrong[train], each) for each in (aum, last)]
    return [f"{accuracy:.3f}", *of_train, told(is_wrong[others], trust)]


def told(is_wrong: np.ndarray, trust: np.ndarray) -> str:
    first = np.argsort(trust, kind="stable")[: int(is_wrong.sum())]
    precision = sklearn.metrics.average_precision_score(is_wrong, -trust)
    return f"{precision:.3f}, {is_wrong[first].mean():.2f}"


if __name__ == "__main__":
    main(sys.argv[1:] or ["digits"])
