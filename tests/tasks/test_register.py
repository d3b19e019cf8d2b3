"""`register` on what `evaluate` left of a small single-label and a small multi-label set."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from evaluations import ROOT, P, evaluated, evaluated_sets

from assay import files, params
from assay.dataset.records import contents
from assay.errors import AssayError
from assay.inference import proven
from tasks import register

__all__ = ["evaluated", "evaluated_sets"]  # fixtures


@pytest.fixture(params=["single_label", "multi_label"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = request.getfixturevalue("evaluated" if request.param == "single_label" else "evaluated_sets")
    shutil.copytree(made, tmp_path / "checkout")
    shutil.copy(ROOT / params.FILE, tmp_path / "checkout")
    monkeypatch.chdir(tmp_path / "checkout")
    split = {"train": 9, "val": 3, "test": 15}
    files.write_json(P.paths.metrics.data, {"data": {"n_images": 30, "n_set_aside": 3, "split": split}})
    files.write_json(P.paths.champions, [])
    files.write_json(P.paths.noise, {})
    monkeypatch.setattr(proven, "write", lambda *_: "no export")  # seconds of TensorFlow: one test has it
    return tmp_path / "checkout"


def registered(**limits: Any) -> dict[str, Any]:
    lenient = {"min_accuracy": 0.0, "min_class_recall": 0.0, "margin": 0.2, "max_new_error_share": 1.0}
    register.main(dataclasses.replace(P, register=dataclasses.replace(P.register, **{**lenient, **limits})))
    return dict(files.read_json(P.paths.candidate))


@pytest.mark.slow
def test_errors_are_the_images_with_any_class_wrong(folder: Path) -> None:
    rows = pd.read_csv(P.paths.predictions, dtype=str, keep_default_na=False)
    found = registered()
    assert found["errors"] == rows.loc[rows["label"] != rows["predicted"], "sha256"].tolist()
    assert len(found["errors"]) > 3
    assert found["verdict"] == "promote"


def test_candidate_names_the_export_that_was_proven(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert registered()["export"] == files.sha256(P.paths.export / "model.json")


def test_export_that_answers_otherwise_is_no_candidate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> str:
        raise AssayError("parity: ...")

    monkeypatch.setattr(proven, "write", refuse)
    with pytest.raises(AssayError, match="parity"):
        registered()
    assert not P.paths.candidate.exists()


@pytest.mark.parametrize("content", [{}, [{"version": "v1"}]])
def test_champions_that_are_damaged_promote_nothing(folder: Path, content: Any) -> None:
    files.write_json(P.paths.champions, content)
    with pytest.raises(AssayError, match=r"champions\.json: .*; `git checkout HEAD -- registry/champions\.json`"):
        registered()
    assert not P.paths.candidate.exists()


def test_limits_hold_it(folder: Path) -> None:
    assert registered(min_accuracy=1.0)["verdict"] == "hold"
    assert registered(min_class_recall=1.0)["verdict"] == "hold"


def test_champion_that_errs_less_holds_it(folder: Path) -> None:
    found = registered()
    champion = {"version": "v1", "model": "other", "task": found["task"], "last_batch": found["last_batch"]}
    files.write_json(P.paths.champions, [champion | {"errors": found["errors"]}])
    assert registered()["verdict"] == "promote"
    files.write_json(P.paths.champions, [champion | {"errors": found["errors"][4:]}])
    held = registered()
    assert held["verdict"] == "hold"
    assert held["against"]["paired"]["n_new_errors"] == 4
    assert "It is held, beside champion v1" in (P.paths.verdict / "index.html").read_text()
    assert held["against"]["model_verdict"] in P.paths.card.read_text()


def test_what_the_champion_named_is_compared_too(folder: Path) -> None:
    found = registered()
    champion = {"version": "v1", "model": "other", "last_batch": 1, "ledger": found["ledger"], "task": found["task"]}
    champion |= {key: found[key] for key in ("classes", "errors", "named", "recipe")}
    files.write_json(P.paths.champions, [champion])
    beside = registered(metric="f1_macro")["against"]
    assert (beside["metric"], beside["difference"]["value"]) == ("f1_macro", 0)
    noise = {"metrics": {"f1_macro": [0.5, 0.6, 0.55]}, "ledger": found["ledger"], "recipe": found["recipe"]}
    for other, said in (
        ({}, "no more than another seed would do"),
        ({"ledger": "of other images"}, "not of these test images; `assay noise` records new ones"),
        ({"recipe": "another"}, "not of the recipe of champion v1; `assay noise` records new ones"),
    ):
        files.write_json(P.paths.noise, noise | other)
        assert said in registered(metric="f1_macro")["against"]["change_verdict"]


def test_each_model_that_is_held_against_the_test_images_is_one_look(folder: Path) -> None:
    found = registered()
    champion = {"version": "v1", "model": "other", "last_batch": 1, "task": found["task"], "errors": []}
    files.write_json(P.paths.champions, [champion])
    assert registered()["against"]["n_looks"] == 1
    P.paths.model.write_bytes(P.paths.model.read_bytes() + b"another")
    assert registered()["against"]["n_looks"] == 2
    assert len(files.read_json(P.paths.looks)) == 2


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
    assert f"{told['f1_macro']:.4f}, between {told['f1_macro_low']:.4f} and {told['f1_macro_high']:.4f}" in text
    assert f"{told['average_precision']:.4f}" in text
    if task == "single_label":
        assert "Tells 3 classes apart: `a`, `b`, `c`." in text
        assert "Hamming" not in text
    else:
        assert "Names those of 3 classes that an image is in, any number of them: `a`, `b`, `c`." in text
        assert "named where that reaches its threshold, chosen on validation" in text
        assert f"wrong decisions | {told['hamming_loss']:.4f}" in text


def test_card_shows_a_class_whose_name_holds_a_backquote(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = contents.read_index
    monkeypatch.setattr(contents, "read_index", lambda file: dataclasses.replace(read(file), classes=("a", "b`c", "d")))
    registered()
    assert ": `a`, `` b`c ``, `d`." in P.paths.card.read_text()


def test_card_begins_with_what_hubs_read_and_ends_with_how_to_make_it_again(folder: Path) -> None:
    registered()
    told, text = files.read_json(P.paths.metrics.eval)["eval"], P.paths.card.read_text()
    _, head, rest = text.split("---\n", 2)
    header = yaml.safe_load(head)
    assert header["pipeline_tag"] == "image-classification"
    (model,) = header["model-index"]
    (result,) = model["results"]
    assert {each["type"]: each["value"] for each in result["metrics"]} == {
        "accuracy": told["accuracy"],
        "f1": told["f1_macro"],
    }
    assert result["dataset"]["name"] == files.read_json(P.paths.source)["source"]
    assert rest.startswith("# Model card\n")
    bits = files.read_json(P.paths.metrics.train)["train"]["fingerprint"]["end"]["bits"]
    assert f"| end | 12.5 | `{bits}` |" in rest
    files.write_json(P.paths.metrics.eval, {"eval": told | {"weak_slices": {"class_a": 0.25}}})
    registered()
    assert "slices counted in: `class_a` 0.2500." in P.paths.card.read_text()
