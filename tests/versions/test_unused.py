"""`assay clean` removes what nothing refers to, and nothing else."""

import os
import shutil
import sys
import time
from pathlib import Path

import pytest
import toy

from assay import state
from assay.versions import lock, unused, worktree


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three versions of one file that DVC keeps: at a tag, on a remote's branch, on main; and one that nobody kept."""
    folder = toy.repository(tmp_path_factory.mktemp("kept") / "checkout")
    for content in ("tagged", "remote", "experiment", "main"):
        (folder / "data.txt").write_text(content)
        toy.run(folder, "dvc", "add", "-q", "data.txt")
        if content == "experiment":
            continue
        toy.run(folder, "git", "add", "-A")
        toy.run(folder, "git", "commit", "-qm", content)
        if content == "tagged":
            toy.run(folder, "git", "tag", "-a", "-m", "x", "classifier@v0.0.1")
        if content == "remote":
            toy.run(folder, "git", "update-ref", "refs/remotes/origin/other", "HEAD")
            toy.run(folder, "git", "reset", "-q", "--hard", "HEAD~1")
    return folder


@pytest.fixture
def checkout(kept: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(kept, tmp_path / "checkout", symlinks=True))


def cached(checkout: Path) -> set[str]:
    return {file.read_text() for file in (checkout / ".dvc/cache/files").rglob("*") if file.is_file()}


def test_cache_keeps_what_a_tag_a_branch_or_a_remotes_branch_needs(checkout: Path) -> None:
    assert cached(checkout) == {"tagged", "remote", "experiment", "main"}
    assert unused.clean(checkout, dry=True).objects == 1
    assert len(cached(checkout)) == 4
    assert unused.clean(checkout).objects == 1
    assert cached(checkout) == {"tagged", "remote", "main"}
    assert unused.clean(checkout).objects == 0


def test_cache_keeps_what_lies_here_and_is_not_committed(checkout: Path) -> None:
    (checkout / "data.txt").write_text("today's work")
    toy.run(checkout, "dvc", "add", "-q", "data.txt")
    unused.clean(checkout)
    assert "today's work" in cached(checkout)


def test_revision_that_cannot_be_read_stops_before_anything_is_deleted(checkout: Path) -> None:
    (checkout / "data.txt.dvc").write_text("outs: {")
    toy.run(checkout, "git", "commit", "-qam", "broken")
    with pytest.raises(
        unused.AssayError,
        match=r"^clean: the files as they are in .*/data.txt.dvc', .* corrupted; nothing was deleted$",
    ):
        unused.clean(checkout)
    toy.run(checkout, "git", "branch", "broken")
    toy.run(checkout, "git", "reset", "-q", "--hard", "HEAD~1")
    with pytest.raises(
        unused.AssayError, match=r"^clean: branch 'broken': .*data.txt.dvc', .* corrupted; delete every b"
    ):
        unused.clean(checkout)
    assert len(cached(checkout)) == 4


@pytest.mark.slow
def test_worktree_that_the_next_run_continues_stays_and_an_old_one_goes(checkout: Path) -> None:
    tree = worktree.ready("main", checkout)
    (tree.folder / "data.txt").write_text("half a retraining")
    toy.run(tree.folder, "dvc", "add", "-q", "data.txt")
    assert unused.clean(checkout).worktrees == 0
    assert "half a retraining" in cached(checkout)
    old = time.time() - 8 * 86_400
    os.utime(tree.folder / state.READY, (old, old))
    assert unused.clean(checkout, dry=True).worktrees == 1
    assert tree.folder.exists()
    assert unused.clean(checkout).worktrees == 1
    assert len(toy.run(checkout, "git", "worktree", "list").splitlines()) == 1
    assert "half a retraining" not in cached(checkout)


def test_newest_reports_stay(checkout: Path) -> None:
    for number in range(unused.RUNS_KEPT + 3):
        run = checkout / state.RUNS / f"{number:03d}"
        run.mkdir(parents=True)
        os.utime(run, (number, number))
    assert unused.clean(checkout).reports == 3
    left = sorted(run.name for run in (checkout / state.RUNS).iterdir())
    assert (len(left), left[0]) == (unused.RUNS_KEPT, "003")


def test_running_retraining_is_left_alone(checkout: Path) -> None:
    with lock.taken("a run", checkout), pytest.raises(unused.AssayError, match="a retraining has this checkout"):
        unused.clean(checkout)
    shutil.rmtree(checkout / ".assay", ignore_errors=True)
    assert lock.holder(checkout) is None


def without_list(checkout: Path) -> None:
    """Add to a folder, at a tag, then once more; what DVC knows of the folder at the tag is lost."""
    for number, tag in enumerate(("old", "new")):
        (checkout / "pictures").mkdir(exist_ok=True)
        (checkout / f"pictures/{number}.txt").write_text(f"picture {number}")
        toy.run(checkout, "dvc", "add", "-q", "pictures")
        toy.run(checkout, "git", "add", "-A")
        toy.run(checkout, "git", "commit", "-qm", tag)
        toy.run(checkout, "git", "tag", tag)
        if tag == "old":
            (lost,) = (checkout / ".dvc/cache/files").rglob("*.dir")
            lost.unlink()


def test_tag_whose_folder_is_lost_is_named_with_what_to_do(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_list(checkout)
    before = cached(checkout)
    said = toy.run(checkout, "assay", "clean", code=1)
    assert said == (
        "assay: clean: tag 'old': 'pictures' is neither in DVC's cache nor in a remote that answers; `dvc fetch -aT`, "
        "or delete every branch and tag named here, if nobody needs it; nothing was deleted"
    )
    # At a terminal DVC would ask whether to go on, and then lose what the tag needs.
    terminal = sys.stdout
    monkeypatch.setattr("dvc.utils.isatty", lambda stream: stream is terminal)
    monkeypatch.setattr("builtins.input", lambda _: "y")
    with pytest.raises(unused.AssayError, match="tag 'old': 'pictures' is neither"):
        unused.clean(checkout)
    assert cached(checkout) == before
    toy.run(checkout, "git", "tag", "-d", "old")
    assert toy.run(checkout, "assay", "clean").endswith("0 worktrees, 0 reports, 1 object of the cache")


def test_files_as_they_are_are_named_where_their_folder_is_lost(checkout: Path) -> None:
    without_list(checkout)
    tree = worktree.ready("main", checkout)
    toy.run(checkout, "git", "tag", "-d", "old")
    for file in (checkout / ".dvc/cache/files").rglob("*.dir"):
        file.unlink()
    with pytest.raises(unused.AssayError, match=rf"^clean: the files as they are in {checkout}: 'pict.* `dvc pull`"):
        unused.clean(checkout)
    toy.run(checkout, "git", "rm", "-q", "pictures.dvc")
    toy.run(checkout, "git", "commit", "-qm", "without pictures")
    toy.run(checkout, "git", "tag", "-d", "new")
    with pytest.raises(unused.AssayError, match=rf"^clean: the files as they are in {tree.folder}: 'pictures' "):
        unused.clean(checkout)
