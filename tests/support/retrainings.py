"""A toy checkout that is retrained whole."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import toy
from checkouts import put_back

Retrain = Callable[..., str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.make(tmp_path_factory.mktemp("made") / "toy").parent


@pytest.fixture
def checkout(made: Path, tmp_path: Path) -> Path:
    """A toy project whose source is its own, in a place with a space and letters beyond ASCII."""
    return own(made, tmp_path / "mein café")


def own(made: Path, to: Path) -> Path:
    """Return the checkout of a copy whose source is its own."""
    shutil.copytree(made, to, symlinks=True)
    toy.run(to / "checkout", "assay", "snapshot", str(to / "images"))
    toy.run(to / "checkout", "git", "commit", "-qam", "my images")
    return to / "checkout"


@pytest.fixture
def retrain(checkout: Path, server: str) -> Retrain:
    def run(*options: str, code: int = 0, **more: str) -> str:
        return toy.run(checkout, "flows.retrain", *options, code=code, PREFECT_API_URL=server, **more)

    return run


@pytest.fixture(scope="module")
def first(made: Path, tmp_path_factory: pytest.TempPathFactory, server: str) -> Path:
    checkout = own(made, tmp_path_factory.mktemp("first") / "toy")
    toy.run(checkout, "flows.retrain", PREFECT_API_URL=server)
    return checkout.parent


@pytest.fixture
def retrained(first: Path) -> Iterator[Path]:
    """A toy project after its first retraining, as it was for each test."""
    with put_back(first):
        yield first / "checkout"


def clean(checkout: Path) -> bool:
    """Say whether the checkout is as it was, and no worktree is left."""
    trees = toy.run(checkout, "git", "worktree", "list").splitlines()
    here = toy.run(checkout, "git", "status", "--porcelain")
    return len(trees) == 1 and not here and not (checkout / ".assay/retrain/checkout").exists()


def tags(checkout: Path) -> list[str]:
    return toy.run(checkout, "git", "tag").split()
