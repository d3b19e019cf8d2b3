"""Where a retraining works: continued where it is whole, begun anew where it is not, on top of the last one."""

import shutil
from pathlib import Path

import pytest
import toy

from assay import state
from assay.errors import AssayError
from assay.versions import git, worktree


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with `dvc.lock` on main, and another on the branch of a retraining, which main does not have yet."""
    folder = toy.repository(tmp_path_factory.mktemp("made") / "checkout")
    commit(folder, "a\n")
    toy.run(folder, "git", "switch", "-q", "-c", "retrain/1")
    commit(folder, "a\nb\n")
    toy.run(folder, "git", "switch", "-q", "main")
    return folder


@pytest.fixture
def checkout(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "checkout"))


def commit(folder: Path, text: str) -> None:
    (folder / "dvc.lock").write_text(text)
    toy.run(folder, "git", "add", "-A")
    toy.run(folder, "git", "commit", "-qm", "x")


@pytest.mark.slow
def test_whole_one_is_continued_and_one_that_a_power_cut_left_is_begun_anew(checkout: Path) -> None:
    first = worktree.ready("main", checkout)
    assert not first.continued
    assert worktree.ready("main", checkout).continued
    Path(toy.run(first.folder, "git", "rev-parse", "--git-path", "index.lock")).touch()
    assert not worktree.ready("main", checkout).continued
    (first.folder / "dvc.yaml").write_text("stages: {make: {cmd: make, outs: [made]}}")
    (first.folder / "dvc.lock").unlink()
    assert worktree.ready("main", checkout).continued
    (first.folder / "dvc.lock").touch()  # DVC opens it, and then writes
    assert not worktree.ready("main", checkout).continued
    (first.folder / state.READY).write_text('{"ref": "4')
    assert not worktree.ready("main", checkout).continued
    (first.folder / ".dvc/tmp/rwlock").touch()  # and this
    assert not worktree.ready("main", checkout).continued


def test_locks_that_a_killed_git_left_stand_in_nobodys_way(checkout: Path) -> None:
    first = worktree.ready("main", checkout)
    for name in ("HEAD.lock", "refs/heads/retrain/1.lock", "refs/tags/classifier@v0.0.1.lock"):
        Path(toy.run(first.folder, "git", "rev-parse", "--path-format=absolute", "--git-path", name)).touch()
    tree = worktree.ready("main", checkout)
    assert not tree.continued
    toy.run(tree.folder, "git", "switch", "-q", "-C", "retrain/1")
    toy.run(tree.folder, "git", "commit", "-q", "--allow-empty", "-m", "x")
    toy.run(tree.folder, "git", "tag", "classifier@v0.0.1")


def test_last_retraining_holds_the_others_though_all_are_of_one_second_and_is_found_in_three_calls_of_git(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A branch stays for every night: with one call for each pair, a hundred of them took a quarter of a minute."""
    calls = []
    real = git.run
    monkeypatch.setattr(
        git, "run", lambda *arguments, **options: calls.append(arguments) or real(*arguments, **options)
    )
    toy.run(checkout, "git", "switch", "-q", "--detach", "retrain/1")
    for name in ("retrain/9", "retrain/5", "retrain/7"):
        toy.run(checkout, "git", "commit", "-q", "--allow-empty", "-m", "x", GIT_COMMITTER_DATE="2040-01-01T00:00:00Z")
        toy.run(checkout, "git", "branch", name)
    assert worktree.last("main", checkout) == "retrain/7"
    assert worktree.last("retrain/7", checkout) is None
    assert len(calls) == 5


def test_retraining_that_another_clone_published_counts_until_it_is_deleted_there(
    checkout: Path, tmp_path: Path
) -> None:
    toy.run(tmp_path, "git", "clone", "-q", "checkout", "clone")
    assert worktree.last("main", tmp_path / "clone") == "origin/retrain/1"
    toy.run(tmp_path / "clone", "git", "branch", "-q", "retrain/1", "origin/retrain/1")
    assert worktree.last("main", tmp_path / "clone") == "retrain/1"
    toy.run(tmp_path / "clone", "git", "branch", "-qD", "retrain/1")
    for key, value in (("user.email", "tester@example.org"), ("user.name", "Tester")):
        toy.run(tmp_path / "clone", "git", "config", key, value)
    toy.run(tmp_path / "clone", "git", "rm", "-q", "dvc.lock")
    toy.run(tmp_path / "clone", "git", "commit", "-qm", "no dvc.lock")
    with pytest.raises(AssayError, match=r"or delete it: git push origin --delete retrain/1$"):
        worktree.ready("main", tmp_path / "clone")


def test_dvc_lock_that_both_changed_is_that_of_the_retraining(checkout: Path) -> None:
    commit(checkout, "a\nc\n")
    tree = worktree.ready("main", checkout)
    assert (tree.folder / "dvc.lock").read_text() == "a\nb\n"
    toy.run(tree.folder, "git", "merge-base", "--is-ancestor", "main", "HEAD")


def test_conflict_that_git_cannot_decide_says_what_a_person_must_do_and_that_helps(checkout: Path) -> None:
    toy.run(checkout, "git", "rm", "-q", "dvc.lock")
    toy.run(checkout, "git", "commit", "-qm", "no dvc.lock")
    for _ in range(2):
        with pytest.raises(AssayError, match=r"dvc\.lock(.|\n)*git branch -D retrain/1$"):
            worktree.ready("main", checkout)
    toy.run(checkout, "git", "branch", "-q", "-D", "retrain/1")
    assert not (worktree.ready("main", checkout).folder / "dvc.lock").exists()
