"""One whole run, copied to every test that wants one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from checkouts import draw, make_checkout, put_back, run


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `images` and a `checkout` in which the pipeline ran once."""
    folder = tmp_path_factory.mktemp("first")
    draw(folder / "images", 50)
    (folder / "checkout/.dvc").mkdir(parents=True)
    run(make_checkout(folder / "checkout", folder / "images"), "dvc", "repro")
    run(folder / "checkout", "git", "add", "-A")
    run(folder / "checkout", "git", "commit", "-qm", "first run")
    return folder


@pytest.fixture
def done(first_run: Path) -> Iterator[Path]:
    """Return the checkout of the first run, put back as it was afterwards."""
    with put_back(first_run):
        yield first_run / "checkout"
