"""Every rule of expectations/ is broken by the smallest manifest that breaks it, and says so."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from sklearn.datasets import load_digits

from assay import files, gate, manifest, params
from assay.errors import GateClosed
from tasks import validate

ROOT = Path(__file__).parents[1]
SUITES = ROOT / "expectations"
CLASSES = ["cat", "dog", "owl"]


def images(label: str | None, **of_split: int) -> pd.DataFrame:
    """Return so many sound images of a class in each split, no two of them alike."""
    splits = [split for split, n in of_split.items() for _ in range(n)]
    names = [f"{label}/{split}{number:03}.png" for number, split in enumerate(splits)]
    table = pd.DataFrame({"path": names, "label": label, "split": splits, "sha256": names, "pixels": names})
    sound = {
        "bytes": 100,
        "decodable": True,
        "reason": "",
        "format": "PNG",
        "width_px": 10,
        "height_px": 10,
        "mode": "L",
    }
    return table.assign(**sound, batch="0.tar", offset=0).reindex(columns=manifest.SCHEMA.names)


def sound(**others: pd.DataFrame) -> pd.DataFrame:
    """Return twenty images of each class, but for the classes given: the least that the suites allow."""
    return pd.concat(
        [others.get(label, images(label, train=9, val=1, test=10)) for label in CLASSES], ignore_index=True
    )


def with_row(**changes: Any) -> pd.DataFrame:
    """Return the sound images and one more in the train split, with these changes."""
    extra = images("cat", train=1).assign(path="cat/new.png", pixels="new").astype(object)
    for column, value in changes.items():
        extra[column] = value
    return pd.concat([sound().astype(object), extra], ignore_index=True)


def checkout(folder: Path, table: pd.DataFrame, without: tuple[str, ...] = ()) -> None:
    """Make a checkout of params.yaml, the suites for our three classes without some rules, and the manifest."""
    shutil.copy(ROOT / "params.yaml", folder)
    (folder / "expectations").mkdir(exist_ok=True)
    for file in SUITES.glob("*.yaml"):
        suite = yaml.safe_load(file.read_text())
        suite["expectations"] = [rule for rule in suite["expectations"] if rule["rule"] not in without]
        for rule in suite["expectations"]:
            if rule.get("column") == "label" and "value_set" in rule:
                rule["value_set"] = CLASSES
        (folder / "expectations" / file.name).write_text(yaml.safe_dump(suite, sort_keys=False))
    manifest.write(folder / "data" / "manifest.parquet", table)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Return a function that validates a manifest in an empty checkout and gives back results.json."""

    def validated(table: pd.DataFrame, without: tuple[str, ...] = ()) -> dict[str, Any]:
        monkeypatch.chdir(tmp_path)
        checkout(tmp_path, table, without)
        validate.main(params.load())
        return dict(files.read_json(Path("reports/validation/results.json")))

    return validated


def failed(results: dict[str, Any]) -> dict[str, list[str]]:
    return {r["rule"]: r["failures"] for r in results["expectations"] if not r["success"]}


def message(results: dict[str, Any], rule: str) -> str:
    return str(next(r["message"] for r in results["expectations"] if r["rule"] == rule))


def copies(**changes: str) -> pd.DataFrame:
    return with_row(pixels="cat/train000.png", **changes)


PAIR = ["cat/new.png", "cat/train000.png"]

