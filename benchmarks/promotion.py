"""How often the promotion rule is wrong: `python -m benchmarks.promotion [PAIRS] [METRIC]`; minutes for 1,000 pairs.

Champion and challenger are drawn with a known true difference: seeds move each model's accuracy, and they disagree on
a known share of the images. Counted is how often the challenger is called better, by this model and by this change, and
how often it is promoted: where nothing but the seed differs (A/A), where it truly loses 3 points, and where it truly
gains what the test set can show. promotion.md says what came out.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from assay import params
from assay.evaluation import against, comparison, metrics, verdict

Metric = Literal["accuracy", "f1_macro", "recall_macro"]
SETTINGS = [  # test images, accuracy, share that the two disagree on, deviation between seeds
    *((361, 0.98, 0.02, 0.004), (700, 0.90, 0.08, 0.010), (700, 0.70, 0.19, 0.012)),
    *((2000, 0.70, 0.19, 0.012), (5000, 0.90, 0.08, 0.010)),
]
RUNS = 5  # that `assay noise` records
LOSS = 0.03
N_CLASSES = 5
P = replace(params.load(Path("params.yaml")).register, max_new_error_share=0.15)


def main(n_pairs: int, metric: Metric) -> None:
    p = replace(P, metric=metric)
    print("| test images, accuracy, disagreement | true difference | better: images | better: change | promoted |")
    print("|---|---|---|---|---|")
    for n, accuracy, disagreement, deviation in SETTINGS:
        gain = min(comparison.detectable(disagreement, n, p.confidence), (1 - accuracy) * 0.9)
        for name, shift, scatter in (("A/A", 0.0, deviation), ("loss", -LOSS, 0.0), ("gain", gain, 0.0)):
            found = [
                judge(np.random.default_rng(number), n, accuracy, disagreement, (shift, scatter, deviation), p)
                for number in range(n_pairs)
            ]
            model, change, promoted = np.mean(found, axis=0)
            told = f"{name} {100 * shift:+.1f} points" if shift else "A/A"
            print(
                f"| {n:,}, {accuracy}, {disagreement} | {told} | {model:.3f} | {change:.3f} | {promoted:.3f} |",
                flush=True,
            )


def judge(
    rng: np.random.Generator,
    n: int,
    accuracy: float,
    disagreement: float,
    moves: tuple[float, float, float],
    p: params.Register,
) -> tuple[bool, bool, bool]:
    """Return whether one drawn challenger is called better, its change too, and whether it is promoted.

    `moves`: the true difference, how much two seeds scatter it, and how much the runs of `assay noise` scatter.
    """
    shift, scatter, deviation = moves
    difference = shift + rng.normal(0, scatter * np.sqrt(2))
    worse, better = max(0.0, (disagreement - difference) / 2), max(0.0, (disagreement + difference) / 2)
    both_wrong = max(0.0, 1 - accuracy - better)
    outcome = rng.choice(4, n, p=np.array([1 - worse - better - both_wrong, worse, better, both_wrong]))
    sides = drawn(rng, np.isin(outcome, [0, 1]), np.isin(outcome, [0, 2]))
    of_images = disagreement / 2 / n  # variance: on one set of images the runs differ by more than their seeds' worth
    noise = rng.normal(accuracy, np.sqrt(deviation**2 + of_images), RUNS).tolist()
    found = against.against(sides, noise, 1, p)
    promoted = verdict.decide(verdict.relative(found, sides, "v1", p)) == "promote"
    return found.model_verdict.startswith("better"), found.change.verdict == "better", promoted


def drawn(rng: np.random.Generator, old: np.ndarray, new: np.ndarray) -> against.Sides:
    labels = rng.integers(0, N_CLASSES, len(old))
    actual = metrics.one_hot(labels, N_CLASSES)
    was, now = (metrics.one_hot(np.where(right, labels, (labels + 1) % N_CLASSES), N_CLASSES) for right in (old, new))
    return against.Sides(
        actual=actual,
        old=was,
        old_right=old,
        new=now,
        groups=np.arange(len(old)),
        classes=tuple("abcde"),
        task="single_label",
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, sys.argv[2] if len(sys.argv) > 2 else "accuracy")  # type: ignore[arg-type]
