"""The diagnosis of a checkout in every state that it can be in, and what `--apply` writes."""

import dataclasses
import shutil
from pathlib import Path

import pytest
import yaml
from checkouts import ROOT
from click.testing import CliRunner
from evaluations import P, evaluated
from evidence_made import RECORD

from assay import files, params
from assay.commands.main import cli
from assay.errors import AssayError
from assay.evaluation.diagnosis.diagnose import Diagnosis
from assay.evaluation.diagnosis.finding import Finding, symptom
from assay.operations import diagnosing
from assay.versions import dvc_repo

__all__ = ["evaluated"]  # a fixture

RECIPE = {"recipe": dataclasses.asdict(P.train)}


@pytest.fixture
def checkout(evaluated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A whole run, up to date."""
    folder = tmp_path / "checkout"
    shutil.copytree(evaluated, folder)
    monkeypatch.chdir(folder)
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    files.write_json(P.paths.training / "record.json", RECORD | RECIPE)
    results = {"manifest": files.sha256(P.paths.manifest), "passed": True, "expectations": [], "waivers": []}
    quarantine = {"limit": 0.01, "n_images": 0, "n_allowed": 0, "share": 0.0, "paths": []}
    files.write_json(P.paths.validation / "results.json", results | {"n_images": 27, "quarantine": quarantine})
    monkeypatch.setattr(dvc_repo, "due", lambda *_, **__: [])
    return folder


def nothing(_: params.Paths) -> Finding | None:
    return None


def causes_now() -> list[str]:
    return [each.cause for each in diagnosing.now(params.load(), nothing).found.findings]


@pytest.mark.slow
def test_whole_run_is_diagnosed_with_what_the_export_says(checkout: Path) -> None:
    assert "small_test" in causes_now()
    told = symptom("scaling", "as the export has it")
    seen = diagnosing.now(params.load(), lambda _: told)
    assert told in seen.found.findings
    assert "prepared_otherwise" in seen.found.looked_at
    assert len(seen.arms) > 1


def test_nothing_validated_or_other_images_are_said(checkout: Path) -> None:
    results = P.paths.validation / "results.json"
    files.write_json(results, files.read_json(results) | {"manifest": "0" * 64})
    with pytest.raises(AssayError, match=r"results\.json is of another data/manifest\.parquet; run `dvc repro` first"):
        causes_now()
    results.unlink()
    with pytest.raises(AssayError, match=r"results\.json is missing, so there is nothing to look at"):
        causes_now()


def test_closed_gate_is_diagnosed_by_the_data_though_an_older_model_lies_there(checkout: Path) -> None:
    results = P.paths.validation / "results.json"
    content = files.read_json(results)
    aside = content["quarantine"] | {"n_images": 20, "share": 0.7}
    files.write_json(results, content | {"passed": False, "quarantine": aside})
    P.paths.passed.unlink()
    seen = diagnosing.now(params.load(), nothing)
    assert [each.cause for each in seen.found.findings] == ["gate"]
    assert "20 of 27 images" in seen.found.findings[0].seen
    with pytest.raises(AssayError, match="--probe trains again with one change each, and nothing was trained yet"):
        next(diagnosing.probed(seen, params.load(), None))


def test_stopped_training_is_diagnosed_by_what_it_left(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = {"a/kernel": {"rms_began": 0.1, "rms": 9.0, "gradient_to_weight": 0.1}}
    lost = {"clean": 2.0, "augmented": 2.0, "dropout": 2.0}
    record = RECORD | RECIPE | {"kernels": kernels, "regularisation": lost}
    files.write_json(P.paths.memo.training / "stopped.json", {"said": "nothing was learnt", "record": record})
    monkeypatch.setattr(dvc_repo, "due", lambda *_, **__: ["train"])
    assert causes_now() == ["rate_too_high"]


@pytest.mark.parametrize("due", ["ingest", "train", "evaluate"])
def test_model_of_an_earlier_run_is_not_blamed(checkout: Path, monkeypatch: pytest.MonkeyPatch, due: str) -> None:
    monkeypatch.setattr(dvc_repo, "due", lambda *_, **__: [due])
    with pytest.raises(AssayError, match=f"{due} has to run: what lies here of a model is an earlier run's"):
        causes_now()
    monkeypatch.setattr(dvc_repo, "due", lambda *_, **__: ["register"])
    assert causes_now()


def test_recipe_that_was_edited_since_is_named(checkout: Path) -> None:
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("dropout: 0.4", "dropout: 0.9"))
    with pytest.raises(AssayError, match=r"params\.yaml has train\.dropout: 0\.9, and the training had 0\.4"):
        causes_now()


def test_many_looks_at_the_test_images_are_told(checkout: Path) -> None:
    shutil.copy(ROOT / "data/ledger.csv", P.paths.ledger)
    ledger = diagnosing.splits.identity(diagnosing.splits.read(P.paths.ledger))
    looks = [{"ledger": ledger, "last_batch": 1, "model": str(n)} for n in range(25)]
    older = [{"ledger": "other", "last_batch": 9, "model": str(n)} for n in range(50)]
    files.write_json(P.paths.looks, [*looks, *looks, *older])
    assert "used_test" in causes_now()
    files.write_json(P.paths.looks, looks[:19])
    assert "used_test" not in causes_now()


def diagnosis(**change: object) -> Diagnosis:
    return Diagnosis(
        findings=(symptom("dropout_too_strong", "", {f"train.{k}": v for k, v in change.items()}),), looked_at=()
    )


def test_apply_writes_the_change_and_says_what_comes_next(checkout: Path) -> None:
    said = diagnosing.apply(diagnosis(dropout=0.25), 1)
    assert params.load().train.dropout == 0.25
    assert said[0] == "params.yaml: train.dropout: 0.25"
    assert "dvc repro" in said[-1]


def test_apply_leaves_params_as_they_are_where_it_cannot(checkout: Path) -> None:
    before = Path("params.yaml").read_text()
    with pytest.raises(AssayError, match="--apply 2, and there are 1 causes"):
        diagnosing.apply(diagnosis(dropout=0.25), 2)
    with pytest.raises(AssayError, match="no parameter mends it; look at the images"):
        look = Diagnosis(findings=(symptom("label_noise", "", look="the images"),), looked_at=())
        diagnosing.apply(look, 1)
    with pytest.raises(AssayError, match="dropout"):
        diagnosing.apply(diagnosis(dropout="much"), 1)
    assert Path("params.yaml").read_text() == before
    assert yaml.safe_load(before)


@pytest.mark.parametrize(
    ("found", "step"),
    [
        (Diagnosis(findings=(), looked_at=()), "commonest errors"),
        (diagnosis(dropout=0.2), "`assay diagnose --apply 1`"),
        (Diagnosis(findings=(symptom("label_noise", "", look="the images"),), looked_at=()), "look at the images"),
        (Diagnosis(findings=(symptom("overfitting", "", certainty="possible"),), looked_at=()), "--probe"),
    ],
)
def test_next_step_is_that_of_the_first_cause(found: Diagnosis, step: str) -> None:
    assert step in diagnosing.next_step(found)


def test_probe_says_each_training_and_ends_with_what_was_decided(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosing.probing, "trained", lambda content: 0.5)
    monkeypatch.setattr(diagnosing.probing.run, "__kwdefaults__", {"train": lambda content: 0.5})
    seen = diagnosing.now(params.load(), nothing)
    said = list(diagnosing.probed(seen, params.load(), None))
    n = 2 * len(seen.arms)
    assert said[0].startswith(f"{n} trainings for a third of the epochs: as it is; ")
    assert [line.partition(" ")[0] for line in said[1 : n + 1]] == [f"{k}/{n}" for k in range(1, n + 1)]
    assert said[-1].startswith("next: ")
    assert any(line.startswith("tried, and no better: ") for line in said)


@pytest.mark.parametrize(
    "arguments",
    [("--apply", "1", "--probe"), ("--json", "--probe"), ("--minutes", "3"), ("--model", "x/"), ("x.png", "--json")],
)
def test_options_that_do_not_go_together_are_refused(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.png").touch()
    done = CliRunner().invoke(cli, ["diagnose", *arguments])
    assert done.exit_code == 2
    assert "Usage" in done.output
