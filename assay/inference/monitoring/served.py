"""Are the answers that `assay serve` gave like those on the test images? By its log alone: no image is kept."""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from assay.errors import AssayError
from assay.inference.monitoring import survey
from assay.inference.monitoring.survey import Comparison
from assay.versions.champion import Champion

COLUMNS = ("version", "sha256", "predicted", "probability", "ordinary")


@dataclass(frozen=True, kw_only=True)
class Served:
    n_images: int
    n_of_others: int  # answered by other versions: not compared
    unlike: float  # share that was called unlike the train images
    compared: tuple[Comparison, ...]  # empty: too few images


def read(folder: Path, days: int) -> pd.DataFrame:
    """Return the answers of the last so many days with any, columns as in `COLUMNS`; an image that came twice is one.

    A line that a kill cut off is left out.
    """
    lines = [line for file in sorted(folder.glob("*.jsonl"))[-days:] for line in file.read_text().splitlines()]
    found = pd.DataFrame([each for line in lines if (each := _parsed(line))], columns=list(COLUMNS))
    return found.drop_duplicates(["version", "sha256"], keep="last", ignore_index=True)


def _parsed(line: str) -> dict[str, object] | None:
    try:
        found = json.loads(line)
        return {name: found[name] for name in COLUMNS}
    except (ValueError, KeyError, TypeError):
        return None


def compare(answered: pd.DataFrame, best: Champion | None) -> Served:
    """Return how the answers of the champion are beside those on its test images; raises `AssayError` without one."""
    if best is None:
        raise AssayError("monitor: no model is the champion, whose answers are known (`assay release`)")
    own = answered[answered["version"] == best.version].reset_index(drop=True).assign(group="")
    compared: list[Comparison] = []
    if len(own) >= survey.FEWEST:
        compared = survey.predictions(survey.seen(best.test, best.task), own)
    return Served(
        n_images=len(own),
        n_of_others=len(answered) - len(own),
        unlike=float((own["ordinary"] == False).mean()) if len(own) else 0.0,  # noqa: E712  (None: it was not told)
        compared=tuple(compared),
    )
