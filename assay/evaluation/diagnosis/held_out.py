"""Contracts of the test images: are there enough, do they come from where train does, and is their order right?"""

import math

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.stats import binom, ks_2samp

from assay import words
from assay.evaluation.diagnosis.evidence import Evidence, Split
from assay.evaluation.diagnosis.finding import SHOWN, Finding, contract

ELSEWHERE, LOWER = 0.5, 1.6  # Kolmogorov-Smirnov distance; standard errors that test is below val
FEWEST, FEWEST_TEST, WIDEST = 20, 100, 0.06  # images; of test; half the interval of the accuracy
MOST_LOOKS = 20  # models measured on the same test images
PERMUTED, PERMUTED_IMAGES = 0.3, 10  # of accuracy, that another order gains; test images for each class, to tell it
MOVED = 0.001  # the chance that classes are called by other names, over all orders
LEAST_MARGIN = 0.01  # of accuracy: nobody has the images to tell less
LOOKED_AT = ("brightness", "contrast", "sharpness")


def label_map(evidence: Evidence) -> Finding | None:
    """Answers that are right once the classes are put in another order."""
    run = evidence.run
    if not run or not run.is_single or len(run.classes) < 2:
        return None
    counts = run.test.actual.T.astype(int) @ run.test.predicted
    if counts.sum() < PERMUTED_IMAGES * len(run.classes):  # of few images some order is always better by luck
        return None
    rows, columns = linear_sum_assignment(-counts)
    was, would = float(np.trace(counts)) / counts.sum(), float(counts[rows, columns].sum()) / counts.sum()
    gains = would - was > PERMUTED and would > 2 * was
    if not gains and not (would >= _least_of_val(run.val, len(run.test.actual)) and _are_moved(counts, columns)):
        return None
    moved = [
        f"{run.classes[k]!r} is called {run.classes[to]!r}" for k, to in zip(rows, columns, strict=True) if k != to
    ]
    return contract(
        "label_map",
        seen=(
            f"with the classes in another order the accuracy would be {would:.1%}, it is {was:.1%}: "
            f"{'; '.join(moved[:4])}"
        ),
        cost=would - was,
        look="where class names become numbers: the order is that of data/records.json for training and answers alike",
    )


def _least_of_val(val: Split, n_test: int) -> float:
    """Return what the accuracy on test is at least, but for chance, if its images are like those of val."""
    share, n = float(val.right.mean()) if len(val.right) else 1.0, max(1, len(val.right))
    return share - LOWER * math.sqrt(share * (1 - share) * (1 / n + 1 / n_test))


def _are_moved(counts: np.ndarray, columns: np.ndarray) -> bool:
    """Say whether the classes that have another place in the best order are surely called by that one.

    `counts`: int [K, K], actual by predicted. Each is called so more often than by its own name, and all together by
    far: a one-sided binomial test, as strict as there are orders that move so many.
    """
    moved = np.flatnonzero(columns != np.arange(len(columns)))
    other, own = counts[moved, columns[moved]], counts[moved, moved]
    chance = binom.logsf(other.sum() - 1, other.sum() + own.sum(), 0.5)
    return bool((other > own).all() and chance + len(moved) * math.log(len(counts)) < math.log(MOVED))


def foreign_test(evidence: Evidence) -> Finding | None:
    """Test images that differ from train in brightness, contrast or sharpness, and are wrong more often than val's."""
    rows = evidence.rows
    train, test = (rows[rows["split"] == split] for split in ("train", "test"))
    if min(len(test), len(train)) < FEWEST:
        return None
    distances = {name: distance(train[name], test[name]) for name in LOOKED_AT}
    name, apart = max(distances.items(), key=lambda each: each[1])
    lower = _lower(evidence.run.val, evidence.run.test) if evidence.run else None
    if apart <= ELSEWHERE or (lower is not None and lower <= LOWER):
        return None
    middle = {split: float(each[name].median()) for split, each in (("train", train), ("test", test))}
    cost = None
    if evidence.run:
        cost = float(evidence.run.val.right.mean() - evidence.run.test.right.mean())
    return contract(
        "foreign_test",
        certainty="certain" if evidence.run else "possible",
        seen=(
            f"{name} of the test images is {middle['test']:.3g}, of the train images {middle['train']:.3g} (medians); "
            f"their distributions are {apart:.2f} apart (Kolmogorov-Smirnov), the limit is {ELSEWHERE:g}"
            + (f", and the model is right {cost:.1%} less often there than on val" if cost is not None else "")
        ),
        cost=cost,
        look="where the test images come from: train on images of that kind too, or draw the splits from all images",
        images=tuple(_farthest(test, train, name)),
    )


def distance(one: pd.Series, other: pd.Series) -> float:
    """Return the largest difference of the shares below any value, in [0, 1] (Kolmogorov-Smirnov)."""
    return float(ks_2samp(one.dropna(), other.dropna()).statistic) if one.notna().any() and other.notna().any() else 0.0


def _farthest(test: pd.DataFrame, train: pd.DataFrame, name: str) -> list[str]:
    away = (test[name] - train[name].median()).abs()
    return list(test.assign(away=away).sort_values(["away", "sha256"], ascending=[False, True])["sha256"].head(SHOWN))


def _lower(val: Split, test: Split) -> float:
    """Return by how many standard errors the accuracy on test is below that on val, by effective numbers of images."""
    pooled = float(np.concatenate([val.right, test.right]).mean())
    error = np.sqrt(max(pooled * (1 - pooled), 1e-9) * sum(1 / each.accuracy.n_effective for each in (val, test)))
    return float((val.accuracy.value - test.accuracy.value) / error)


def small_test(evidence: Evidence) -> Finding | None:
    """So few test images that the accuracy is hardly known."""
    run = evidence.run
    if not run:
        return None
    accuracy = run.test.accuracy
    half = (accuracy.high - accuracy.low) / 2
    if accuracy.n >= FEWEST_TEST and half <= WIDEST:
        return None
    margin = max(evidence.register.margin, LEAST_MARGIN)
    wanted = max(FEWEST_TEST, math.ceil(accuracy.n * (half / margin) ** 2))
    return contract(
        "small_test",
        kind="limit",
        seen=(
            f"by {words.counted(accuracy.n, 'test image')} the accuracy is {accuracy.low:.1%} to {accuracy.high:.1%}; "
            f"about {wanted:,} would tell it to {margin:.0%} (params.yaml: register.margin)"
        ),
        look="more test images (params.yaml: ingest.test_share, for new images), or no decision by small differences",
    )


def used_test(evidence: Evidence) -> Finding | None:
    """Many models measured on the same test images: the best of them is flattered by luck.

    By about the spread of equal models times the root of 2 ln n, the largest of n normal numbers.
    """
    if not evidence.run or evidence.n_looks < MOST_LOOKS:
        return None
    accuracy = evidence.run.test.accuracy
    wrong = (accuracy.n * (1 - accuracy.value) + 1) / (accuracy.n + 2)
    flattered = float(np.sqrt(wrong / 2 / accuracy.n_effective) * np.sqrt(2 * np.log(evidence.n_looks)))
    return contract(
        "used_test",
        kind="limit",
        certainty="possible",
        seen=(
            f"{evidence.n_looks} models were measured on these test images; who takes the best of so many equal ones "
            f"believes it about {100 * flattered:.1f} points better than it is"
        ),
        look="registry/looks.json; choose by val (`assay tune`, `assay diagnose --probe`), or take new test images",
    )
