"""Made manifests: sound ones, and what is changed in them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from assay.dataset import manifest, splits
from assay.labels import Task
from assay.validation.profile import approved, shortcuts

CLASSES = ("cat", "dog", "owl")
LEAST = {"train": 20, "val": 1, "test": 26}  # images of a class that satisfy every rule
N = len(CLASSES) * sum(LEAST.values())
MOSTLY = " in at least 99.5% of the images"


def images(label: str | None, **of_split: int) -> pd.DataFrame:
    """Return so many sound images of a class in each split, no two of them alike."""
    return _images(label, tuple(of_split.items())).copy()


@cache  # each case is made of these, and a worker that runs one has all
def _images(label: str | None, of_split: tuple[tuple[str, int], ...]) -> pd.DataFrame:
    splits = [split for split, n in of_split for _ in range(n)]
    names = [f"{label}/{split}{number:03}.png" for number, split in enumerate(splits)]
    table = pd.DataFrame({"path": names, "label": label, "split": splits, "sha256": names, "pixels": names})
    sound = {
        "group": "",
        "bytes": 100,
        "decodable": True,
        "reason": "",
        "named_format": "PNG",
        "format": "PNG",
        "width_px": 10,
        "height_px": 10,
        "mode": "L",
        "orientation": 1,
        "channels": 1,
        "bit_depth": 8,
        "brightness": 100.0,
        "contrast": 50.0,
        "entropy": 7.0,
        "black_share": 0.0,
        "white_share": 0.0,
        "sharpness": 20.0,
        "saturation": 0.0,
        "clipped_share": 0.0,
        "p1": 60,
        "p5": 70,
        "p50": 100,
        "p95": 180,
        "p99": 190,
        "minimum": 0,
        "maximum": 255,
        "red": 100.0,
        "green": 100.0,
        "blue": 100.0,
        "noise": 3.0,
        "comb": 0.1,
        "blockiness": 1.0,
        "flat_share": 0.0,
        "border": bytes(60),
        "centre": bytes(60),
    }
    return table.assign(**sound, batch="0001-a.tar", offset=0).reindex(columns=manifest.SCHEMA.names)


def sound(**others: pd.DataFrame) -> pd.DataFrame:
    """Return the least of each class that the suites allow, but for the classes given."""
    if not others:
        return _sound().copy()
    return pd.concat([others.get(label, images(label, **LEAST)) for label in CLASSES], ignore_index=True)


@cache
def _sound() -> pd.DataFrame:
    return pd.concat([images(label, **LEAST) for label in CLASSES], ignore_index=True)


def with_row(**changes: Any) -> pd.DataFrame:
    """Return the sound images and one more in the train split, with these changes."""
    table = _with_one_more().copy()
    for column, value in changes.items():
        table.loc[N, column] = value
    return table


@cache
def _with_one_more() -> pd.DataFrame:
    extra = images("cat", train=1).assign(path="cat/new.png", pixels="new", sha256="new")
    return pd.concat([sound().astype(object), extra.astype(object)], ignore_index=True)


def with_new(rows: pd.DataFrame, **changes: Any) -> pd.DataFrame:
    """Return the sound images and these, with these changes, in a later batch."""
    names = "new/" + rows["path"]
    new = rows.assign(path=names, sha256=names, pixels=names, batch="0002-b.tar", **changes)
    return pd.concat([sound(), new], ignore_index=True)


def with_borders(label: str, border: Callable[[bytes], bytes]) -> pd.DataFrame:
    """Return the sound images, of random pixels but for the border of one class, which is changed."""
    random, rows = np.random.default_rng(0), sound()
    pixels = [[random.bytes(60), random.bytes(60)] for _ in range(len(rows))]
    rows[["border", "centre"]] = pd.DataFrame(pixels, index=rows.index)
    rows["border"] = rows["border"].where(rows["label"] != label, rows["border"].map(border))
    return rows


@dataclass(frozen=True, kw_only=True)
class Case:
    table: pd.DataFrame
    broken: dict[str, list[str]]  # rules, and the rows that each names
    said: str  # the message of the first of them
    pairs: tuple[tuple[str, str, float], ...] = ()
    classes: tuple[str, ...] = CLASSES
    approved: pd.DataFrame | None = None
    task: Task = "single_label"


def write_data(folder: Path, case: Case) -> None:
    """Write what `ingest` and `assay approve` would leave in the folder's data/."""
    manifest.write(folder / "data" / "manifest.parquet", case.table)
    pairs = pd.DataFrame(case.pairs, columns=["path", "partner", "distance"]).assign(one_group=False, turned="")
    manifest.write_pairs(folder / "data" / "pairs.parquet", pairs.astype({"distance": float}))
    every = pd.concat([case.table, *([] if case.approved is None else [case.approved])]).dropna(subset="sha256")
    known = every[["sha256", "group", "split", "batch"]].drop_duplicates("sha256").fillna("")
    number = known["batch"].str.split("-").str[0].astype(int)
    splits.write(folder / "data" / "ledger.csv", known.assign(batch=number))
    approved.write(folder / "data" / "approved.json", None if case.approved is None else as_approved(case.approved))


def as_approved(rows: pd.DataFrame) -> approved.Profile:
    pixels = np.stack(
        [np.stack([np.frombuffer(b or bytes(60), np.uint8) for b in rows[c]]) for c in manifest.PIXELS], 1
    )
    found = shortcuts.tables(None, rows, pixels, "single_label")
    return approved.build(rows, "single_label", found["shortcuts"], found["borders"])


def copies(**changes: str) -> pd.DataFrame:
    return with_row(pixels="cat/train000.png", **changes)


PAIR = ["cat/new.png", "cat/train000.png"]
NEAR = (("cat/new.png", "cat/train000.png", 0.01),)
