"""Repositories with releases of a small classifier."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import tiny
import yaml
from checkouts import ROOT
from toy import repository, run

from assay import files


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("exports")
    for seed in (1, 2, 3):
        tiny.write_whole(made / str(seed), seed=seed)
    return made


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which nothing was released yet; `release` works on copies."""
    checkout = repository(tmp_path_factory.mktemp("begun") / "checkout")
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["paths"] |= {"export": "models/export"}
    (checkout / "params.yaml").write_text(yaml.safe_dump(content))
    (checkout / ".gitignore").write_text(".assay\n")
    return checkout


@pytest.fixture(scope="session")
def release_in(exports: Path) -> Callable[..., str]:
    """Release the export of a seed in a repository, as champion or not, and return its commit."""

    def do(checkout: Path, version: str, seed: int, stage: int | None = None, **candidate: object) -> str:
        tiny.copy(exports / str(seed), checkout / "models/export")
        said = {"export": files.sha256(checkout / "models/export/model.json"), **candidate}
        files.write_json(checkout / "registry/candidate.json", said)
        run(checkout, "dvc", "add", "-q", "models/export")
        run(checkout, "git", "add", "-A")
        run(checkout, "git", "commit", "-qm", version, "--allow-empty")
        run(checkout, "git", "tag", "-a", "-m", version, f"classifier@{version}")
        if stage:
            run(checkout, "git", "tag", "-a", "-m", version, f"classifier#champion#{stage}")
        return run(checkout, "git", "rev-parse", "HEAD")

    return do


@pytest.fixture
def release(
    begun: Path, release_in: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Do what `release_in` does in a repository of its own, which is the current folder."""
    shutil.copytree(begun, tmp_path / "checkout")
    monkeypatch.chdir(tmp_path / "checkout")
    return partial(release_in, tmp_path / "checkout")
