"""What the page of the evaluation draws: how the training went, and how the probabilities order and fit the truth."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from assay.evaluation import areas, charts
from assay.evaluation.calibration import Calibration
from assay.evaluation.charts import Axis, Chart, Dot, Line, Mark
from assay.evaluation.results import Evaluation, Unlike
from assay.labels import ACCURACY

IN_COLOUR = 5  # classes of a chart, the worst; the others are grey
N_BINS = 40  # of the histogram of how foreign images are
SPAN = (-1.0, 1.0)  # of it: powers of ten


def training(history: pd.DataFrame, best_epoch: int, found: Evaluation) -> list[Chart]:
    """Return the curves of the training by epoch: loss, accuracy, and the learning rate if it was recorded."""
    word = ACCURACY[found.task]
    drawn = [
        _by_epoch(history, best_epoch, "Loss", "loss", {"loss": "train", "val_loss": "val"}),
        _by_epoch(history, best_epoch, word.capitalize(), word, {"accuracy": "train", "val_accuracy": "val"}),
    ]
    if "rate" in history:
        drawn.append(_by_epoch(history, best_epoch, "Learning rate", "learning rate", {"rate": "rate"}))
    return drawn


def _by_epoch(history: pd.DataFrame, best_epoch: int, title: str, label: str, columns: dict[str, str]) -> Chart:
    epochs = history["epoch"].tolist()
    lines = [
        Line(name=name, style=f"series-{number}", points=list(zip(epochs, history[column].tolist(), strict=True)))
        for number, (column, name) in enumerate(columns.items(), start=1)
    ]
    y = charts.around(label, [value for line in lines for _, value in line.points])
    y = Axis(label=label, **charts.SHARE) if "accuracy" in columns else y
    x = Axis(label="epoch", low=min(1, *epochs) if len(epochs) > 1 else 0, high=max(epochs))
    chosen = history[history["epoch"] == best_epoch]
    values = ", ".join(f"{name} {chosen[column].iloc[0]:.4g}" for column, name in columns.items() if len(chosen))
    mark = Mark(x=best_epoch, said=f"epoch {best_epoch} kept")
    note = f"Epoch {best_epoch} was kept: {values}." if values else ""
    return charts.draw(title, lines, x=x, y=y, marks=[mark], note=note)


def order(found: Evaluation) -> list[Chart]:
    """Return the ROC and the precision-recall curves of each class against all others, the worst ones in colour."""
    answers, scores = found.test.answers, found.test.measured.classes
    drawable = [n for n, score in enumerate(scores) if score.roc_auc and score.average_precision]
    if not drawable:
        return []
    curves = {n: (answers.actual[:, n], answers.probabilities[:, n]) for n in drawable}
    of_roc = {n: (areas.roc(*curves[n]), scores[n].roc_auc) for n in drawable}
    of_precision = {n: (areas.precision_recall(*curves[n]), scores[n].average_precision) for n in drawable}
    roc, precision = (
        {n: (points, area.value) for n, (points, area) in each.items() if area} for each in (of_roc, of_precision)
    )
    ideal = Line(name="by chance", style="ideal", points=[(0, 0), (1, 1)])
    return [
        charts.draw(
            "ROC",
            [ideal, *_classes(roc, found.classes, "AUC")],
            x=Axis(label="false positive rate", **charts.SHARE),
            y=Axis(label="true positive rate", **charts.SHARE),
            note="Each class against all others; the nearer to the upper left corner, the better.",
        ),
        charts.draw(
            "Precision and recall",
            _classes(precision, found.classes, "AP"),
            x=Axis(label="recall", **charts.SHARE),
            y=Axis(label="precision", **charts.SHARE),
            note="What precision each class has at each recall; the nearer to the upper right corner, the better.",
        ),
    ]


def _classes(curves: Mapping[int, tuple[charts.Points, float]], classes: Sequence[str], word: str) -> list[Line]:
    """Return the lines, those of the smallest areas last and in colour."""
    ranked = sorted(curves, key=lambda n: (curves[n][1], classes[n]))
    worst, others = ranked[:IN_COLOUR], ranked[IN_COLOUR:]
    grey = [
        Line(name=f"{len(others):,} others" if n == others[0] else "", style="other", points=curves[n][0])
        for n in others
    ]
    coloured = [
        Line(name=f"{classes[n]}, {word} {curves[n][1]:.3f}", style=f"series-{rank}", points=curves[n][0])
        for rank, n in enumerate(worst, start=1)
    ]
    return [*grey, *coloured[::-1]]


def reliability(found: Evaluation) -> Chart:
    """Return confidence against truth, before and after the temperature."""
    several = found.task == "multi_label"
    word, so, of = (
        ("probability", "share in the class", "decisions") if several else ("confidence", "accuracy", "images")
    )
    kinds = {"at temperature 1": found.before} if found.answering.temperature.value != 1 else {}
    kinds |= {"as users get it": found.after}
    lines = [Line(name="as it should be", style="ideal", points=[(0, 0), (1, 1)])]
    dots: list[Dot] = []
    for (name, of_kind), style in zip(kinds.items(), ("other", "series-1")[-len(kinds) :], strict=True):
        lines.append(Line(name=name, style=style, points=[(each.confidence, each.accuracy) for each in of_kind.bins]))
        dots += _dots(of_kind, style, word, so, of)
    return charts.draw(
        "Reliability",
        lines,
        x=Axis(label=word, **charts.SHARE),
        y=Axis(label=so, **charts.SHARE),
        dots=dots,
        note=f"Below the diagonal it is too sure, above it not sure enough; a larger dot stands for more {of}.",
    )


def _dots(of_kind: Calibration, style: str, word: str, so: str, of: str) -> list[Dot]:
    most = max(each.n for each in of_kind.bins)
    return [
        Dot(
            x=each.confidence,
            y=each.accuracy,
            size=each.n / most,
            style=style,
            said=f"{each.n:,} {of}: {word} {each.confidence:.3f}, {so} {each.accuracy:.3f}",
        )
        for each in of_kind.bins
    ]


def unlike(found: Unlike) -> Chart:
    """Return how far test images and those of the far sets are from the train images, as a histogram."""
    edges = np.linspace(*SPAN, N_BINS + 1)
    lines = [
        Line(
            name=f"{name} (AUC {found.separation[name]:.3f})",
            style=f"series-{n}",
            points=charts.steps(_log(far), edges),
        )
        for n, (name, far) in enumerate(found.far.items(), start=2)
    ]
    lines.append(Line(name="test images", style="series-1", points=charts.steps(_log(found.scores), edges)))
    return charts.draw(
        "How unlike the train images",
        lines,
        x=Axis(label="score, as a power of ten", low=SPAN[0], high=SPAN[1]),
        y=charts.around("share of images", [share for line in lines for _, share in line.points]),
        marks=[Mark(x=0, said="limit")],
        note="Images to the right of the limit are called unlike what the model learned from.",
    )


def _log(scores: np.ndarray) -> np.ndarray:
    return np.asarray(np.log10(np.maximum(scores, 10.0 ** SPAN[0])))
