import shutil
from pathlib import Path

import pytest
from checkouts import ROOT

from assay.commands import model
from assay.versions import tagged


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.setattr(tagged, "has_champion", lambda: False)
    return tmp_path


def test_the_champion_is_asked_unless_another_is_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "models/export").mkdir(parents=True)
    monkeypatch.setattr(tagged, "has_champion", lambda: True)
    assert model.chosen(None) == "champion"
    assert [model.chosen(named) for named in ("v0.0.3", "some/folder")] == ["v0.0.3", "some/folder"]


def test_what_the_last_run_exported_answers_while_there_is_no_champion_and_says_so(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert model.chosen(None) == "champion"  # nothing is exported either: the error says what makes one
    (here / "models/export").mkdir(parents=True)
    assert model.chosen(None) == "models/export/"
    assert "no champion yet: models/export answers" in capsys.readouterr().err
