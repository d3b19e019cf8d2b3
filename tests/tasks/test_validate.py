"""The stage `validate` in a checkout: what it leaves, and whether the gate will open. Rules: tests/validation."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from cases import CLASSES, NEAR, Case, N, copies, images, sound, with_row
from checkouts import ROOT
from rule_cases import CASES
from sklearn.datasets import load_digits
from validations import SUITES, Run, asked_once, checkout, failed, failing_rows, judged, run

from assay import files, params
from assay.errors import GateClosed
from assay.validation import findings, gate, rules, suites
from assay.validation.profile import approving
from tasks import validate

__all__ = ["asked_once", "run"]  # fixtures
SHIPPED = suites.read(SUITES, rules.OF_DATA)


def message(results: dict[str, Any], rule: str) -> str:
    return str(next(r["message"] for r in results["expectations"] if r["expectation"] == rule))


def test_empty_manifest_fails_every_rule_but_those_on_pairs_and_on_what_is_new(run: Run) -> None:
    results = run(sound().iloc[:0])
    of_empty = {r["expectation"] for r in results["expectations"] if rules.TABLES[r["table"]].empty}
    assert set(failed(results)) == {rule.rule for rule in SHIPPED} - of_empty
    assert {r["severity"] for r in results["expectations"] if not r["success"]} == {"critical"}
    assert {r["because"] for r in results["expectations"] if not r["success"]} == {"", "images at all"}
    said = {r["observed"] for r in results["expectations"] if r["expectation"] in of_empty}
    assert said == {"no near-duplicates", rules.NOTHING_NEW, rules.TABLES["test_set"].empty}
    assert message(results, "images at all") == (
        "images at all: there are no images to check (expectations/images.yaml: images at all)"
    )


def test_cause_stands_before_what_follows_from_it_and_nothing_is_hidden(run: Run) -> None:
    results = run(sound().assign(label=lambda rows: rows["label"].str.upper()))
    assert list(failed(results)) == [
        *("known class", "every known class", "training images per class", "class balance", "class imbalance"),
        *("every class in every split", "test images per class", "test images enough"),
    ]
    assert {r["because"] for r in results["expectations"] if not r["success"]} == {"", "known class"}
    with pytest.raises(GateClosed) as closed:
        judged(results)
    head, cause, follows, quarantined = str(closed.value).splitlines()
    assert head == "closed by 8 critical expectations"  # those on classes too: there are none that count
    assert cause == message(results, "known class")
    assert follows == (
        "may follow from 'known class': every known class, training images per class, class balance, class imbalance,"
        " every class in every split ('train/cat', 'val/cat', 'test/cat', ...), test images per class,"
        " test images enough"
    )
    assert quarantined.startswith("quarantine: 141 of 141 images (100%)")
    page = Path("reports/validation/index.html").read_text()
    assert page.count("may follow from known class") == 7
    assert f"141 images, {len(SHIPPED)} expectations,\n8 critical ones failed, 141 images to be set aside" in page


def test_sound_manifest_passes_with_no_failing_row(run: Run) -> None:
    results = run(sound())
    assert results["passed"]
    assert (results["n_images"], failed(results)) == (N, {})
    assert [r["message"] for r in results["expectations"] if r["message"]] == []
    header = "path,suite,expectation,severity,status,column,value,limit,partner\n"
    assert Path("reports/validation/failures.csv").read_text() == header
    assert results["manifest"] == files.sha256(Path("data/manifest.parquet"))
    assert judged(results) == {"gate": "open", "manifest": results["manifest"], "set_aside": []}


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
    found = {"limit": 1 / (N + 1), "share": 1 / (N + 1), "n_images": 1, "n_allowed": 0, "paths": []}
    assert results["quarantine"] == found
    assert failing_rows() == [
        {
            "path": "cat/new.png",
            "suite": "images",
            "expectation": "decodable",
            "severity": "critical",
            "status": "set aside",
            "column": "decodable",
            "value": "truncated",
            "limit": "decode to its end",
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


def test_what_is_too_much_to_be_set_aside_is_not_approved_either(run: Run) -> None:
    run(with_row(width_px=4), max_quarantined_share=0)
    assert approving.approve(params.load())[0] == f"{N} images in 3 classes; nothing was approved before"


def test_page_lists_what_would_have_to_be_set_aside(run: Run) -> None:
    run(with_row(width_px=4))
    page = Path("reports/validation/index.html").read_text()
    assert "<td><bdi>cat/new.png</bdi></td><td>image width: 4</td>" in page
    assert "are allowed (params.yaml: gate.max_quarantined_share), so the gate is closed." in page


def test_files_of_equal_bytes_count_once_for_a_class(run: Run) -> None:
    """Nineteen training images and a copy of one, to the byte, are not the twenty that a class must have."""
    rows = sound()
    rows.loc[1, ["sha256", "pixels"]] = rows.loc[0, ["sha256", "pixels"]]
    assert failed(run(rows))["training images per class"] == ["cat"]


def test_accents_written_in_two_ways_are_one_misspelt_class(run: Run) -> None:
    results = run(Case(table=with_row(label="cafe\u0301"), broken={}, said="", classes=("caf\u00e9", *CLASSES)))
    said = "('cafe\u0301', did you mean 'caf\\xe9', the same in another Unicode form?)"
    assert said in message(results, "known class")


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


@pytest.mark.parametrize(
    ("label", "told"), [("dog", ["near-duplicates of one label"]), ("cat", []), ("zebra", []), (None, [])]
)
def test_near_duplicate_that_is_set_aside_is_no_copy_and_leaks_nothing_but_its_label_counts(
    run: Run, label: str | None, told: list[str]
) -> None:
    table = with_row(width_px=4, label=label, split="test" if label else None)
    results = run(Case(table=table, broken={}, said="", pairs=NEAR), max_quarantined_share=0.01)
    assert list(failed(results)) == told
    assert results["quarantine"]["n_images"] == 1


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


@pytest.mark.parametrize(("n_dark", "status"), [(2, "tolerated"), (3, "failed")])
def test_one_dark_image_in_200_is_shown_and_no_warning(
    run: Run, capsys: pytest.CaptureFixture[str], n_dark: int, status: str
) -> None:
    many = sound(cat=images("cat", train=400 - 2 * N // 3, val=1, test=20))
    many.loc[: n_dark - 1, "p99"] = 100
    results = run(many)
    assert ("not dark" in failed(results)) == (status == "failed")
    assert [row["status"] for row in failing_rows() if row["expectation"] == "not dark"] == [status] * n_dark
    told = "tolerated" if status == "tolerated" else "warning"
    assert f"{told}: not dark: {n_dark} of {len(many)} images" in capsys.readouterr().out
    page = Path("reports/validation/index.html").read_text()
    assert f'not dark <span class="{"note" if status == "tolerated" else "warning"}">{told}' in page


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
    assert "<p>349 of 349 fail; width_px must be at least 8 and at most 20,000" in page
    assert page.count("not shown here") == findings.SHOWN  # there is no batch
    assert len(Path("reports/validation/failures.csv").read_text().splitlines()) > 290


def test_page_of_sound_images_shows_no_findings(run: Run) -> None:
    run(sound())
    page = Path("reports/validation/index.html").read_text()
    assert "<strong>Passed</strong>" in page
    assert "What was found" not in page
    assert "No data is approved yet" not in page  # nor any curve: these images measure nothing


@pytest.mark.slow
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
