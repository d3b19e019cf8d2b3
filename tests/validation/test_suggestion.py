"""`assay expectations`: mistakes are named, and first suites pass on the data that they were written for."""

import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from cases import LEAST, Case, copies, images, sound, with_row
from checkouts import ROOT
from click.testing import CliRunner
from validations import asked_once, checkout, failed

from assay import params
from assay.commands import main
from assay.errors import AssayError
from assay.validation import suggestion, weaker
from tasks import validate

__all__ = ["asked_once"]  # fixtures

FITTED = {*(rule for _, rule in suggestion.FITTED), "known class", "every known class"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked_once: None) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def assay(*arguments: str) -> str:
    """Return what `assay expectations` prints."""
    done = CliRunner().invoke(main.cli, ["expectations", *arguments], catch_exceptions=False, standalone_mode=False)
    return done.output


def suggested(folder: Path, table: pd.DataFrame, share: float = 0.01) -> tuple[str, dict[str, dict[str, Any]]]:
    """Return what is said and the rules, after the suites were replaced by what is suggested for the manifest."""
    checkout(folder, Case(table=table, broken={}, said=""), max_quarantined_share=share)
    said = assay("suggest", "--overwrite")
    files_of_suites = sorted(set((folder / "expectations").glob("*.yaml")) - {folder / "expectations/waivers.yaml"})
    suites = [yaml.safe_load(file.read_text()) for file in files_of_suites]
    return said, {rule["rule"]: rule for suite in suites for rule in suite["expectations"]}


def validated() -> dict[str, Any]:
    from assay import files

    validate.main(params.load())
    return dict(files.read_json(Path("reports/validation/results.json")))


def test_templates_are_the_shipped_suites_but_for_their_limits() -> None:
    """Whoever changes a suite changes its template too."""
    assert {file.name for file in weaker.SHIPPED.iterdir()} == {file.name for file in (ROOT / "expectations").iterdir()}
    for file in weaker.SHIPPED.glob("*.yaml"):
        both = [yaml.safe_load((folder / file.name).read_text()) for folder in (file.parent, ROOT / "expectations")]
        template, shipped = ({each["rule"]: each for each in suite["expectations"]} for suite in both)
        assert list(template) == list(shipped)
        assert [rule for rule in template if template[rule] != shipped[rule] and rule not in FITTED] == []


def test_suites_that_are_suggested_are_without_mistake_and_open_the_gate(here: Path) -> None:
    said, rules = suggested(here, sound().assign(width_px=300, height_px=200))
    assert said.startswith("written for 141 images: expectations/drift.yaml, expectations/images.yaml, ")
    assert "look at these three first" in said
    assert assay("check").startswith("expectations: ")
    results = validated()
    assert (results["passed"], list(failed(results))) == (True, ["test images enough"])
    assert rules["image width"]["min_value"] == 32
    assert "now 300 to 300 px" in rules["image width"]["note"]
    assert "26 test images a recall of 90% is known to 12 points" in rules["test images enough"]["note"]


def test_limits_follow_small_images_and_large_classes(here: Path) -> None:
    many = images("cat", train=700, val=10, test=100)
    _, rules = suggested(here, sound(cat=many).assign(height_px=12))
    assert rules["image height"]["min_value"] == 12
    assert "32 would be a better least" in rules["image height"]["note"]
    assert rules["class balance"]["max_value"] == 0.95
    assert "the largest class holds 89.6% now" in rules["class balance"]["note"]
    assert rules["class imbalance"]["max_value"] == 26
    results = validated()
    assert (results["passed"], list(failed(results))) == (True, ["test images enough"])


@pytest.mark.parametrize(("share", "limit"), [(0.3, 0.6), (0.501, 0.61), (0.666, 0.77), (0.799, 0.9), (0.889, 0.95)])
def test_largest_class_has_room_and_a_limit_below_all_images(share: float, limit: float) -> None:
    """A tenth of the images more, or half of what is left to all."""
    classes = pd.DataFrame({"share": [0.1, share], "n_images": [1000, round(10_000 * share)]})
    fitted, _ = suggestion.FITTED["labels", "class balance"]({"classes": classes}, params.load(ROOT / "params.yaml"))
    assert fitted == {"max_value": limit}


def test_few_small_images_do_not_lower_the_limit(here: Path) -> None:
    table = sound().assign(width_px=300, height_px=200)
    table.loc[0, "width_px"] = 5
    _, rules = suggested(here, table)
    assert rules["image width"]["min_value"] == 32
    assert validated()["quarantine"]["paths"] == ["cat/train000.png"]


def test_class_names_stay_texts(here: Path) -> None:
    names = ("no", "007", "2030-01-01")
    suggested(here, pd.concat([images(name, **LEAST) for name in names], ignore_index=True))
    assert 'value_set: ["007", "2030-01-01", "no"]' in (here / "expectations/labels.yaml").read_text()
    assert "no mistake" in assay("check")
    assert validated()["passed"]


