"""What helps where classes are rare: `python -m benchmarks.imbalance [DATA ...]`, of digits, elpv, or a folder of
photos in class folders; an hour. imbalance.md has what came out.

Every second class keeps one image in `RATIO` of what the commonest has in train and val; test stays as it is. Each way
is the stage `train` itself with the recipe that the preset proposes, of `EPOCHS` at most; seeds differ in the split, in
what is left out, and in the network. A training that stopped itself counts as one that says the commonest class.
"""

import dataclasses
import sys

import numpy as np
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

from assay.training import imbalance
from assay.training.fit import Stopped
from benchmarks import recipes

RATIO, EPOCHS, SEEDS = 20, 20, range(5)
HEAD = "| data | imbalance | recall of the rare classes | macro F1 | balanced accuracy | seeds |"


def main(names: list[str]) -> None:
    print(HEAD, "|---" * 6 + "|", sep="\n")
    for name in names:
        images, labels = recipes.load(name)
        for method in imbalance.METHODS:
            found = np.array([run(images, labels, method, seed) for seed in SEEDS])
            measured = " | ".join(recipes.interval(column) for column in found.T)
            print(f"| {name} | `{method}` | {measured} | {len(found)} |", flush=True)


def run(images: np.ndarray, labels: np.ndarray, method: imbalance.Imbalance, seed: int) -> tuple[float, float, float]:
    """Return the mean recall of the rare classes, macro F1 and balanced accuracy, on test."""
    rows, rare = recipes.split(labels, seed), np.arange(1, labels.max() + 1, 2)
    thinned = rows | {name: thin(rows[name], labels, rare, seed) for name in ("train", "val")}
    left = np.concatenate(list(thinned.values()))
    preset = recipes.preset(images[left], labels[left])
    p = dataclasses.replace(preset, imbalance=method, epochs=min(preset.epochs, EPOCHS))
    try:
        predicted, actual, _ = recipes.answers(images, labels, p, thinned, seed)
    except Stopped:
        actual = labels[thinned["test"]]
        predicted = np.full_like(actual, np.bincount(labels[thinned["train"]]).argmax())
    of_rare = recall_score(actual, predicted, labels=rare, average="macro", zero_division=0)
    f1 = f1_score(actual, predicted, average="macro", zero_division=0)
    return of_rare, f1, balanced_accuracy_score(actual, predicted)


def thin(rows: np.ndarray, labels: np.ndarray, rare: np.ndarray, seed: int) -> np.ndarray:
    """Return the rows without most of the rare classes, of which at least one stays."""
    n_common = np.bincount(labels[rows]).max()
    shuffled = np.random.default_rng(seed).permutation(rows)
    nth = np.zeros(len(rows), int)
    for name in rare:
        of_class = labels[shuffled] == name
        nth[of_class] = np.arange(of_class.sum())
    kept = ~np.isin(labels[shuffled], rare) | (nth < max(1, round(n_common / RATIO)))
    return np.asarray(shuffled[kept])


if __name__ == "__main__":
    main(sys.argv[1:] or ["digits", "elpv"])
