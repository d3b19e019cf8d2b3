"""Every rule of expectations/ is broken by the smallest manifest that breaks it, and says so."""

import csv
import datetime
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import set_params
from sklearn.datasets import load_digits

from assay import files, findings, gate, ledger, manifest, params, profile, shortcuts, suites
from assay.errors import GateClosed
from tasks import validate

ROOT = Path(__file__).parents[1]
SUITES = ROOT / "expectations"
TODAY = datetime.date(2030, 6, 1)
CLASSES = ("cat", "dog", "owl")
LEAST = {"train": 20, "val": 1, "test": 26}  # images of a class that satisfy every rule
N = len(CLASSES) * sum(LEAST.values())


def images(label: str | None, **of_split: int) -> pd.DataFrame:
    """Return so many sound images of a class in each split, no two of them alike."""
    splits = [split for split, n in of_split.items() for _ in range(n)]
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
    return pd.concat([others.get(label, images(label, **LEAST)) for label in CLASSES], ignore_index=True)


def with_row(**changes: Any) -> pd.DataFrame:
    """Return the sound images and one more in the train split, with these changes."""
    extra = images("cat", train=1).assign(path="cat/new.png", pixels="new").astype(object)
    for column, value in changes.items():
        extra[column] = value
    return pd.concat([sound().astype(object), extra], ignore_index=True)


def with_new(rows: pd.DataFrame, **changes: Any) -> pd.DataFrame:
    """Return the sound images and these, with these changes, in a later batch."""
    names = "new/" + rows["path"]
    new = rows.assign(path=names, sha256=names, pixels=names, batch="0002-b.tar", **changes)
    return pd.concat([sound(), new], ignore_index=True)


def with_borders(label: str) -> pd.DataFrame:
    """Return the sound images, of random pixels but for the border of one class, which is white."""
    random, rows = np.random.default_rng(0), sound()
    pixels = [[random.bytes(60), random.bytes(60)] for _ in range(len(rows))]
    rows[["border", "centre"]] = pd.DataFrame(pixels, index=rows.index)
    rows["border"] = rows["border"].where(rows["label"] != label, b"\xff" * 60)
    return rows


@dataclass(frozen=True, kw_only=True)
class Case:
    table: pd.DataFrame
    broken: dict[str, list[str]]  # rules, and the rows that each names
    said: str  # the message of the first of them
    pairs: tuple[tuple[str, str, float], ...] = ()
    classes: tuple[str, ...] = CLASSES
    approved: pd.DataFrame | None = None


def checkout(folder: Path, case: Case, without: tuple[str, ...] = (), max_quarantined_share: float = 0) -> None:
    """Make a checkout of params.yaml, the suites for the case's classes without some rules, and the manifest."""
    shutil.copy(ROOT / "params.yaml", folder)
    set_params(folder, gate={"max_quarantined_share": max_quarantined_share})
    (folder / "expectations").mkdir(exist_ok=True)
    for file in SUITES.glob("*.yaml"):
        suite = yaml.safe_load(file.read_text())
        suite["expectations"] = [rule for rule in suite["expectations"] if rule["rule"] not in without]
        for rule in suite["expectations"]:
            if rule.get("column") == "label" and "value_set" in rule:
                rule["value_set"] = list(case.classes)
        (folder / "expectations" / file.name).write_text(yaml.safe_dump(suite, sort_keys=False))
    manifest.write(folder / "data" / "manifest.parquet", case.table)
    pairs = pd.DataFrame(case.pairs, columns=["path", "partner", "distance"])
    manifest.write_pairs(folder / "data" / "pairs.parquet", pairs.astype({"distance": float}))
    every = pd.concat([case.table, *([] if case.approved is None else [case.approved])]).dropna(subset="sha256")
    known = every[["sha256", "group", "split", "batch"]].drop_duplicates("sha256").fillna("")
    number = known["batch"].str.split("-").str[0].astype(int)
    ledger.write(folder / "data" / "ledger.csv", known.assign(batch=number))
    profile.write(folder / "data" / "approved.json", None if case.approved is None else as_approved(case.approved))


