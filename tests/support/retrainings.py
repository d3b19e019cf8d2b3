"""A toy checkout that is retrained whole."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import toy

Retrain = Callable[..., str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.make(tmp_path_factory.mktemp("made") / "toy").parent


@pytest.fixture
def checkout(made: Path, tmp_path: Path) -> Path:
    """A toy project whose source is its own."""
    shutil.copytree(made, tmp_path / "toy", symlinks=True)
    toy.run(tmp_path / "toy/checkout", "assay", "snapshot", str(tmp_path / "toy/images"))
    toy.run(tmp_path / "toy/checkout", "git", "commit", "-qam", "my images")
    return tmp_path / "toy/checkout"


@pytest.fixture
def retrain(checkout: Path, server: str) -> Retrain:
    def run(*options: str, code: int = 0, **more: str) -> str:
        return toy.run(checkout, "flows.retrain", *options, code=code, PREFECT_API_URL=server, **more)

    return run


def clean(checkout: Path) -> bool:
    """Say whether the checkout is as it was, and no worktree is left."""
    trees = toy.run(checkout, "git", "worktree", "list").splitlines()
    here = toy.run(checkout, "git", "status", "--porcelain")
    return len(trees) == 1 and not here and not (checkout / ".assay/retrain/checkout").exists()


def tags(checkout: Path) -> list[str]:
    return toy.run(checkout, "git", "tag").split()
