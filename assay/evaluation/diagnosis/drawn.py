"""What the page shows of each cause: the curve, or the images, that it was seen by."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from assay.evaluation import charts, pictures
from assay.evaluation.charts import Axis, Chart, Dot, Line, Mark
from assay.evaluation.diagnosis import borders, causes, contracts, finding, held_out
from assay.evaluation.diagnosis.diagnose import Diagnosis
from assay.evaluation.diagnosis.evidence import Evidence
from assay.evaluation.diagnosis.finding import Finding

SIDE_PX = 96
STEPS = 101  # of a curve of shares


@dataclass(frozen=True, kw_only=True)
class Card:
    number: int
    title: str
    finding: Finding
    changes: tuple[str, ...]  # lines of params.yaml
    alike: tuple[str, ...]  # titles
    chart: Chart | None
    images: tuple[tuple[str, str, str], ...]  # SHA-256, `data:` URI, label


def wanted(found: Diagnosis) -> set[str]:
    """Return the SHA-256 of the images that the cards show."""
    return {sha256 for each in found.findings for sha256 in each.images}


def cards(found: Diagnosis, evidence: Evidence, pixels: Mapping[str, np.ndarray]) -> list[Card]:
    """Return a card for each cause, the likeliest first; `pixels`: uint8 [H, W, C] by SHA-256, of `wanted`."""
    shown = evidence.rows[evidence.rows["sha256"].isin(wanted(found))].dropna(subset="label")
    labels = shown.groupby("sha256")["label"].agg(lambda each: " and ".join(sorted(set(each))))  # one file may have two
    return [
        Card(
            number=number,
            title=causes.TITLES[each.cause],
            finding=each,
            changes=tuple(finding.changes(each.change)),
            alike=tuple(causes.TITLES[name] for name in each.alike),
            chart=CHARTS[each.cause](evidence) if each.cause in CHARTS and evidence.record else None,
            images=tuple(
                (name, pictures.picture(pixels[name], SIDE_PX), str(labels.get(name, "")))
                for name in each.images
                if name in pixels
            ),
        )
        for number, each in enumerate(found.findings, 1)
    ]


def losses(evidence: Evidence) -> Chart | None:
    """Return the losses by epoch: of train as in use and as trained on, of val, and that of guessing."""
    assert evidence.record
    rows = evidence.record["epochs"]
    if not rows:
        return None
    epochs = [row["epoch"] for row in rows]
    named = {"clean_loss": "train, as in use", "cross_entropy": "train, as trained on", "val_loss": "val"}
    lines = [
        Line(name=name, style=f"series-{n}", points=[(row["epoch"], _gap(row[key])) for row in rows])
        for n, (key, name) in enumerate(named.items(), 1)
    ]
    guessing = evidence.record["guessing"]
    lines.append(Line(name="guessing", style="ideal", points=[(min(epochs), guessing), (max(epochs), guessing)]))
    kept = evidence.record["kept"]["epoch"]
    return charts.draw(
        "Loss by epoch",
        lines,
        x=Axis(label="epoch", low=min(1, *epochs) if len(epochs) > 1 else 0, high=max(epochs)),
        y=charts.around("loss", [value for line in lines for _, value in line.points]),
        marks=[Mark(x=kept, said=f"epoch {kept} kept")] if kept else [],
    )


def _gap(value: float | None) -> float:
    """Return the value, and where it was no number what a line is not drawn through."""
    return float("nan") if value is None else float(value)


def steps(evidence: Evidence) -> Chart | None:
    """Return what a step changes of a kernel, by epoch, as a power of ten of its size."""
    assert evidence.record
    points = [(row["epoch"], np.log10(max(_gap(row["update_ratio"]), 1e-12))) for row in evidence.record["epochs"]]
    if not points:
        return None
    values = [value for _, value in points]
    return charts.draw(
        "A step, to the size of the kernel",
        [Line(name="power of ten", style="series-1", points=points)],
        x=Axis(label="epoch", low=0, high=max(epoch for epoch, _ in points)),
        y=Axis(label="power of ten", low=min(-4.0, *values), high=max(-1.0, *values)),
        note="Sound runs begin between -2.2 and -1.5 and fall.",
    )


def recalls(evidence: Evidence) -> Chart | None:
    """Return how often the test images of each class are found, by its train images."""
    run = evidence.run
    if not run:
        return None
    n_test = run.test.actual.sum(axis=0)
    found = (run.test.actual & run.test.predicted).sum(axis=0) / np.maximum(n_test, 1)
    most = max(run.n_train)
    dots = [
        Dot(
            x=n,
            y=float(found[k]),
            size=float(n_test[k] / n_test.max()),
            style="series-1",
            said=f"{name}: {found[k]:.2f}",
        )
        for k, (name, n) in enumerate(zip(run.classes, run.n_train, strict=True))
        if n_test[k]
    ]
    return charts.draw(
        "Recall by train images of the class",
        [],
        x=Axis(label="train images", low=0, high=most),
        y=Axis(label="recall", **charts.SHARE),
        dots=dots,
    )


def distributions(evidence: Evidence) -> Chart:
    """Return what share of the images of train and of test is below each value of what differs most."""
    split = {name: evidence.rows[evidence.rows["split"] == name] for name in ("train", "test")}
    name = max(held_out.LOOKED_AT, key=lambda each: held_out.distance(split["train"][each], split["test"][each]))
    shares = np.linspace(0, 1, STEPS)
    lines = [
        Line(
            name=part,
            style=f"series-{n}",
            points=list(zip(np.quantile(rows[name].dropna(), shares).tolist(), shares.tolist(), strict=True)),
        )
        for n, (part, rows) in enumerate(split.items(), 1)
    ]
    x = charts.around(name, [value for line in lines for value, _ in line.points])
    return charts.draw(
        f"Share of the images below a {name}", lines, x=x, y=Axis(label="share of the images", **charts.SHARE)
    )


def inputs(evidence: Evidence) -> Chart | None:
    """Return the histogram of the numbers that the first kernel is given."""
    assert evidence.record
    of = evidence.record["input"]
    if not of.get("shares") or of["high"] <= of["low"]:
        return losses(evidence)
    edges = np.linspace(of["low"], of["high"], len(of["shares"]) + 1)
    outline = [(float(edge), share) for n, share in enumerate(of["shares"]) for edge in edges[n : n + 2]]
    points = [(of["low"], 0.0), *outline, (of["high"], 0.0)]
    low, high = contracts.DEVIATION
    return charts.draw(
        "What the first kernel is given",
        [Line(name="", style="series-1", points=points)],
        x=Axis(label="number", low=of["low"], high=of["high"]),
        y=charts.around("share of the numbers", of["shares"]),
        note=f"Its deviation is {of['deviation']:.3g}; from {low:g} to {high:g} is usual.",
    )


def border(evidence: Evidence) -> Chart | None:
    """Return by how much each pixel of border and centre tells the classes apart, on train and on test."""
    shown = {name: borders.explained(evidence, name) for name in ("train", "test")}
    if any(square is None for square in shown.values()):
        return None
    return charts.grids(
        "What a pixel alone says of the class",
        {name: square for name, square in shown.items() if square is not None},
        "The share of its variance that lies between the classes, of a copy of 16 x 16 pixels: the darker, the more.",
    )


CHARTS: Mapping[str, Callable[[Evidence], Chart | None]] = {
    "imbalance": recalls,
    "foreign_test": distributions,
    "shortcut": border,
    "scaling": inputs,
    "rate_too_high": steps,
    "rate_too_low": steps,
    **dict.fromkeys(
        (
            *("too_few_epochs", "dropout_too_strong", "penalty_too_strong", "augmentation_too_strong", "overfitting"),
            *(
                "model_too_small",
                "backbone_destroyed",
                "batch_too_small",
                "dead_units",
                "vanishing_gradients",
            ),
            *("stopped", "label_noise"),
        ),
        losses,
    ),
}
