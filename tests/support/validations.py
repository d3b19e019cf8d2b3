"""A checkout whose manifest is made, and the stage `validate` run on it."""

import csv
import datetime
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from asked import probed, question
from cases import Case, write_data
from checkouts import ROOT, set_params

from assay import files, params
from assay.validation import gate
from assay.validation import run as validation_run
from assay.validation.profile import shortcuts
from assay.validation.rules import Rule
from tasks import validate

SUITES = ROOT / "expectations"
TODAY = datetime.date(2030, 6, 1)


def checkout(folder: Path, case: Case, without: tuple[str, ...] = (), max_quarantined_share: float = 0) -> None:
    """Make a checkout of params.yaml, the suites for the case's classes without some rules, and the manifest."""
    shutil.copy(ROOT / "params.yaml", folder)
    set_params(folder, gate={"max_quarantined_share": max_quarantined_share})
    (folder / "expectations").mkdir(exist_ok=True)
    for name, text in suites_for(case.classes, without).items():
        (folder / "expectations" / name).write_text(text)
    write_data(folder, case)


@cache
def suites_for(classes: tuple[str, ...], without: tuple[str, ...]) -> dict[str, str]:
    """Return the text of each suite, by the name of its file."""
    texts = {}
    for file in SUITES.glob("*.yaml"):
        suite = files.read_yaml(file)
        suite["expectations"] = [rule for rule in suite["expectations"] if rule["rule"] not in without]
        for rule in suite["expectations"]:
            if rule.get("column") == "label" and "value_set" in rule:
                rule["value_set"] = list(classes)
        texts[file.name] = yaml.safe_dump(suite, sort_keys=False)
    return texts


Run = Callable[..., dict[str, Any]]
ANSWERS: dict[tuple[str, str], Any] = {}


@pytest.fixture
def asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask once in a worker Great Expectations about the same rule and rows of its columns, and what pixels tell."""
    monkeypatch.setattr(shortcuts, "probe", probed)
    ask = validation_run._run

    def asked(rule: Rule, rows: pd.DataFrame) -> Any:
        key = question(rule, rows, rule.columns or rows)
        if key not in ANSWERS:
            ANSWERS[key] = ask(rule, rows)
        return ANSWERS[key]

    monkeypatch.setattr(validation_run, "_run", asked)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked_once: None) -> Run:
    """Return a function that validates a case, or a manifest, in a checkout and gives back results.json."""

    def validated(case: Case | pd.DataFrame, **options: Any) -> dict[str, Any]:
        monkeypatch.chdir(tmp_path)
        checkout(tmp_path, case if isinstance(case, Case) else Case(table=case, broken={}, said=""), **options)
        validate.main(params.load())
        return dict(files.read_json(Path("reports/validation/results.json")))

    return validated


def failed(results: dict[str, Any]) -> dict[str, list[str]]:
    return {r["expectation"]: r["failures"] for r in results["expectations"] if not r["success"]}


def failing_rows() -> list[dict[str, str]]:
    with Path("reports/validation/failures.csv").open() as listed:
        return list(csv.DictReader(listed))


def judged(results: dict[str, Any]) -> dict[str, Any]:
    return gate.judge(results, results["manifest"], TODAY)
