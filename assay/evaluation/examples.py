"""Which images the page shows, and where. Only places and names here: the pictures are read once it is known which.

A cell is what the model got wrong in one way: of a single-label set (actual, predicted), of a multi-label set
(class, MISSED) or (class, WRONGLY). Numbers of images are limits, so that the page stays small at any number of errors.
"""

from dataclasses import dataclass

import numpy as np

from assay import labels
from assay.evaluation import metrics, ood, predictions
from assay.evaluation.results import Evaluation

SUREST, DRAWN, RIGHT = 48, 24, 12  # wrong images, wrong ones at random, right ones at random
IN_CELLS, OF_CELL = 300, 24  # in all cells, of one
PAIRS, OF_PAIR, NEAR = 8, 4, 3  # confused pairs, images of each, train images beside each
SLICES, OF_SLICE = 5, 6
SUSPECTS, ODD = 40, 12
SEED = 0
MISSED, WRONGLY = 0, 1

Cell = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Like:
    """A train image that is like another one."""

    sha256: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Places in the test split, but for the suspects."""

    surest: list[int]  # wrong images, the surest error first
    drawn: list[int]  # wrong images at random; empty: all are among the surest
    right: list[int]
    cells: dict[Cell, list[int]]  # by falling count
    n_of_cells: dict[Cell, int]  # images in each, by falling count
    pairs: list[Cell]
    slices: list[list[int]]  # of each slice that is surely worse
    odd: list[int]  # the least ordinary first
    suspects: list[str]  # SHA-256
    like: dict[int, list[Like]]  # of those of pairs and the odd ones, the nearest first

    def wanted(self, found: Evaluation) -> set[str]:
        """Return the SHA-256 of all images that are shown."""
        lists = [self.surest, self.drawn, self.right, self.odd, *self.cells.values(), *self.slices]
        places = {place for each in lists for place in each}
        names = found.test.outputs.names()
        near = {like.sha256 for each in self.like.values() for like in each}
        return {names[place] for place in places} | near | set(self.suspects)


def choose(found: Evaluation, known: ood.Reference) -> Shown:
    """Return what to show; the same evaluation gives the same images. `known`: of the train images."""
    ranked = surest(found)
    rng = np.random.default_rng(SEED)
    members = _cells(found, ranked)
    counts = {cell: len(places) for cell, places in members.items()}
    n_each = min(OF_CELL, max(2, IN_CELLS // max(1, len(members))))
    first = list(members)[: IN_CELLS // n_each]
    cells = {cell: members[cell][: max(n_each, OF_PAIR * (rank < PAIRS))] for rank, cell in enumerate(first)}
    pairs = first[:PAIRS]
    odd = np.argsort(-found.unlike.scores, kind="stable")[:ODD].tolist()
    near = {place for cell in pairs for place in cells[cell][:OF_PAIR]} | set(odd)
    return Shown(
        surest=ranked[:SUREST],
        drawn=_drawn(ranked, DRAWN, rng) if len(ranked) > SUREST else [],
        right=_drawn(np.flatnonzero(found.test.answers.right).tolist(), RIGHT, rng),
        cells=cells,
        n_of_cells=counts,
        pairs=pairs,
        slices=[list(each.wrong[:OF_SLICE]) for each in found.slices if each.is_worse][:SLICES],
        odd=odd,
        suspects=found.suspects["sha256"].head(SUSPECTS).tolist(),
        like={place: _like(found, known, place) for place in sorted(near)},
    )


def _drawn(places: list[int], n: int, rng: np.random.Generator) -> list[int]:
    return [int(place) for place in rng.permutation(places)[:n]]


def surest(found: Evaluation) -> list[int]:
    """Return the places of the wrong test images, the surest error first."""
    sure = predictions.sureness(found.test.answers)
    wrong = np.flatnonzero(~found.test.answers.right)
    order = np.argsort(-sure[wrong], kind="stable")  # the outputs are in the order of SHA-256
    return [int(place) for place in wrong[order]]


def _cells(found: Evaluation, ranked: list[int]) -> dict[Cell, list[int]]:
    """Return the wrong images of each cell, the surest first; the fullest cell first."""
    answers = found.test.answers
    members: dict[Cell, list[int]] = {}
    for place in ranked:
        for cell in _of_image(answers, place):
            members.setdefault(cell, []).append(place)
    return dict(sorted(members.items(), key=lambda each: (-len(each[1]), each[0])))


def _of_image(answers: metrics.Answers, place: int) -> list[Cell]:
    actual, predicted = answers.actual[place], answers.predicted[place]
    if answers.task == "multi_label":
        missed, wrongly = np.flatnonzero(actual & ~predicted), np.flatnonzero(predicted & ~actual)
        return [(int(n), MISSED) for n in missed] + [(int(n), WRONGLY) for n in wrongly]
    return [(int(actual.argmax()), int(predicted.argmax()))] if predicted.any() else []  # else it has no answer


def _like(found: Evaluation, known: ood.Reference, place: int) -> list[Like]:
    return [
        Like(sha256=known.sha256[at].decode(), label=_label(known.labels[at], found.classes))
        for at in found.nearest[place][:NEAR]
    ]


def _label(value: np.ndarray, classes: tuple[str, ...]) -> str:
    if value.ndim == 0:
        return classes[int(value)]
    return ", ".join(labels.names(labels.decode(value, classes), "multi_label")) or "none of the classes"