@pytest.mark.slow
def test_rare_misspelling_is_no_class_and_a_common_one_is_two(here: Path) -> None:
    _, rules = suggested(here, with_row(label="Cat "))
    assert rules["known class"]["value_set"] == ["cat", "dog", "owl"]
    assert validated()["quarantine"]["paths"] == ["cat/new.png"]
    _, rules = suggested(here, pd.concat([sound(), images("Cat", train=20, val=1, test=25)], ignore_index=True))
    assert rules["known class"]["value_set"] == ["Cat", "cat", "dog", "owl"]
    assert (rules["one spelling"]["severity"], "allowed" in rules["one spelling"]) == ("critical", False)
    (waiver,) = yaml.safe_load((here / "expectations/waivers.yaml").read_text())
    assert (waiver["rule"], len(waiver["names"])) == ("one spelling", 46)
    assert validated()["passed"]


@pytest.mark.slow
def test_rule_that_the_data_break_stays_critical_and_excuses_those_alone(here: Path) -> None:
    said, rules = suggested(here, copies(label="dog"))
    assert "then the gate closes: one label per picture: 2 of 142 images" in said
    assert rules["one label per picture"]["severity"] == "critical"
    results = validated()
    assert (results["passed"], [w["expectation"] for w in results["waivers"]]) == (True, ["one label per picture"])
    said, rules = suggested(here, sound().assign(contrast=0.0))
    assert (rules["not constant"]["severity"], rules["not constant"]["allowed"]) == ("critical", 141)
    assert "allowed, as many as now and no more: not constant: 141 of 141 images" in said
    assert "no mistake" in assay("check")
    assert not (here / "expectations/waivers.yaml").exists()  # of the suites before
    results = validated()
    assert results["passed"]
    assert results["weaker"][0] == {
        "suite": "images",
        "expectation": "not constant",
        "why": "141 rows may break it",
        "disarms": False,
    }


def test_nothing_is_overwritten_unasked(here: Path) -> None:
    checkout(here, Case(table=sound(), broken={}, said=""))
    before = {file.name: file.read_text() for file in (here / "expectations").iterdir()}
    with pytest.raises(AssayError, match="exist; --overwrite replaces, --to FOLDER writes elsewhere"):
        assay("suggest")
    assert {file.name: file.read_text() for file in (here / "expectations").iterdir()} == before
    assay("suggest", "--to", "first")
    assert (here / "first/labels.yaml").exists()
    with pytest.raises(AssayError, match=r"first/images\.yaml, .* exist; "):
        assay("suggest", "--to", "first")


def test_nothing_is_suggested_for_nothing(here: Path) -> None:
    checkout(here, Case(table=sound(), broken={}, said=""))
    (here / "data/manifest.parquet").unlink()
    with pytest.raises(AssayError, match=r"manifest\.parquet is missing: .* run `dvc repro ingest`"):
        assay("suggest", "--to", "first")
    checkout(here, Case(table=sound().iloc[:0], broken={}, said=""))
    with pytest.raises(AssayError, match="no image with a label"):
        assay("suggest", "--to", "first")


def test_check_names_file_rule_and_key(here: Path) -> None:
    checkout(here, Case(table=sound(), broken={}, said=""))
    assert assay("check").endswith(" suites: no mistake\n")
    file = here / "expectations/splits.yaml"
    file.write_text(file.read_text().replace("max_margin: 0.12", "max_margn: 0.12"))
    with pytest.raises(AssayError) as error:
        assay("check")
    assert str(error.value) == (
        "expectations/splits.yaml: test images enough: key: unknown 'max_margn'; did you mean 'max_margin'?"
    )
    assert error.value.exit_code == 1


def test_check_looks_at_waivers_too(here: Path) -> None:
    checkout(here, Case(table=sound(), broken={}, said=""))
    waiver = {"suite": "images", "rule": "image width", "names": ["cat/train000.png"], "why": "so"}
    file = here / "expectations/waivers.yaml"
    file.write_text(yaml.safe_dump([waiver | {"until": datetime.date(9999, 1, 1)}]))
    assert "1 waivers: no mistake" in assay("check")
    file.write_text(yaml.safe_dump([waiver | {"until": datetime.date(1999, 1, 1)}]))
    with pytest.raises(AssayError, match="waiver 1: until: 1999-01-01 is over; mend the data, or renew it"):
        assay("check")
    file.write_text(yaml.safe_dump([waiver | {"until": datetime.date(9999, 1, 1), "names": ["cat/none.png"]}]))
    with pytest.raises(AssayError, match=r"'cat/none\.png' is none of the images any more"):
        assay("check")
