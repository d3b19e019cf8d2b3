"""An image on the page: its picture, what is said of it, and the train images that it is like."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay import labels
from assay.evaluation import pictures, predictions
from assay.evaluation.examples import Like, Shown
from assay.evaluation.results import Evaluation

NONE = "none of the classes"


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A class that one of label and answer has and the other does not."""

    name: str
    is_missed: bool
    probability: float


@dataclass(frozen=True, kw_only=True)
class Picture:
    uri: str
    sha256: str  # what `assay forget` finds the picture by
    label: str


@dataclass(frozen=True, kw_only=True)
class Card:
    picture: Picture
    alt: str  # the picture in words
    path: str
    predicted: str
    probability: float
    is_right: bool
    mistakes: tuple[Mistake, ...]
    reasons: tuple[str, ...]  # why it is unlike the train images; empty: it is not
    score: float  # of that
    like: tuple[Picture, ...]


@dataclass(frozen=True, kw_only=True)
class Deck:
    cards: Mapping[int, Card]
    uris: Mapping[str, str]

    def of(self, places: Iterable[int]) -> list[Card]:
        return [self.cards[place] for place in places]


def deck(found: Evaluation, shown: Shown, pixels: Mapping[str, np.ndarray]) -> Deck:
    """Return a card of each test image that is shown; `pixels`: of all images, by SHA-256."""
    names = found.test.outputs.names()
    uris = pictures.encode(pixels, _uses(shown, names))
    table = predictions.table(found.test.outputs, found.test.answers, found.classes)
    wanted = {place for each in _lists(shown) for place in each}
    made = {
        place: _card(found, place, table.iloc[place].to_dict(), uris, shown.like.get(place, []))
        for place in sorted(wanted)
    }
    return Deck(cards=made, uris=uris)


def _lists(shown: Shown) -> list[list[int]]:
    return [shown.surest, shown.drawn, shown.right, shown.odd, *shown.cells.values(), *shown.slices]


def _uses(shown: Shown, names: list[str]) -> list[str]:
    """Return the SHA-256 of a picture as often as it stands in the page."""
    pairs = [place for cell in shown.pairs for place in shown.cells[cell] if place in shown.like]
    places = [place for each in [*_lists(shown), pairs] for place in each]
    near = [like.sha256 for place in [*pairs, *shown.odd] for like in shown.like[place]]
    return [*(names[place] for place in places), *near, *shown.suspects]


def _card(found: Evaluation, place: int, row: Mapping[str, Any], uris: Mapping[str, str], like: list[Like]) -> Card:
    verdict = found.unlike.verdicts[place]
    return Card(
        picture=Picture(uri=uris[row["sha256"]], sha256=row["sha256"], label=_said(row["label"], found)),
        alt=f"{found.rows['path'][place]}: labelled {_said(row['label'], found)}, {_verb(row, found)}",
        path=found.rows["path"][place],
        predicted=_said(row["predicted"], found),
        probability=row["probability"],
        is_right=row["label"] == row["predicted"],
        mistakes=mistakes(row, found),
        reasons=verdict.reasons,
        score=verdict.score,
        like=tuple(Picture(uri=uris[each.sha256], sha256=each.sha256, label=each.label) for each in like),
    )


def _said(label: str, found: Evaluation) -> str:
    return ", ".join(labels.names(label, found.task)) or NONE


def _verb(row: Mapping[str, Any], found: Evaluation) -> str:
    if row["label"] == row["predicted"]:
        return "rightly named"
    return f"{'named' if found.task == 'multi_label' else 'taken for'} {_said(row['predicted'], found)}"


def mistakes(row: Mapping[str, Any], found: Evaluation) -> tuple[Mistake, ...]:
    """Return the classes that one of the two has and the other does not, with their probability."""
    actual, predicted = (set(labels.names(row[column], found.task)) for column in ("label", "predicted"))
    return tuple(
        Mistake(name=name, is_missed=name in actual, probability=row[f"p_{name}"])
        for name in sorted((actual ^ predicted) - {""})
    )


def suspects(found: Evaluation, shown: Shown, deck: Deck) -> list[dict[str, Any]]:
    """Return the first rows of the queue of doubtful labels, with their pictures."""
    rows = found.suspects.head(len(shown.suspects)).to_dict("records")
    return [{str(key): value for key, value in row.items()} | {"uri": deck.uris[row["sha256"]]} for row in rows]
