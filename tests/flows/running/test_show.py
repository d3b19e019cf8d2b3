"""What Prefect's UI shows beside tables: why the model is as it is, of the run that evaluated it and of no other."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from checkouts import ROOT
from prefect.states import Completed, Failed

from flows.running import show


@pytest.mark.parametrize(("end", "shown"), [(Completed(), True), (Failed(), False), (None, False)])
def test_diagnosis_is_shown_by_the_run_that_made_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: Any, shown: bool
) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    report = tmp_path / "reports/evaluation"
    report.mkdir(parents=True)
    (report / "diagnosis.json").write_text(json.dumps({"lines": ["1. Dropout is too strong (likely)", "   <b> 39%"]}))
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(show, "create_markdown_artifact", lambda **artifact: made.append(artifact))
    stage: Any = SimpleNamespace(name="evaluate", outs=(report,), metrics=())
    show.diagnosis([stage], {"evaluate": end} if end else {}, tmp_path)
    assert [each["key"] for each in made] == ["diagnosis"] * shown
    if shown:  # indented, so that no name of a class is markup
        assert made[0]["markdown"].endswith("\n\n    1. Dropout is too strong (likely)\n       <b> 39%")