# Name of the case: a manifest, every rule that it breaks and the rows named, and the message of the first of them.
CASES: dict[str, tuple[pd.DataFrame, dict[str, list[str]], str]] = {
    "broken file": (
        with_row(decodable=False, reason="truncated", width_px=None, height_px=None, pixels=None, split=None),
        {"decodable": ["cat/new.png"]},
        "decodable: 1 of 61 images: decodable must be True in at least 99% of the images: cat/new.png (truncated)"
        " (expectations/images.yaml: decodable)",
    ),
    "narrow": (
        with_row(width_px=4),
        {"image width": ["cat/new.png"]},
        "image width: 1 of 61 images: width_px must be at least 8 and at most 20,000: cat/new.png (4)"
        " (expectations/images.yaml: image width)",
    ),
    "wide": (
        with_row(width_px=20001),
        {"image width": ["cat/new.png"]},
        "image width: 1 of 61 images: width_px must be at least 8 and at most 20,000: cat/new.png (20,001)"
        " (expectations/images.yaml: image width)",
    ),
    "low": (
        with_row(height_px=7),
        {"image height": ["cat/new.png"]},
        "image height: 1 of 61 images: height_px must be at least 8 and at most 20,000: cat/new.png (7)"
        " (expectations/images.yaml: image height)",
    ),
    "two labels": (
        copies(label="dog"),
        {"one label per picture": PAIR, "duplicates": PAIR},
        "one label per picture: 2 of 61 images: copy_labels must be at most 1: cat/new.png (2), cat/train000.png (2)"
        " (expectations/images.yaml: one label per picture)",
    ),
    "leak": (
        copies(split="test"),
        {"one split per picture": PAIR, "duplicates": PAIR},
        "one split per picture: 2 of 61 images: copy_splits must be at most 1: cat/new.png (2), cat/train000.png (2)"
        " (expectations/images.yaml: one split per picture)",
    ),
    "copy": (
        copies(),
        {"duplicates": PAIR},
        "duplicates: 2 of 61 images: copies must be at most 1: cat/new.png (2), cat/train000.png (2)"
        " (expectations/images.yaml: duplicates)",
    ),
    "shown elsewhere": (
        with_row(split=None, reason="near-duplicate of cat/test000.png, which is in test"),
        {"shown in one split only": ["cat/new.png"]},
        "shown in one split only: 1 of 61 images: reason must be '': cat/new.png"
        " (near-duplicate of cat/test000.png, which is in test) (expectations/images.yaml: shown in one split only)",
    ),
    "no label": (
        with_row(label=None, split=None),
        {"label present": ["cat/new.png"], "known class": ["cat/new.png"]},
        "label present: 1 of 61 images: label must not be null: cat/new.png (missing)"
        " (expectations/labels.yaml: label present)",
    ),
    "new class": (
        sound(owl=pd.concat([images(label, train=9, val=1, test=10) for label in ("owl", "cat ")])),
        {"known class": [f"cat /test{number:03}.png" for number in range(10, 20)]},
        "known class: 20 of 80 images: label must be one of 'cat', 'dog', 'owl': cat /test010.png ('cat '),"
        " cat /test011.png ('cat '), cat /test012.png ('cat '), cat /test013.png ('cat '), cat /test014.png ('cat '),"
        " ... (expectations/labels.yaml: known class)",
    ),
    "lost class": (
        sound(owl=images("owl")),
        {"every known class": ["owl"], "every class in every split": ["train/owl", "val/owl", "test/owl"]},
        "every known class: distinct values of label: 'cat', 'dog', must contain 'cat', 'dog', 'owl': 'owl' (absent)"
        " (expectations/labels.yaml: every known class)",
    ),
    "small class": (
        sound(owl=images("owl", train=8, val=1, test=10)),
        {"images per class": ["owl"]},
        "images per class: 1 of 3 classes: n_images must be at least 20: 'owl' (19)"
        " (expectations/labels.yaml: images per class)",
    ),
    "one class is most": (
        sound(cat=images("cat", train=50, val=5, test=15)),
        {"class balance": ["cat"]},
        "class balance: 'cat' holds 63.64% of 110 images, the limit is 60% (expectations/labels.yaml: class balance)",
    ),
    "rare class": (
        sound(cat=images("cat", train=150, val=20, test=31), dog=images("dog", train=100, val=14, test=20)),
        {"class imbalance": ["owl"]},
        "class imbalance: 1 of 3 classes: imbalance must be at most 10: 'owl' (10.05)"
        " (expectations/labels.yaml: class imbalance)",
    ),
    "class without val": (
        sound(owl=images("owl", train=10, test=10)),
        {"every class in every split": ["val/owl"]},
        "every class in every split: 1 of 9 class splits: n_images must be at least 1: 'val/owl' (0)"
        " (expectations/splits.yaml: every class in every split)",
    ),
    "few to test with": (
        sound(owl=images("owl", train=10, val=1, test=9)),
        {"test images per class": ["owl"]},
        "test images per class: 1 of 3 classes: test must be at least 10: 'owl' (9)"
        " (expectations/splits.yaml: test images per class)",
    ),
}
WARNINGS = {"duplicates", "class imbalance", "shown in one split only"}


@pytest.mark.parametrize("case", CASES)
def test_broken_rule_names_its_rows_and_its_limit(run: Callable[..., dict[str, Any]], case: str) -> None:
    table, broken, said = CASES[case]
    results = run(table)
    assert failed(results) == broken
    assert message(results, next(iter(broken))) == said
    assert results["passed"] == (set(broken) <= WARNINGS)


@pytest.mark.parametrize("case", CASES)
def test_without_its_rules_the_same_manifest_passes(run: Callable[..., dict[str, Any]], case: str) -> None:
    table, broken, _ = CASES[case]
    results = run(table, without=tuple(broken))
    assert failed(results) == {}
    assert results["passed"]


def test_every_rule_has_a_manifest_that_breaks_it() -> None:
    rules = [
        rule["rule"] for file in SUITES.glob("*.yaml") for rule in yaml.safe_load(file.read_text())["expectations"]
    ]
    assert set(rules) - {"images at all"} == {rule for _, broken, _ in CASES.values() for rule in broken}


def test_empty_manifest_fails_every_rule(run: Callable[..., dict[str, Any]]) -> None:
    results = run(sound().iloc[:0])
    assert len(failed(results)) == len(results["expectations"])
    assert message(results, "images at all") == (
        "images at all: there are no images to check (expectations/images.yaml: images at all)"
    )


