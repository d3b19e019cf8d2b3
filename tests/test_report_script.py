"""What CI says of a pull request: .github/report.sh in a fresh clone, to which no data have come."""

from pathlib import Path

import pytest
import toy
from checkouts import ROOT, set_params


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of a commit whose results are in git and whose data are not; `assay compare` is no part of this."""
    checkout = toy.make(tmp_path / "toy")
    toy.run(checkout, "dvc", "repro", "-q")
    toy.run(checkout, "git", "add", "-A")
    toy.run(checkout, "git", "commit", "-qm", "results")
    toy.run(tmp_path, "git", "clone", "-q", str(checkout), "clone")
    compare = tmp_path / "clone/.venv/bin/assay"
    compare.parent.mkdir(parents=True)
    compare.write_text("#!/bin/sh\necho '## table'\n")
    compare.chmod(0o755)
    return tmp_path / "clone"


def report(clone: Path, code: int) -> str:
    toy.run(clone, "bash", str(ROOT / ".github/report.sh"), "HEAD~1", "HEAD", "report", code=code)
    return (clone / "report/report.md").read_text()


@pytest.mark.slow
def test_results_that_are_those_of_the_commit_need_no_data(clone: Path) -> None:
    assert report(clone, 0) == "## table\n"


@pytest.mark.slow
def test_stage_whose_parameters_changed_without_a_run_is_named(clone: Path) -> None:
    set_params(clone, train={"epochs": 1})
    said = report(clone, 5)
    assert said.startswith("## table\n")
    assert "**dvc.lock is not that of this commit**: `dvc repro` would run train." in said
