"""The Data Docs of Great Expectations say what validate found, need no network, and are made when asked for alone."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from assay import data_docs, files, suites
from assay.errors import AssayError

RULES = suites.read(ROOT / "expectations", suites.OF_DATA)
HEADER = "path,suite,expectation,severity,status,column,value,limit,partner\n"


def entry(rule: suites.Rule) -> dict[str, Any]:
    return {
        "suite": rule.suite,
        "expectation": rule.rule,
        "severity": rule.severity,
        "success": True,
        "observed": "10 hold",
        "n_rows": 10,
        "n_failed": 0,
        "message": "",
    }


def validated(folder: Path, changes: dict[str, dict[str, Any]], failures: str = "") -> Path:
    """Write what validate leaves of ten images, with these changes to the entries of some rules."""
    of_rules = [entry(rule) | changes.get(rule.rule, {}) for rule in RULES]
    passed = all(each["success"] for each in of_rules if each["severity"] == "critical")
    results = {"passed": passed, "n_images": 10, "expectations": of_rules}
    files.write_json(folder / "validation/results.json", results)
    files.write_text(folder / "validation/failures.csv", HEADER + failures)
    return folder / "validation"


def test_pages_say_what_validate_found_and_need_no_network(tmp_path: Path) -> None:
    narrow = {"success": False, "n_failed": 1, "observed": "4 to 10", "message": "said"}
    unmeasured = {"success": False, "severity": "critical", "observed": "", "message": "not constant: there is no $x"}
    failure = "cat/<b>.png,images,image width,critical,failed,width_px,4,at least 8,\n"
    validation = validated(tmp_path, {"image width": narrow, "not constant": unmeasured}, failure)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/of-another-day.html").touch()

    assert data_docs.build(ROOT / "expectations", validation, tmp_path / "docs") == tmp_path / "docs/index.html"
    pages = {page: page.read_text() for page in (tmp_path / "docs").rglob("*") if page.is_file()}
    names = {rule.suite for rule in RULES}
    assert sorted(page.stem for page in pages) == sorted([*names, *names, "index"])
    for text in pages.values():
        assert not re.findall(r"""(?:src|href)=["']?https?://|@import|url\(|<script[^>]*\ssrc=""", text)
    (found,) = (tmp_path / "docs/validations/images").rglob("images.html")
    text = " ".join(pages[found].split())
    assert "image width (critical): width_px must be at least 8 and at most 20,000" in text
    assert "1 unexpected values found. 10% of 10 total rows." in text
    assert "cat/&lt;b&gt;.png (4)" in text
    assert "<b>" not in text
    assert "raised an exception:" in text
    assert "not constant: there is no $x" in text
    assert text.count("fas fa-check-circle") == len([rule for rule in RULES if rule.suite == "images"]) - 2
    expected = " ".join(pages[tmp_path / "docs/expectations/images.html"].split())
    for rule in (rule for rule in RULES if rule.suite == "images"):
        assert f"{rule.rule} ({rule.severity}): " in expected
    index = pages[tmp_path / "docs/index.html"]
    assert "<strong>Closed</strong>: 10 images" in index
    assert '<a href="../validation/index.html">' in index
    for link in re.findall(r'href="([^"]+)"', index)[1:]:
        assert (tmp_path / "docs" / link).is_file()


def test_expectations_that_were_not_validated_are_named(tmp_path: Path) -> None:
    validation = validated(tmp_path, {})
    shutil.copytree(ROOT / "expectations", tmp_path / "expectations")
    (tmp_path / "expectations/shortcuts.yaml").unlink()
    with pytest.raises(AssayError, match=r"is of other expectations than .*: shortcuts: border tells no more than"):
        data_docs.build(tmp_path / "expectations", validation, tmp_path / "docs")
    with pytest.raises(AssayError, match="nothing was validated yet; run `dvc repro validate`"):
        data_docs.build(ROOT / "expectations", tmp_path, tmp_path / "docs")
    assert not (tmp_path / "docs").exists()


def test_every_type_that_the_suites_use_is_said_in_words() -> None:
    said = [data_docs.described(rule, rule.severity) for rule in RULES]
    assert [each for each in said if "expect_" in each or "{" in each] == []
    assert "images at all (critical): row count must be at least 1" in said