def test_sound_manifest_passes_with_no_failing_row(run: Callable[..., dict[str, Any]]) -> None:
    results = run(sound())
    assert results["passed"]
    assert (results["n_images"], failed(results)) == (60, {})
    assert [r["message"] for r in results["expectations"] if r["message"]] == []
    assert Path("reports/validation/failures.csv").read_text() == "name,suite,rule,severity,column,value,limit\n"
    assert results["manifest"] == files.sha256(Path("data/manifest.parquet"))
    assert gate.judge(results, results["manifest"]) == {"gate": "open", "manifest": results["manifest"]}


def test_default_suites_pass_on_the_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digits = load_digits()
    table = pd.DataFrame({"label": digits.target.astype(str), "pixels": [each.tobytes().hex() for each in digits.data]})
    order = table.groupby("label").cumcount() / table.groupby("label")["label"].transform("size")
    split = pd.cut(order, [-1, 0.1, 0.3, 1], labels=["val", "test", "train"], right=False).astype(str)
    whole = images("x", train=len(table)).assign(label=table["label"], pixels=table["pixels"], split=split)
    monkeypatch.chdir(tmp_path)
    checkout(tmp_path, whole.assign(width_px=8, height_px=8))
    shutil.copytree(SUITES, "expectations", dirs_exist_ok=True)
    validate.main(params.load())
    results = files.read_json(Path("reports/validation/results.json"))
    assert (results["passed"], results["n_images"], failed(results)) == (True, 1797, {})


def test_one_broken_file_in_a_hundred_is_set_aside_and_listed(
    run: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    table = sound(cat=images("cat", train=49, val=1, test=10))
    table.loc[0, ["decodable", "reason", "split"]] = [False, "truncated", None]
    results = run(table)
    assert results["passed"]
    with Path("reports/validation/failures.csv").open() as listed:
        assert list(csv.DictReader(listed)) == [
            {
                "name": "cat/train000.png",
                "suite": "images",
                "rule": "decodable",
                "severity": "set aside",
                "column": "decodable",
                "value": "truncated",
                "limit": "True in at least 99% of the images",
            }
        ]
    assert "set aside: decodable: 1 of 100 images" in capsys.readouterr().out


def test_metrics_count_by_suite(run: Callable[..., dict[str, Any]]) -> None:
    run(copies(width_px=4, height_px=4))
    found = files.read_json(Path("metrics/gate.json"))["gate"]
    assert found["images"] == {"passed": 0, "n_failed": 3, "n_expectations": 8, "n_failed_rows": 4}
    assert found["labels"] == {"passed": 1, "n_failed": 0, "n_expectations": 6, "n_failed_rows": 0}
    assert (found["splits"]["passed"], found["passed"]) == (1, 0)


def test_warning_leaves_the_gate_open_and_is_told(
    run: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    results = run(copies())
    assert gate.judge(results, results["manifest"])["gate"] == "open"
    assert files.read_json(Path("metrics/gate.json"))["gate"]["images"]["passed"] == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "61 images, 16 expectations, 1 failed: the gate will open"
    assert out[1] == f"warning: {message(results, 'duplicates')}"
    assert out[2] == "report: reports/validation/index.html"


def test_gate_names_every_critical_failure_and_no_warning(run: Callable[..., dict[str, Any]]) -> None:
    results = run(copies(label="dog", width_px=4))
    with pytest.raises(GateClosed) as closed:
        gate.judge(results, results["manifest"])
    assert str(closed.value).splitlines() == [
        "closed by 2 critical expectations",
        message(results, "image width"),
        message(results, "one label per picture"),
    ]


def test_page_needs_no_network_and_shows_names_as_text(run: Callable[..., dict[str, Any]]) -> None:
    run(with_row(path="cat/<b>.png", width_px=4))
    page = Path("reports/validation/index.html").read_text()
    assert "cat/&lt;b&gt;.png" in page
    assert not [mark for mark in ("://", "<script", "<link", "<b>", "@import", "url(") if mark in page]
    assert "<strong>Closed</strong>" in page
    assert page.count("<tr>") == 1 + 16 + 1 + 1 + 1 + 3


def test_page_cuts_the_list_of_rows_and_says_so(run: Callable[..., dict[str, Any]]) -> None:
    run(sound(cat=images("cat", train=205, val=20, test=30)).assign(width_px=4))
    page = Path("reports/validation/index.html").read_text()
    assert "The first 200 of " in page
    assert page.count("<td>image width</td>") == 200
    assert len(Path("reports/validation/failures.csv").read_text().splitlines()) > 290


def test_same_manifest_gives_the_same_bytes_in_another_process(
    run: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """The other process orders its sets in another way, and ends well although the gate will close."""
    run(CASES["lost class"][0])
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
