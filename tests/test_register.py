"""`register` on what `evaluate` left of a small single-label and a small multi-label set."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from test_evaluate import P, evaluated, evaluated_sets  # noqa: F401  (fixtures)

from assay import files, records
from tasks import register


@pytest.fixture(params=["single_label", "multi_label"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = request.getfixturevalue("evaluated" if request.param == "single_label" else "evaluated_sets")
    shutil.copytree(made, tmp_path / "checkout")
    monkeypatch.chdir(tmp_path / "checkout")
    split = {"train": 9, "val": 3, "test": 15}
    files.write_json(P.paths.metrics.data, {"data": {"n_images": 30, "n_set_aside": 3, "split": split}})
    files.write_json(P.paths.champions, [])
    return tmp_path / "checkout"


def registered(**limits: float) -> dict[str, Any]:
    lenient = {"min_accuracy": 0.0, "min_class_recall": 0.0, "max_accuracy_drop": 0.0}
    register.main(dataclasses.replace(P, register=dataclasses.replace(P.register, **{**lenient, **limits})))
    return dict(files.read_json(P.paths.candidate))


def test_errors_are_the_images_with_any_class_wrong(folder: Path) -> None:
    rows = pd.read_csv(P.paths.predictions, dtype=str, keep_default_na=False)
    found = registered()
    assert found["errors"] == rows.loc[rows["label"] != rows["predicted"], "sha256"].tolist()
    assert len(found["errors"]) > 3
    assert found["verdict"] == "promote"


def test_limits_hold_it(folder: Path) -> None:
    assert registered(min_accuracy=1.0)["verdict"] == "hold"
    assert registered(min_class_recall=1.0)["verdict"] == "hold"


def test_champion_that_errs_less_holds_it(folder: Path) -> None:
    found = registered()
    champion = {"version": "v1", "model": "other", "task": found["task"], "last_batch": found["last_batch"]}
    files.write_json(P.paths.champions, [champion | {"errors": found["errors"]}])
    assert registered()["verdict"] == "promote"
    files.write_json(P.paths.champions, [champion | {"errors": found["errors"][1:]}])
    assert registered()["verdict"] == "hold"


def test_card_counts_what_is_used_what_is_set_aside_and_copies(folder: Path) -> None:
    n_used = sum(split["n_images"] for split in files.read_json(P.paths.index)["splits"].values())
    passed = files.read_json(P.paths.passed)
    files.write_json(P.paths.passed, passed | {"set_aside": ["one.png"]})
    files.write_json(P.paths.metrics.data, {"data": {"n_images": n_used + 6, "n_set_aside": 2}})
    registered()
    said = f"| images | {n_used + 6}, of them set aside 3, and left out as copies, byte for byte, 3 |"
    assert said in P.paths.card.read_text()


def test_card_says_what_the_model_does(folder: Path) -> None:
    task, card = registered()["task"], P.paths.card
    told = json.loads(P.paths.metrics.eval.read_text())["eval"]
    text = card.read_text()
    assert f"{told['macro_f1']:.4f}, between {told['macro_f1_low']:.4f} and {told['macro_f1_high']:.4f}" in text
    assert f"{told['average_precision']:.4f}" in text
    if task == "single_label":
        assert "Tells 3 classes apart: `a`, `b`, `c`." in text
        assert "Hamming" not in text
    else:
        assert "Names those of 3 classes that an image is in, any number of them: `a`, `b`, `c`." in text
        assert "named where that reaches 0.5" in text
        assert f"wrong decisions | {told['hamming_loss']:.4f}" in text


def test_card_shows_a_class_whose_name_holds_a_backquote(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = records.read_index
    monkeypatch.setattr(records, "read_index", lambda file: dataclasses.replace(read(file), classes=("a", "b`c", "d")))
    registered()
    assert ": `a`, `` b`c ``, `d`." in P.paths.card.read_text()
