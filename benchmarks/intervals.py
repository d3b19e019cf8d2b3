"""How often an interval holds the truth: `python -m benchmarks.intervals [SETS]`; minutes for 1,500 simulated sets.

Test sets of G groups are drawn, each with a chance of its own to be right (beta), so that its images are alike. The
truth is known, and the share of sets whose interval holds it is counted: by image, as if there were no groups, and as
Assay tells it. intervals.md says what came out.
"""

import sys
from collections.abc import Iterator

import numpy as np

from assay.evaluation import against, comparison, intervals, metrics

CONFIDENCE = 0.95
# groups, images in each, accuracy, correlation within a group
ACCURACIES = [
    *((20, 10, 0.90, 0.2), (50, 10, 0.90, 0.2), (200, 10, 0.90, 0.2), (48, 10, 0.97, 0.1)),
    *((200, 2, 0.99, 0.5), (400, 1, 0.99, 0.0), (100, 1, 0.90, 0.0), (50, 8, 0.70, 0.3)),
]
# groups, images in each, chance of a new and of a gone error, correlation
DIFFERENCES = [(100, 4, 0.05, 0.05, 0.3), (361, 1, 0.02, 0.02, 0.0), (361, 1, 0.05, 0.02, 0.0), (50, 10, 0.1, 0.1, 0.2)]
F1S = [(50, 10, 0.90, 0.2), (200, 4, 0.80, 0.3), (400, 1, 0.90, 0.0), (300, 1, 0.99, 0.0)]
F1_DIFFERENCES = [
    *((12, 1, 0.05, 0.0, 0.0), (60, 1, 0.02, 0.0, 0.0), (361, 1, 0.005, 0.0, 0.0), (361, 1, 0.05, 0.02, 0.0)),
    *((10, 20, 0.08, 0.02, 0.3), (50, 10, 0.1, 0.1, 0.2)),
]
N_CLASSES = 4


