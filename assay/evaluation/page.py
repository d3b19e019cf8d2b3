"""The page of the evaluation, and what a person wants to know at once.

What the model is worth by itself is judged here, by the checks that `register` makes too. Whether it may replace the
champion is not: that depends on what was released since, and `register` adds it (`verdict_page`).
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from assay import labels, pages, params
from assay.evaluation import advice, cards, charts, drawn, intervals, metrics, verdict
from assay.evaluation.diagnosis import causes
from assay.evaluation.diagnosis.drawn import Card
from assay.evaluation.examples import MISSED, Shown
from assay.evaluation.intervals import FEWEST_GROUPS, Estimate, Share
from assay.evaluation.provenance import Provenance
from assay.evaluation.results import Evaluation
from assay.evaluation.verdict import Check
from assay.training import left

IN_TABLE = 25  # classes that a confusion matrix is a table of; of more it is a picture
SLICES = 15  # in the table


@dataclass(frozen=True, kw_only=True)
class Headline:
    style: Literal["good", "warning", "bad"]
    words: str
    checks: list[Check]
    doubts: list[str]


def lines(found: Evaluation) -> list[str]:
    """Return what a person wants to know at once."""
    overall, n = found.test.measured.overall, found.test.measured.accuracy.n
    commonest = "class" if found.task == "single_label" else "set of classes"
    word, baseline = labels.ACCURACY[found.task], overall["baseline_accuracy"].value
    told = [f"{word} {_told(overall['accuracy'])} (always the commonest {commonest}: {baseline:.4f})"]
    if found.task == "multi_label":
        told.append(f"micro F1 {_told(overall['f1_micro'])}; Hamming loss {overall['hamming_loss'].value:.4f}")
    name, score = worst(found)
    n_wrong = int((~found.test.answers.right).sum())
    return [
        *told,
        f"{n_wrong:,} of {n:,} test images wrong, recall {score.recall.value:.4f} of the worst class, {name}",
        f"a difference below {100 * found.detectable:.1f} points from another model would hardly show on them",
        *remarks(found),
    ]


def _told(estimate: Estimate) -> str:
    return f"{estimate.value:.4f}, between {estimate.low:.4f} and {estimate.high:.4f}"


def worst(found: Evaluation) -> tuple[str, metrics.ClassScore]:
    """Return the class that is found most rarely."""
    scores = dict(zip(found.classes, found.test.measured.classes, strict=True))
    name = min((name for name, score in scores.items() if score.n), key=lambda name: scores[name].recall.value)
    return name, scores[name]


def remarks(found: Evaluation) -> list[str]:
    """Return what is to be known before the numbers are believed."""
    accuracy, absent = (
        found.test.measured.accuracy,
        [name for name, score in zip(found.classes, found.test.measured.classes, strict=True) if not score.n],
    )
    told = []
    if accuracy.is_guess:
        told.append(f"{accuracy.n_groups} groups of test images, fewer than {FEWEST_GROUPS}: the intervals are a guess")
    if absent:
        told.append(f"no test image of {verdict.shortened(absent)}: of these classes nothing is known")
    if found.test.answers.n_unanswered:
        told.append(f"{found.test.answers.n_unanswered:,} test images have a probability that is no number: no answer")
    if len(set(map(bytes, found.test.answers.predicted))) == 1 and accuracy.n > 1:
        said = labels.decode(found.test.answers.predicted[0], found.classes) or "none of the classes"
        told.append(f"the model gives every test image the same answer: {said}")
    weak = [f"{each.column} {each.value}" for each in found.slices if each.is_worse]
    return told + ([f"surely weaker: {', '.join(weak[:5])}"] if weak else [])


def headline(found: Evaluation, p: params.Register) -> Headline:
    """Return whether the model is good enough by itself, and what stands against believing it."""
    accuracy, recalls = shares(found, p.confidence)
    checks = verdict.floors(accuracy, recalls, found.task, p)
    overall, commonest = found.test.measured.overall, "set of classes" if found.task == "multi_label" else "class"
    doubts, baseline = remarks(found), overall["baseline_accuracy"].value
    if accuracy.low <= baseline:
        said = f"not surely better than always answering with the commonest {commonest}, which scores {baseline:.4f}"
        doubts.insert(0, said)
    if not all(check.passed for check in checks):
        return Headline(style="bad", words="Not good enough by itself", checks=checks, doubts=doubts)
    if doubts:
        return Headline(style="warning", words="Good enough by itself, with doubts", checks=checks, doubts=doubts)
    return Headline(style="good", words="Good enough by itself", checks=checks, doubts=doubts)


def shares(found: Evaluation, confidence: float) -> tuple[Share, dict[str, Share]]:
    """Return the accuracy and the recall of each class, as `register` will find them from what is written."""
    of = found.test.answers
    accuracy, recalls = intervals.recalls(of.actual, of.predicted, of.groups, confidence)
    return accuracy, dict(zip(found.classes, recalls, strict=True))


def build(
    paths: params.Paths,
    found: Evaluation,
    shown: Shown,
    *,
    pixels: Mapping[str, np.ndarray],
    made_from: Provenance,
    why: Sequence[Card],
    looked_at: Sequence[str],
    p: params.Register,
) -> str:
    """Return the page, the same for the same evaluation; `pixels`: of `shown.wanted`, uint8 [H, W, C].

    `why`: the causes that were found, of those `looked_at`.
    """
    measured = found.test.measured
    deck = cards.deck(found, shown, pixels)
    of_cells = cells(found, shown, deck)
    return pages.render(
        "evaluation/evaluation.html",
        headline=headline(found, p),
        forwarded=_beside(paths.verdict / "index.html", paths),
        augmented=_beside(paths.training / left.AUGMENTED, paths),
        found=found,
        overall=measured.overall,
        n_wrong=int((~found.test.answers.right).sum()),
        n_images=measured.accuracy.n,
        training=drawn.training(made_from.history, int(made_from.trained["best_epoch"]), found),
        classes=classes(found, made_from.index.splits["train"].class_counts),
        confusion=confusion(found, shown) if found.task == "single_label" else None,
        cells=of_cells,
        n_cells=len(shown.n_of_cells),
        pairs=of_cells[: len(shown.pairs)],
        order=drawn.order(found),
        reliability=drawn.reliability(found),
        unlike=drawn.unlike(found.unlike),
        surest=deck.of(shown.surest),
        drawn=deck.of(shown.drawn),
        right=deck.of(shown.right),
        odd=deck.of(shown.odd),
        slices=slices(found, shown, deck),
        n_slices=len(found.slices),
        suspects=cards.suspects(found, shown, deck),
        made_from=made_from,
        why=why,
        looked_at=[causes.within(name) for name in looked_at],
        levels=charts.LEVELS,
    )


def _beside(file: Path, paths: params.Paths) -> str:
    return os.path.relpath(file, paths.evaluation).replace(os.sep, "/")


def anchor(cell: tuple[int, int]) -> str:
    return f"cell-{cell[0]}-{cell[1]}"


def classes(found: Evaluation, n_train: Sequence[int]) -> list[dict[str, Any]]:
    """Return name, score, train images and advice of each class, the one with the lowest F1 first."""
    answers = found.test.answers
    counts = metrics.confusion(answers.actual, answers.predicted) if found.task == "single_label" else None
    rows = [
        {
            "name": name,
            "score": score,
            "n_train": n_train[number],
            "advice": advice.of_class(
                score,
                _most(counts, number, found.classes, axis=1),
                _most(counts, number, found.classes, axis=0),
                n_train[number] / max(1, *n_train),
            ),
        }
        for number, (name, score) in enumerate(zip(found.classes, found.test.measured.classes, strict=True))
    ]
    return sorted(rows, key=lambda row: (row["score"].n == 0, row["score"].f1.value, row["name"]))


def _most(counts: np.ndarray | None, number: int, names: Sequence[str], *, axis: int) -> advice.Confused | None:
    """Return what the class is confused with most: in its row (axis 1) or its column (axis 0) of the matrix."""
    if counts is None:
        return None
    of = (counts[number] if axis == 1 else counts[:, number]).copy()
    of[number] = 0
    return advice.Confused(name=names[int(of.argmax())], n=int(of.max())) if of.any() else None


def confusion(found: Evaluation, shown: Shown) -> dict[str, Any]:
    """Return the matrix of a single-label set: as rows for a table, of many classes as a picture."""
    counts = metrics.confusion(found.test.answers.actual, found.test.answers.predicted)
    linked = {cell: anchor(cell) for cell in shown.cells}
    if len(found.classes) > IN_TABLE:
        return {"rows": [], "picture": charts.matrix(counts, found.classes, linked)}
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    rows = [
        [
            {
                "count": int(counts[row, column]),
                "share": float(shares[row, column]),
                "level": charts.level(float(shares[row, column])),
                "is_right": row == column,
                "predicted": predicted,
                "anchor": linked.get((row, column)),
            }
            for column, predicted in enumerate(found.classes)
        ]
        for row in range(len(found.classes))
    ]
    return {"rows": list(zip(found.classes, rows, strict=True)), "picture": None}


def cells(found: Evaluation, shown: Shown, deck: cards.Deck) -> list[dict[str, Any]]:
    """Return what the cells with pictures hold, the fullest first."""
    return [
        {
            "anchor": anchor(cell),
            "words": words(cell, found),
            "n": shown.n_of_cells[cell],
            "of": int(found.test.answers.actual[:, cell[0]].sum()),
            "cards": deck.of(places),
            "examples": deck.of([place for place in places if place in shown.like]),
        }
        for cell, places in shown.cells.items()
    ]


def words(cell: tuple[int, int], found: Evaluation) -> tuple[str, str]:
    """Return the two words of a cell: what is so, and what the model makes of it."""
    name = found.classes[cell[0]]
    if found.task == "single_label":
        return name, f"taken for {found.classes[cell[1]]}"
    return name, "missed" if cell[1] == MISSED else "wrongly named"


def slices(found: Evaluation, shown: Shown, deck: cards.Deck) -> list[dict[str, Any]]:
    """Return the slices that are surely worse, with pictures, and the next ones."""
    worse = [each for each in found.slices if each.is_worse]
    pictures = [deck.of(places) for places in shown.slices] + [[]] * len(found.slices)
    ordered = worse + [each for each in found.slices if not each.is_worse]
    return [{"slice": each, "cards": of} for each, of in zip(ordered, pictures, strict=False)][
        : max(SLICES, len(worse))
    ]