def as_approved(rows: pd.DataFrame) -> profile.Profile:
    pixels = np.stack(
        [np.stack([np.frombuffer(b or bytes(60), np.uint8) for b in rows[c]]) for c in manifest.PIXELS], 1
    )
    found = shortcuts.tables(None, rows, pixels, "single_label")
    return profile.build(rows, "single_label", found["shortcuts"], found["borders"])


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that validates a case, or a manifest, in a checkout and gives back results.json."""

    def validated(case: Case | pd.DataFrame, **options: Any) -> dict[str, Any]:
        monkeypatch.chdir(tmp_path)
        checkout(tmp_path, case if isinstance(case, Case) else Case(table=case, broken={}, said=""), **options)
        validate.main(params.load())
        return dict(files.read_json(Path("reports/validation/results.json")))

    return validated


def failed(results: dict[str, Any]) -> dict[str, list[str]]:
    return {r["expectation"]: r["failures"] for r in results["expectations"] if not r["success"]}


def message(results: dict[str, Any], rule: str) -> str:
    return str(next(r["message"] for r in results["expectations"] if r["expectation"] == rule))


def failing_rows() -> list[dict[str, str]]:
    with Path("reports/validation/failures.csv").open() as listed:
        return list(csv.DictReader(listed))


def copies(**changes: str) -> pd.DataFrame:
    return with_row(pixels="cat/train000.png", **changes)


PAIR = ["cat/new.png", "cat/train000.png"]
NEAR = (("cat/new.png", "cat/train000.png", 0.01),)
SIZE = "at least 8 and at most 20,000"

CASES = {
    "forgotten file": Case(
        table=with_row(label=None, split=None, sha256=None, decodable=False, pixels=None, reason=manifest.UNLISTED),
        broken={"row for every file": ["cat/new.png"]},
        said=f"row for every file: 1 of {N + 1} images: listed must be True: cat/new.png"
        " (cannot be read: no row of the table lists it) (expectations/images.yaml: row for every file)",
    ),
    "missing file": Case(
        table=with_row(split=None, sha256=None, decodable=False, pixels=None, reason="cannot be read: No such file"),
        broken={"file for every row": ["cat/new.png"]},
        said=f"file for every row: 1 of {N + 1} images: has_file must be True: cat/new.png"
        " (cannot be read: No such file) (expectations/images.yaml: file for every row)",
    ),
    "broken file": Case(
        table=with_row(decodable=False, reason="truncated", width_px=None, height_px=None, pixels=None, split=None),
        broken={"decodable": ["cat/new.png"]},
        said=f"decodable: 1 of {N + 1} images: decodable must be True: cat/new.png (truncated)"
        " (expectations/images.yaml: decodable)",
    ),
    "wrong suffix": Case(
        table=with_row(named_format="JPEG"),
        broken={"named as what it is": ["cat/new.png"]},
        said=f"named as what it is: 1 of {N + 1} images: named_format and format must be equal: cat/new.png"
        " ('JPEG', 'PNG') (expectations/images.yaml: named as what it is)",
    ),
    "narrow": Case(
        table=with_row(width_px=7),
        broken={"image width": ["cat/new.png"]},
        said=f"image width: 1 of {N + 1} images: width_px must be {SIZE}: cat/new.png (7)"
        " (expectations/images.yaml: image width)",
    ),
    "wide": Case(
        table=with_row(width_px=20001),
        broken={rule: ["cat/new.png"] for rule in ("image width", "usual aspect", "usual size")},
        said=f"image width: 1 of {N + 1} images: width_px must be {SIZE}: cat/new.png (20,001)"
        " (expectations/images.yaml: image width)",
    ),
    "low": Case(
        table=with_row(height_px=7),
        broken={"image height": ["cat/new.png"]},
        said=f"image height: 1 of {N + 1} images: height_px must be {SIZE}: cat/new.png (7)"
        " (expectations/images.yaml: image height)",
    ),
    "constant": Case(
        table=with_row(contrast=0.9),
        broken={"not constant": ["cat/new.png"]},
        said=f"not constant: 1 of {N + 1} images: contrast must be at least 1: cat/new.png (0.9)"
        " (expectations/images.yaml: not constant)",
    ),
    "[0, 1] as 8 bits": Case(
        table=with_row(maximum=1),
        broken={"full range": ["cat/new.png"]},
        said=f"full range: 1 of {N + 1} images: maximum must be at least 2: cat/new.png (1)"
        " (expectations/images.yaml: full range)",
    ),
    "two labels": Case(
        table=copies(label="dog"),
        broken={"one label per picture": PAIR, "duplicates": PAIR},
        said=f"one label per picture: 2 of {N + 1} images: label must be the same for equal pixels: cat/new.png"
        " ('dog'; like cat/train000.png), cat/train000.png ('cat'; like cat/new.png)"
        " (expectations/images.yaml: one label per picture)",
    ),
    "leak": Case(
        table=copies(split="test"),
        broken={"one split per picture": PAIR, "duplicates": PAIR},
        said=f"one split per picture: 2 of {N + 1} images: split must be the same for equal pixels: cat/new.png"
        " ('test'; like cat/train000.png), cat/train000.png ('train'; like cat/new.png)"
        " (expectations/images.yaml: one split per picture)",
    ),
    "group in two splits": Case(
        table=pd.concat([sound(), images("cat", val=1, test=1).assign(group="film 7")], ignore_index=True).assign(
            path=[*sound()["path"], "cat/a.png", "cat/b.png"],
            pixels=[*sound()["path"], "a", "b"],
        ),
        broken={"one split per group": ["cat/a.png", "cat/b.png"]},
        said=f"one split per group: 2 of {N + 2} images: split must be the same for equal group: cat/a.png"
        " ('val'; like cat/b.png), cat/b.png ('test'; like cat/a.png)"
        " (expectations/images.yaml: one split per group)",
    ),
    "copy": Case(
        table=copies(),
        broken={"duplicates": PAIR},
        said=f"duplicates: 2 of {N + 1} images: pixels must be unique: cat/new.png (like cat/train000.png),"
        " cat/train000.png (like cat/new.png) (expectations/images.yaml: duplicates)",
    ),
    "near-duplicate": Case(
        table=with_row(),
        pairs=NEAR,
        broken={"near-duplicates": ["cat/new.png"]},
        said="near-duplicates: 1 of 1 pairs: in_one_split must be False: cat/new.png (True; like cat/train000.png)"
        " (expectations/images.yaml: near-duplicates)",
    ),
    "near-duplicate across splits": Case(
        table=with_row(split="val"),
        pairs=NEAR,
        broken={"near-duplicates across splits": ["cat/new.png"]},
        said="near-duplicates across splits: 1 of 1 pairs: across_splits must be False: cat/new.png"
        " (True; like cat/train000.png) (expectations/images.yaml: near-duplicates across splits)",
    ),
    "near-duplicate of another label": Case(
        table=with_row(label="dog", split=None),
        pairs=NEAR,
        broken={"near-duplicates of one label": ["cat/new.png"]},
        said="near-duplicates of one label: 1 of 1 pairs: same_label must be True: cat/new.png"
        " (False; like cat/train000.png) (expectations/images.yaml: near-duplicates of one label)",
    ),
    "shown elsewhere": Case(
        table=with_row(split=None, reason="near-duplicate of cat/test000.png, which is in test"),
        broken={"shown in one split only": ["cat/new.png"]},
        said=f"shown in one split only: 1 of {N + 1} images: reason must be '': cat/new.png"
        " ('near-duplicate of cat/test000.png, which is in test') (expectations/images.yaml: shown in one split only)",
    ),
    "turned by its tag": Case(
        table=with_row(orientation=6),
        broken={"stored upright": ["cat/new.png"]},
        said=f"stored upright: 1 of {N + 1} images: orientation must be 1: cat/new.png (6)"
        " (expectations/images.yaml: stored upright)",
    ),
    "cut and decoded all the same": Case(
        table=with_row(flat_share=0.25),
        broken={"whole picture": ["cat/new.png"]},
        said=f"whole picture: 1 of {N + 1} images: partial must be at most 5: cat/new.png (12.5)"
        " (expectations/images.yaml: whole picture)",
    ),
    **{
        rule: Case(
            table=with_row(**changes),
            broken={rule: ["cat/new.png"]},
            said=f"{rule}: 1 of {N + 1} images: {column} must be at most {limit}: cat/new.png (",
        )
        for rule, column, limit, changes in [
            ("not dark", "dark", 6, {"p99": 100, "p1": 0}),
            ("not bright", "bright", 4, {"p50": 200, "brightness": 200.0}),
            ("not washed out", "washed_out", 4.5, {"p1": 150}),
            ("not empty", "low_entropy", 5.5, {"entropy": 3.0}),
            ("not blurred", "blurred", 4, {"sharpness": 5.0}),
            ("not noisy", "noisy", 4.5, {"noise": 30.0}),
            ("not blocky", "blocky", 5, {"blockiness": 3.0}),
            ("usual aspect", "odd_aspect", 5, {"width_px": 25, "height_px": 8}),
            ("usual size", "odd_size", 5, {"width_px": 40, "height_px": 40}),
        ]
    },
    "never approved": Case(
        table=with_row(mode="RGBA"),
        approved=sound(),
        broken={"kinds of image as approved": ["cat/new.png"]},
        said=f"kinds of image as approved: 1 of {N + 1} images: unapproved must be '': cat/new.png"
        " ('mode RGBA, approved: L') (expectations/drift.yaml: kinds of image as approved)",
    ),
    "red and blue swapped": Case(
        table=with_new(sound(), red=50.0, blue=150.0).assign(
            red=lambda rows: rows["red"].where(rows["batch"] != "0001-a.tar", 150.0),
            blue=lambda rows: rows["blue"].where(rows["batch"] != "0001-a.tar", 50.0),
        ),
        approved=sound().assign(red=150.0, blue=50.0),
        broken={
            "channels as approved": ["red and blue"],
            "pixels as approved": ["red_blue", "red_green", "blue_green"],
        },
        said="channels as approved: 1 of 1 orders of channels: excess must be at most 1: 'red and blue' (10)"
        " (expectations/drift.yaml: channels as approved)",
    ),
    "test image gone": Case(
        table=sound(),
        approved=with_row(split="test", sha256="abc"),
        broken={"test set as approved": ["abc"]},
        said="test set as approved: 1 of 1 test images: gone must be False: 'abc' (True)"
        " (expectations/drift.yaml: test set as approved)",
    ),
    "darker": Case(
        table=with_new(sound(), brightness=90.0),
        approved=sound(),
        broken={"pixels as approved": ["brightness"]},
        said="pixels as approved: 1 of 20 properties of pixels: excess must be at most 1: 'brightness' (10)"
        " (expectations/drift.yaml: pixels as approved)",
    ),
    "all of one class": Case(
        table=with_new(images("cat", **LEAST)),
        approved=sound(),
        broken={"class shares as approved": ["cat"]},
        said="class shares as approved: 1 of 1 shares of a class: excess must be at most 1: 'cat' (",
    ),
    "larger files": Case(
        table=with_new(sound(), bytes=900),
        approved=sound(),
        broken={"files as approved": ["bytes"]},
        said="files as approved: 1 of 2 properties of files: excess must be at most 1: 'bytes' (10)"
        " (expectations/drift.yaml: files as approved)",
    ),
    "one class is darker": Case(
        table=sound(owl=images("owl", **LEAST).assign(brightness=90.0)),
        broken={"no property gives a class away": ["brightness/owl"]},
        said="no property gives a class away: 1 of 63 properties of a class: unapproved must be at most 0.98:"
        " 'brightness/owl' (1) (expectations/shortcuts.yaml: no property gives a class away)",
    ),
    "one class became darker": Case(
        table=sound(owl=images("owl", **LEAST).assign(brightness=90.0)),
        approved=sound(),
        broken={"no property gives a class away more than approved": ["brightness/owl"]},
        said="no property gives a class away more than approved: 1 of 63 properties of a class: gain must be at most"
        " 0.1: 'brightness/owl' (0.5) (expectations/shortcuts.yaml: no property gives a class away more than approved)",
    ),
    "white frame": Case(
        table=with_borders("owl"),
        broken={"border tells no more than centre": ["cat", "dog", "owl"]},
        said="border tells no more than centre: 3 of 3 classes: lead must be at most 0.15: 'cat' (",
    ),
    "one class from elsewhere": Case(
        table=sound(owl=images("owl", **LEAST).assign(camera="X100")),
        broken={"files alike in all classes": ["camera"]},
        said="files alike in all classes: 1 of 3 facts about files: v must be at most 0.3: 'camera' (0.9964)"
        " (expectations/shortcuts.yaml: files alike in all classes)",
    ),
    "no label": Case(
        table=with_row(label=None, split=None),
        broken={"label present": ["cat/new.png"]},
        said=f"label present: 1 of {N + 1} labels: label must not be null: cat/new.png (missing)"
        " (expectations/labels.yaml: label present)",
    ),
    "new class": Case(
        table=pd.concat([sound(), images("zebra", **LEAST)], ignore_index=True),
        broken={"known class": [f"zebra/test{number:03}.png" for number in range(21, 31)]},
        said=f"known class: 47 of {N + 47} labels: label must be one of 'cat', 'dog', 'owl': zebra/test021.png"
        " ('zebra'), zebra/test022.png ('zebra')",
    ),
    "misspelt class": Case(
        table=with_row(label="dogg"),
        broken={"known class": ["cat/new.png"]},
        said=f"known class: 1 of {N + 1} labels: label must be one of 'cat', 'dog', 'owl': cat/new.png"
        " ('dogg', did you mean 'dog'?) (expectations/labels.yaml: known class)",
    ),
    "class with a blank": Case(
        table=with_row(label="Owl "),
        broken={"known class": ["cat/new.png"], "one spelling": ["cat/new.png"]},
        said=f"known class: 1 of {N + 1} labels: label must be one of 'cat', 'dog', 'owl': cat/new.png"
        " ('Owl ', did you mean 'owl'?) (expectations/labels.yaml: known class)",
    ),
    "class spelt twice": Case(
        table=pd.concat([sound(), images("Cat", **LEAST), images("cat", train=1).assign(path="cat/x", pixels="x")]),
        classes=(*CLASSES, "Cat"),
        broken={"one spelling": [f"Cat/test{number:03}.png" for number in range(21, 31)]},
        said=f"one spelling: {sum(LEAST.values())} of {N + 48} labels: label must be spelt in one way, case and white"
        " space included: Cat/test021.png ('Cat', did you mean 'cat'?)",
    ),
    "lost class": Case(
        table=sound(owl=images("owl")),
        broken={"every known class": ["owl"], "every class in every split": ["train/owl", "val/owl", "test/owl"]},
        said="every known class: distinct values of label: 'cat', 'dog', must contain 'cat', 'dog', 'owl': 'owl'"
        " (absent) (expectations/labels.yaml: every known class)",
    ),
    "small class": Case(
        table=sound(owl=images("owl", train=19, val=1, test=26)),
        broken={"training images per class": ["owl"]},
        said="training images per class: 1 of 3 classes: train must be at least 20: 'owl' (19)"
        " (expectations/labels.yaml: training images per class)",
    ),
    "one class is most": Case(
        table=sound(cat=images("cat", train=150, val=5, test=30)),
        broken={"class balance": ["cat"]},
        said="class balance: 'cat' holds 66.31% of 279 images, the limit is 60%"
        " (expectations/labels.yaml: class balance)",
    ),
    "rare class": Case(
        table=sound(cat=images("cat", train=400, val=20, test=60), dog=images("dog", train=300, val=20, test=60)),
        broken={"class imbalance": ["owl"]},
        said="class imbalance: 1 of 3 classes: imbalance must be at most 10: 'owl' (10.2128)"
        " (expectations/labels.yaml: class imbalance)",
    ),
    "class without val": Case(
        table=sound(owl=images("owl", train=20, test=26)),
        broken={"every class in every split": ["val/owl"]},
        said="every class in every split: 1 of 9 class splits: n_images must be at least 1: 'val/owl' (0)"
        " (expectations/splits.yaml: every class in every split)",
    ),
    "few to test with": Case(
        table=sound(owl=images("owl", train=20, val=1, test=9)),
        broken={"test images per class": ["owl"], "test images enough": ["owl"]},
        said="test images per class: 1 of 3 classes: test must be at least 10: 'owl' (9)"
        " (expectations/splits.yaml: test images per class)",
    ),
    "too few for the margin": Case(
        table=sound(owl=images("owl", train=20, val=1, test=25)),
        broken={"test images enough": ["owl"]},
        said="test images enough: 1 of 3 classes: test must be enough images to know a recall of 0.9 to within 0.12"
        " (0.95 confidence): 'owl' (25) (expectations/splits.yaml: test images enough)",
    ),
}
SHIPPED = {
    rule["rule"]: rule
    for file in sorted(SUITES.glob("*.yaml"))
    if file.stem != "records"  # tests/test_verify.py breaks those
    for rule in yaml.safe_load(file.read_text())["expectations"]
}
WARNINGS = {name for name, rule in SHIPPED.items() if rule["severity"] != "critical"}


@pytest.mark.parametrize("case", CASES)
def test_broken_rule_names_its_rows_and_its_limit(run: Run, case: str) -> None:
    results = run(CASES[case])
    assert failed(results) == CASES[case].broken
    assert message(results, next(iter(CASES[case].broken))).startswith(CASES[case].said)
    assert results["passed"] == (set(CASES[case].broken) <= WARNINGS)


@pytest.mark.parametrize("rule", [name for name in SHIPPED if name != "images at all"])
def test_without_a_rule_what_breaks_it_passes(run: Run, rule: str) -> None:
    """The mutation test of the suites: the case that breaks the fewest other rules is caught by this one."""
    cases = [case for case in CASES.values() if rule in case.broken]
    assert cases, f"{rule}: no case of CASES breaks it"
    fewest = min(cases, key=lambda case: len(case.broken))
    others = {name: rows for name, rows in fewest.broken.items() if name != rule}
    left = failed(run(fewest, without=(rule,)))
    if rule == "label present":  # then missing labels break every other rule on labels
        assert set(left) == {"known class", "one spelling"}
        return
    assert left == others
    # Without its images a class is absent in every split too.
    assert set(others) <= WARNINGS or rule == "every known class"


def test_empty_manifest_fails_every_rule_but_those_on_pairs_and_on_what_is_new(run: Run) -> None:
    results = run(sound().iloc[:0])
    of_empty = {r["expectation"] for r in results["expectations"] if suites.TABLES[r["table"]].empty}
    assert set(failed(results)) == set(SHIPPED) - of_empty
    assert {r["severity"] for r in results["expectations"] if not r["success"]} == {"critical"}
    said = {r["observed"] for r in results["expectations"] if r["expectation"] in of_empty}
    assert said == {"no near-duplicates", suites.NOTHING_NEW, suites.TABLES["test_set"].empty}
    assert message(results, "images at all") == (
        "images at all: there are no images to check (expectations/images.yaml: images at all)"
    )


def test_sound_manifest_passes_with_no_failing_row(run: Run) -> None:
    results = run(sound())
    assert results["passed"]
    assert (results["n_images"], failed(results)) == (N, {})
    assert [r["message"] for r in results["expectations"] if r["message"]] == []
    header = "path,suite,expectation,severity,status,column,value,limit,partner\n"
    assert Path("reports/validation/failures.csv").read_text() == header
    assert results["manifest"] == files.sha256(Path("data/manifest.parquet"))
    assert judged(results) == {"gate": "open", "manifest": results["manifest"], "set_aside": []}


def judged(results: dict[str, Any]) -> dict[str, Any]:
    return gate.judge(results, results["manifest"], TODAY)


def test_default_suites_pass_on_the_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digits = load_digits()
    table = pd.DataFrame({"label": digits.target.astype(str), "pixels": [each.tobytes().hex() for each in digits.data]})
    order = table.groupby("label").cumcount() / table.groupby("label")["label"].transform("size")
    split = pd.cut(order, [-1, 0.1, 0.3, 1], labels=["val", "test", "train"], right=False).astype(str)
    whole = images("x", train=len(table)).assign(label=table["label"], pixels=table["pixels"], split=split)
    monkeypatch.chdir(tmp_path)
    checkout(tmp_path, Case(table=whole.assign(width_px=8, height_px=8), broken={}, said=""))
    shutil.copytree(SUITES, "expectations", dirs_exist_ok=True)
    validate.main(params.load())
    results = files.read_json(Path("reports/validation/results.json"))
    assert (results["passed"], results["n_images"], failed(results)) == (True, 1797, {})


def broken_row(**changes: Any) -> pd.DataFrame:
    return with_row(decodable=False, reason="truncated", split=None, **changes)


def test_few_bad_images_are_set_aside_and_listed_and_the_gate_opens(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    results = run(broken_row(), max_quarantined_share=1 / (N + 1))
    assert (results["passed"], failed(results)) == (True, {})
    assert results["quarantine"] == {"limit": 1 / (N + 1), "share": 1 / (N + 1), "n_images": 1, "paths": []}
    assert failing_rows() == [
        {
            "path": "cat/new.png",
            "suite": "images",
            "expectation": "decodable",
            "severity": "critical",
            "status": "set aside",
            "column": "decodable",
            "value": "truncated",
            "limit": "True",
            "partner": "",
        }
    ]
    assert f"set aside: decodable: 1 of {N + 1} images" in capsys.readouterr().out
    assert gate.set_aside(results).startswith(f"1 image is set aside, at most {100 / (N + 1):.4g}% may be (params.yaml")
    assert "cat/new.png (truncated)" in gate.set_aside(results)


def test_one_image_above_the_budget_closes_the_gate_and_says_so(run: Run) -> None:
    results = run(broken_row(), max_quarantined_share=1 / (N + 2))
    assert list(failed(results)) == ["decodable"]
    with pytest.raises(GateClosed) as closed:
        judged(results)
    assert str(closed.value).splitlines()[2] == (
        f"quarantine: 1 of {N + 1} images ({100 / (N + 1):.4g}%) would have to be set aside, at most"
        f" {100 / (N + 2):.4g}% may be (params.yaml: gate.max_quarantined_share)"
    )


def test_what_is_set_aside_counts_nowhere_else(run: Run) -> None:
    """Nineteen training images are left of the twenty, and no copy is left of the pair."""
    bad = sound().assign(width_px=[4, *[10] * (N - 1)])
    bad.loc[0, "pixels"] = bad.loc[1, "pixels"]
    results = run(bad, max_quarantined_share=0.01)
    assert failed(results) == {"training images per class": ["cat"]}
    assert results["quarantine"]["paths"] == ["cat/train000.png"]
    results = run(with_row(width_px=4, label="zebra"), max_quarantined_share=0.01)
    assert judged(results)["set_aside"] == ["cat/new.png"]
    assert [(row["expectation"], row["status"]) for row in failing_rows()] == [
        ("image width", "set aside"),
        ("known class", "set aside"),
    ]


def test_rule_on_two_images_sets_none_aside(run: Run) -> None:
    results = run(copies(label="dog"), max_quarantined_share=1)
    assert list(failed(results)) == ["one label per picture", "duplicates"]
    assert results["quarantine"]["n_images"] == 0


def test_path_that_is_listed_twice_is_set_aside_once(run: Run) -> None:
    results = run(broken_row(path="cat/train000.png", sha256=None), max_quarantined_share=0.01)
    assert (results["passed"], results["quarantine"]["n_images"], judged(results)["set_aside"]) == (True, 1, [])


def test_metrics_count_by_suite(run: Run) -> None:
    run(copies(width_px=7, height_px=7))
    found = files.read_json(Path("metrics/gate.json"))["gate"]
    n = len(yaml.safe_load((SUITES / "images.yaml").read_text())["expectations"])
    assert found["images"] == {"passed": 0, "n_failed": 3, "n_expectations": n, "n_failed_rows": 4}
    assert (found["labels"]["passed"], found["labels"]["n_failed"]) == (1, 0)
    assert (found["splits"]["passed"], found["n_quarantined"], found["passed"]) == (1, 1, 0)


def test_warning_leaves_the_gate_open_and_is_told(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    results = run(copies())
    assert judged(results)["gate"] == "open"
    assert files.read_json(Path("metrics/gate.json"))["gate"]["images"]["passed"] == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{N + 1} images, {len(SHIPPED)} expectations, 1 failed: the gate will open"
    assert out[1] == f"warning: {message(results, 'duplicates')}"
    assert out[2] == "report: reports/validation/index.html"


def test_gate_names_every_critical_failure_and_no_warning(run: Run) -> None:
    results = run(copies(label="dog", width_px=4))
    with pytest.raises(GateClosed) as closed:
        judged(results)
    assert str(closed.value).splitlines()[:3] == [
        "closed by 2 critical expectations",
        message(results, "image width"),
        message(results, "one label per picture"),
    ]


def test_page_needs_no_network_and_shows_names_as_text(run: Run) -> None:
    results = run(with_row(path="cat/<b>.png", width_px=4))
    page = Path("reports/validation/index.html").read_text()
    assert "cat/&lt;b&gt;.png" in page
    assert not [mark for mark in ("://", "<script", "<link", "<b>", "@import", "url(") if mark in page]
    assert "<strong>Closed</strong>" in page
    assert page.count('<td class="word good">holds</td>') == len(SHIPPED) - len(failed(results))
    assert list(failed(results)) == ["image width", "usual aspect"]


def test_page_cuts_pictures_and_rows_and_says_so(run: Run) -> None:
    run(sound(cat=images("cat", train=205, val=20, test=30)).assign(width_px=4))
    page = Path("reports/validation/index.html").read_text()
    assert "The first 100 of 349 rows" in page
    assert page.count("not shown here") == findings.SHOWN  # there is no batch
    assert len(Path("reports/validation/failures.csv").read_text().splitlines()) > 290


def test_page_of_sound_images_shows_no_findings(run: Run) -> None:
    run(sound())
    page = Path("reports/validation/index.html").read_text()
    assert "<strong>Passed</strong>" in page
    assert "What was found" not in page
    assert "No data is approved yet" not in page  # nor any curve: these images measure nothing


def test_same_manifest_gives_the_same_bytes_in_another_process(run: Run, tmp_path: Path) -> None:
    """The other process orders its sets in another way, and ends well although the gate will close."""
    run(CASES["lost class"])
    made = sorted(
        file for folder in ("reports", "metrics") for file in (tmp_path / folder).rglob("*") if file.is_file()
    )
    assert [file.name for file in made] == ["gate.json", "failures.csv", "index.html", "results.json"]
    before = [file.read_bytes() for file in made]
    for file in made:
        file.unlink()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "1"}
    stage = subprocess.run([sys.executable, "-m", "tasks.validate"], env=environment, capture_output=True, text=True)
    assert (stage.returncode, stage.stderr) == (0, "")
    assert [file.read_bytes() for file in made] == before
    assert not json.loads(before[3])["passed"]
