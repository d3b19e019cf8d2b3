"""History from the tags, and the way back: one tag and one commit, and nothing of the checkout moves."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from toy import run

from assay.commands.main import cli
from assay.errors import AssayError
from assay.inference import canary
from assay.versions import history, rollback, tagged

Release = Callable[..., str]


def candidate(model: str, *, passed: bool = True) -> dict[str, Any]:
    checks = [{"name": "accuracy", "passed": passed, "text": f"accuracy of {model}"}]
    return {
        "verdict": "promote" if passed else "hold",
        "checks": checks,
        "model": {"sha256": model},
        "data": {"manifest": "d" * 64},
        "task": "single_label",
        "classes": ["ant", "bee", "cow"],
        "last_batch": 1,
        "errors": [],
    }


@pytest.fixture(scope="module")
def three(begun: Path, release_in: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Path(shutil.copytree(begun, tmp_path_factory.mktemp("three") / "checkout"))
    (made / "registry").mkdir()
    (made / "registry/champions.json").write_text("[]\n")
    release_in(made, "v0.0.1", 1, stage=1, **candidate("a"))
    release_in(made, "v0.0.2", 2, **candidate("b", passed=False))
    release_in(made, "v0.0.3", 3, stage=2, **candidate("c"))
    return made


@pytest.fixture
def checkout(three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three releases, of which the first and the third became the champion; the current folder."""
    shutil.copytree(three, tmp_path / "checkout")
    monkeypatch.chdir(tmp_path / "checkout")
    return tmp_path / "checkout"


def asked(*arguments: str) -> str:
    done = CliRunner().invoke(cli, arguments)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


@pytest.mark.slow
def test_history_says_who_when_why_of_which_data_and_with_which_verdict(checkout: Path) -> None:
    said = asked("history")
    assert said.count("released, by Tester: v0.0.") == said.count("; data dddddddddddd, commit ") == 3
    assert said.count("became the champion, by Tester: v0.0.") == 2
    assert "    - accuracy of b" in said and "    hold; data" in said
    assert said.splitlines()[-1] == "the champion is v0.0.3; `assay rollback` goes to v0.0.1"
    rows = json.loads(asked("history", "--json"))
    assert [row["version"] for row in rows if row["candidate"]] == ["v0.0.1", "v0.0.2", "v0.0.3"]


@pytest.mark.slow
def test_checkout_that_holds_models_against_an_older_champion_is_told_how_to_catch_up(checkout: Path) -> None:
    behind = "registry/champions.json of this checkout ends with none, by the tags the champion is"
    told = "a model made here would be held against the former"
    assert f"{behind} v0.0.3: {told}; merge the branch" in asked("history")
    asked("rollback")
    assert f"{behind} v0.0.1: {told}; `git merge retrain/promote-v0.0.1`" in asked("history")
    run(checkout, "git", "merge", "-q", "retrain/promote-v0.0.1")
    assert "of this checkout ends with" not in asked("history")


def test_champions_that_are_damaged_are_neither_gone_on_with_nor_written_over(checkout: Path) -> None:
    (checkout / "registry/champions.json").write_text("{}\n")
    run(checkout, "git", "commit", "-qam", "damage")
    with pytest.raises(AssayError, match=r"^rollback: registry/champions\.json of \w{12}: must be a list, .* `git log"):
        rollback.roll_back(tagged.read("v0.0.1"), "main", "a test")
    assert tagged.read("champion").version == "v0.0.3"
    with pytest.raises(AssayError, match=r"champions\.json: must be a list"):
        history.behind(history.read(), Path("registry/champions.json"))


def test_rollback_brings_the_previous_champion_back_and_moves_nothing_else(checkout: Path) -> None:
    before = run(checkout, "git", "rev-parse", "HEAD"), run(checkout, "git", "status", "--porcelain")
    said = asked("rollback", "--why", "it took cats for dogs")
    assert "canary of 28 files: the same pixels" in said
    assert "classifier v0.0.1 is the champion again" in said
    assert tagged.read("champion").version == "v0.0.1"
    assert (run(checkout, "git", "rev-parse", "HEAD"), run(checkout, "git", "status", "--porcelain")) == before
    branch = "retrain/promote-v0.0.1"
    changed = run(checkout, "git", "diff", "--name-only", "main", branch).split()
    assert changed == ["registry/champions.json"]
    (champion,) = json.loads(run(checkout, "git", "show", f"{branch}:registry/champions.json"))
    assert (champion["version"], champion["model"]) == ("v0.0.1", "a")
    assert "it took cats for dogs" in asked("history")


