"""A repository that the doctor looks at."""

import shutil
from pathlib import Path

import pytest
import toy
from checkouts import ROOT

from assay.operations import alert


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    toy.run(folder, "git", "init", "-q", "-b", "main")
    toy.run(folder, "dvc", "init", "-q")
    (folder / "data.txt").write_text("content")
    toy.run(folder, "dvc", "add", "-q", "data.txt")
    for name in ("pyproject.toml", "prefect.yaml", "prefect.toml"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture
def checkout(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one file that DVC keeps, as the current folder."""
    folder = Path(shutil.copytree(repository, tmp_path / "checkout"))
    monkeypatch.chdir(folder)
    monkeypatch.delenv(alert.URLS, raising=False)
    return folder
