"""How often the promotion rule is wrong: `python -m benchmarks.promotion [PAIRS] [METRIC]`; minutes for 1,000 pairs.

Champion and challenger are drawn with a known true difference: seeds move each model's accuracy, and they disagree on
a known share of the images. Counted is how often the challenger is called better, by this model and by this change, and
how often it is promoted: where nothing but the seed differs (A/A), where it truly loses 3 points, and where it truly
gains what the test set can show. And how often a change of nothing is called better where only a few images are unsure,
so that runs of other seeds often have equally many right. promotion.md says what came out.
"""

import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np

from assay import params
from assay.evaluation import against, comparison, metrics, verdict
from assay.evaluation.noise import Noise

Metric = Literal["accuracy", "f1_macro", "recall_macro"]
SETTINGS = [  # test images, accuracy, share that the two disagree on, deviation between seeds
    *((361, 0.98, 0.02, 0.004), (700, 0.90, 0.08, 0.010), (700, 0.70, 0.19, 0.012)),
    *((2000, 0.70, 0.19, 0.012), (5000, 0.90, 0.08, 0.010)),
]
RUNS = 5  # that `assay noise` records
LOSS = 0.03
N_CLASSES = 5
N_IMAGES, UNSURE = 361, [(2, 0.5), (4, 0.5), (8, 0.5), (2, 0.9), (4, 0.9), (8, 0.9)]  # images, chance to be right
RECORDED = (2, 3, 5, 10)  # runs
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
    print("| unsure images, chance to be right | " + " | ".join(f"{n} runs" for n in RECORDED) + " |")
    print("|---|" + "---|" * len(RECORDED))
    for unsure, chance in UNSURE:
        shares = [few_unsure(np.random.default_rng(0), n_pairs, unsure, chance, runs) for runs in RECORDED]
        told = " | ".join(f"{scatter:.3f}, {ours:.3f}" for scatter, ours in shares)
        print(f"| {unsure}, {chance} | {told} |", flush=True)


def few_unsure(rng: np.random.Generator, n_pairs: int, unsure: int, chance: float, runs: int) -> tuple[float, float]:
    """Return how often a change of nothing is called better: by the scatter of the runs alone, and by Assay."""
    called = np.zeros((n_pairs, 2))
    for pair in range(n_pairs):
        right = rng.random((runs + 2, unsure)) < chance
        accuracies = (1 - (unsure - right.sum(axis=1)) / N_IMAGES).tolist()
        disagreement = float(np.mean([(a != b).sum() for a, b in combinations(right[2:], 2)])) / N_IMAGES
        for way, of_flips in enumerate((0.0, comparison.flips_alone(disagreement, N_IMAGES))):
            change = comparison.judge_change(
                accuracies[:1], accuracies[1:2], accuracies[2:], P.confidence, of_flips=of_flips
            )
            called[pair, way] = change.verdict == "better"
    return tuple(called.mean(axis=0).tolist())


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
    runs = tuple(rng.normal(accuracy, np.sqrt(deviation**2 + of_images), RUNS).tolist())
    found = against.against(sides, Noise(runs=runs, disagreement=disagreement), 1, p)
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