def main(n_sets: int) -> None:
    print("accuracy: groups x size, accuracy, correlation | by image | Assay")
    for groups, size, accuracy, correlation in ACCURACIES:
        by_image, ours = accuracies(n_sets, groups, size, accuracy, correlation)
        print(f"| {groups} x {size}, {accuracy:.2f}, {correlation:g} | {by_image:.3f} | {ours:.3f} |")
    print("paired difference: groups x size, new and gone errors, correlation | by image | Assay")
    for groups, size, worse, better, correlation in DIFFERENCES:
        by_image, ours = differences(n_sets, groups, size, (worse, better), correlation)
        print(f"| {groups} x {size}, {worse:g} and {better:g}, {correlation:g} | {by_image:.3f} | {ours:.3f} |")
    print(f"macro F1 of {N_CLASSES} classes: groups x size, accuracy, correlation | by image | Assay")
    for groups, size, accuracy, correlation in F1S:
        by_image, ours = f1s(n_sets // 5, groups, size, accuracy, correlation)
        print(f"| {groups} x {size}, {accuracy:.2f}, {correlation:g} | {by_image:.3f} | {ours:.3f} |")
    print("difference of macro F1: groups x size, new and gone errors, correlation | bootstrap alone | Assay")
    for groups, size, worse, better, correlation in F1_DIFFERENCES:
        drawn, ours = f1_differences(n_sets // 3, groups, size, (worse, better), correlation)
        print(f"| {groups} x {size}, {worse:g} and {better:g}, {correlation:g} | {drawn:.3f} | {ours:.3f} |")


def chances(rng: np.random.Generator, n_groups: int, mean: float, correlation: float) -> np.ndarray:
    """Return the chance of each group [G]: beta, with this correlation between two images of one group."""
    if not correlation:
        return np.full(n_groups, mean)
    strength = 1 / correlation - 1
    return rng.beta(mean * strength, (1 - mean) * strength, n_groups)


def sets(n_sets: int) -> Iterator[np.random.Generator]:
    return (np.random.default_rng(number) for number in range(n_sets))


def accuracies(n_sets: int, n_groups: int, size: int, accuracy: float, correlation: float) -> tuple[float, float]:
    groups, held = np.repeat(np.arange(n_groups), size), np.zeros((n_sets, 2))
    for number, rng in enumerate(sets(n_sets)):
        right = rng.random(len(groups)) < np.repeat(chances(rng, n_groups, accuracy, correlation), size)
        for way, by in enumerate((np.arange(len(groups)), groups)):
            found = intervals.share(right, by, CONFIDENCE)
            held[number, way] = found.low <= accuracy <= found.high
    return tuple(held.mean(axis=0).tolist())


def differences(
    n_sets: int, n_groups: int, size: int, flips: tuple[float, float], correlation: float
) -> tuple[float, float]:
    groups, held = np.repeat(np.arange(n_groups), size), np.zeros((n_sets, 2))
    worse, better = flips
    for number, rng in enumerate(sets(n_sets)):
        flip = flipped(rng, n_groups, size, flips, correlation)
        for way, by in enumerate((np.arange(len(groups)), groups)):
            found = comparison.paired(flip <= 0, flip >= 0, by, CONFIDENCE)
            held[number, way] = found.low <= better - worse <= found.high
    return tuple(held.mean(axis=0).tolist())


def flipped(
    rng: np.random.Generator, n_groups: int, size: int, flips: tuple[float, float], correlation: float
) -> np.ndarray:
    """Return -1 for each image with a new error, 1 for one with an error gone, else 0 [N]."""
    down, up = (np.repeat(chances(rng, n_groups, mean, correlation), size) for mean in flips)
    draw = rng.random(n_groups * size)
    return np.where(draw < down, -1, np.where(draw > 1 - up, 1, 0))  # of both chances above 1, the one is cut


def f1s(n_sets: int, n_groups: int, size: int, accuracy: float, correlation: float) -> tuple[float, float]:
    """Where each class is mistaken for the next alike, macro F1 is the accuracy."""
    groups, held = np.repeat(np.arange(n_groups), size), np.zeros((n_sets, 2))
    for number, rng in enumerate(sets(n_sets)):
        labels = np.repeat(rng.integers(0, N_CLASSES, n_groups), size)
        right = rng.random(len(groups)) < np.repeat(chances(rng, n_groups, accuracy, correlation), size)
        named = np.where(right, labels, (labels + rng.integers(1, N_CLASSES, len(labels))) % N_CLASSES)
        actual, predicted = metrics.one_hot(labels, N_CLASSES), metrics.one_hot(named, N_CLASSES)
        for way, by in enumerate((np.arange(len(groups)), groups)):
            asked = metrics.answers(actual, predicted.astype(float), by, task="single_label")
            found = metrics.measure(asked, CONFIDENCE).overall["f1_macro"]
            assert found.low is not None
            assert found.high is not None
            held[number, way] = found.low <= accuracy <= found.high
    return tuple(held.mean(axis=0).tolist())


def f1_differences(
    n_sets: int, n_groups: int, size: int, flips: tuple[float, float], correlation: float
) -> tuple[float, float]:
    """As in `f1s`, of two models, the champion right wherever the other is not wrong in its place."""
    groups, held = np.repeat(np.arange(n_groups), size), np.zeros((n_sets, 2))
    for number, rng in enumerate(sets(n_sets)):
        labels = rng.integers(0, N_CLASSES, len(groups))
        flip = flipped(rng, n_groups, size, flips, correlation)
        wrong = (labels + rng.integers(1, N_CLASSES, len(labels))) % N_CLASSES
        actual, old, new = (
            metrics.one_hot(np.where(right, labels, wrong), N_CLASSES) for right in (flip < 2, flip <= 0, flip >= 0)
        )
        sides = against.Sides(
            actual=actual,
            old=old,
            old_right=flip <= 0,
            new=new,
            groups=groups,
            classes=tuple("abcd"),
            task="single_label",
        )
        found = against.difference(sides, "f1_macro", CONFIDENCE)[0]
        asked = metrics.answers(actual, actual.astype(float), groups, task="single_label")
        alone = intervals.ends(metrics.difference(old, new, asked, "f1_macro")[1], CONFIDENCE)
        assert found.low is not None
        assert found.high is not None
        for way, (low, high) in enumerate((alone, (found.low, found.high))):
            held[number, way] = low <= flips[1] - flips[0] <= high
    return tuple(held.mean(axis=0).tolist())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1500)