@pytest.mark.slow
def test_second_rollback_does_not_return_to_the_bad_one(checkout: Path) -> None:
    asked("rollback")
    with pytest.raises(AssayError, match=r"no champion before this one: v0\.0\.1 is the first"):
        rollback.previous()


@pytest.mark.slow
def test_gto_sees_the_same_champion(checkout: Path) -> None:
    asked("rollback")
    assert run(checkout, "gto", "show", "classifier#champion", "--version") == "v0.0.1"


def test_tag_and_branch_are_sent_in_one_step(checkout: Path, tmp_path: Path) -> None:
    run(tmp_path, "git", "init", "-q", "--bare", "remote")
    run(checkout, "git", "remote", "add", "origin", str(tmp_path / "remote"))
    run(checkout, "git", "push", "-q", "origin", "main", "--tags")
    assert "pushed retrain/promote-v0.0.1 and classifier#champion#3 to origin" in asked("rollback")
    there = run(tmp_path / "remote", "git", "for-each-ref", "--format=%(refname:short)")
    assert "retrain/promote-v0.0.1" in there and "classifier#champion#3" in there


def test_model_that_this_machine_answers_otherwise_does_not_come_back(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary, "LIMIT", -1)  # so that no answer is near enough
    with pytest.raises(AssayError, match=r"rollback: v0\.0\.1 is not answered here as it was; nothing was changed"):
        asked("rollback")
    assert tagged.read("champion").version == "v0.0.3"


def test_nothing_to_go_back_to_is_said(release: Release) -> None:
    release("v0.0.1", 1)
    with pytest.raises(AssayError, match="no champion before this one: there is none"):
        rollback.previous()


def event(number: int, version: str) -> history.Event:
    tag = f"classifier#champion#{number}"
    return history.Event(tag=tag, when="", who="", why="", commit="", version=version)


@pytest.mark.parametrize(
    ("assigned", "way"),
    [
        ("", ""),
        ("1", "1"),
        ("123", "123"),
        ("121", "1"),
        ("1213", "13"),
        ("12321", "1"),
        ("1223", "123"),
        ("12312", "12"),
    ],
)
def test_earlier_champion_takes_back_what_came_after_it(assigned: str, way: str) -> None:
    events = [event(number, version) for number, version in enumerate(assigned, 1)]
    assert history.champions(list(reversed(events))) == list(way)


def test_verify_finds_what_is_not_as_released(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssayError, match=r"v0\.0\.3 is not as it was released"):
        asked("verify", "v0.0.3")
    done = CliRunner().invoke(cli, ["verify", "champion"])
    assert "- models/model.keras: neither in DVC's cache nor in a remote" in done.output
    assert "+ models/export: 30 files as released" in done.output
    assert "- the export is not that of the released model" in done.output
    assert "+ canary of 28 files: the same pixels" in done.output


def test_verify_accepts_what_is(release: Release) -> None:
    import hashlib

    from assay import files

    Path("data").mkdir()
    for name in ("models/model.keras", "data/manifest.parquet"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(name.encode())
        run(Path.cwd(), "dvc", "add", "-q", name)
    hashes = [hashlib.sha256(name.encode()).hexdigest() for name in ("models/model.keras", "data/manifest.parquet")]
    made = candidate(hashes[0]) | {"data": {"manifest": hashes[1]}}
    release("v0.0.1", 1, stage=1, **made)
    place = tagged.export("v0.0.1")
    assert files.sha256(place.folder / "model.json") == place.sha256
    said = CliRunner().invoke(cli, ["verify"]).output
    assert "+ models/model.keras: as released" in said and "+ data/manifest.parquet: as released" in said


def test_rollback_waits_for_no_statistics() -> None:
    """Of the 8 seconds in which it refused, 5 went into imports of scikit-learn and SciPy."""
    code = "import sys, assay.versions.rollback; print({'numpy', 'pandas', 'scipy', 'sklearn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
