"""`assay doctor` where the cache is damaged or gone, and where a checkout lies in another repository."""

import hashlib
import re
import shlex
import shutil
from pathlib import Path

import pytest
import toy
from answers import the
from checkouts import ROOT

from assay.errors import AssayError, of_lost_link
from assay.operations import stage_run
from assay.versions import git, worktree
from flows import reproduce
from flows.doctor import examine


def test_damaged_file_of_the_cache_is_named_and_left_for_a_person(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examine, "SAMPLE", 1e-9)  # of large files: a small one is read each time
    assert the(examine.cache()).todo == ""
    (file,) = [file for file in (checkout / ".dvc/cache/files").rglob("*") if file.is_file()]
    file.chmod(0o644)
    file.write_text("c0ntent")
    answer = the(examine.cache())
    assert file.name in answer.seen
    assert file.exists()


@pytest.fixture
def linked(checkout: Path) -> Path:
    """The checkout, its file and its folder links into a cache that is gone: `moved` beside it."""
    (checkout / "more").mkdir()
    (checkout / "more/a.txt").write_text("a")
    toy.run(checkout, "dvc", "config", "cache.type", "symlink")
    toy.run(checkout, "dvc", "add", "-q", "more")
    toy.run(checkout, "dvc", "checkout", "-q", "--relink")
    (checkout / ".dvc/cache").rename(checkout.parent / "moved")
    return checkout


def test_cache_that_was_moved_is_named_and_its_command_brings_it_back(linked: Path) -> None:
    answer = the(examine.cache())
    named, _, seen = answer.seen.partition(": ")
    assert (set(named.split(", ")), seen) == ({"data.txt", "more"}, "links into DVC's cache, which lead nowhere")
    assert "`dvc cache dir --local PATH`" in answer.todo and "`dvc pull`" in answer.todo
    toy.run(linked, "dvc", "cache", "dir", "--local", str(linked.parent / "moved"))
    toy.run(linked, "dvc", "checkout", "-q")
    answer = the(examine.cache())
    assert (answer.seen, answer.todo) == ("small files and a sample of the others are sound", "")


def test_what_reads_a_link_into_a_cache_that_is_gone_names_it(linked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FileNotFoundError) as error:
        (linked / "data.txt").read_text()
    said = of_lost_link(error.value)
    assert said.startswith(f"{linked / 'data.txt'} is a link to {linked / '.dvc/cache/'}")
    assert "`dvc cache dir --local PATH`" in said
    end = reproduce._bad_end("gate", error.value)
    assert end["message"] == f"gate: {said}"
    shutil.copy(ROOT / "params.yaml", linked)
    with pytest.raises(SystemExit):
        stage_run.run("gate", lambda _: print((linked / "data.txt").read_text()))
    assert capsys.readouterr().err.strip() == f"gate: {said}"
    with pytest.raises(FileNotFoundError) as absent:
        (linked / "absent").read_text()
    assert of_lost_link(absent.value) == ""


def test_cache_that_lacks_what_lies_here_is_no_sound_one(checkout: Path) -> None:
    shutil.rmtree(checkout / ".dvc/cache")
    answer = the(examine.cache())
    assert answer.seen.startswith("data.txt: not in DVC's cache")
    toy.run(checkout, "dvc", "commit", "-q", "-f")
    assert the(examine.cache()).seen == "small files and a sample of the others are sound"


def test_fresh_clone_has_nothing_wrong_yet(checkout: Path) -> None:
    shutil.rmtree(checkout / ".dvc/cache")
    (checkout / "data.txt").unlink()
    answer = the(examine.cache())
    assert answer.seen.startswith("data.txt: neither here nor in the cache; `dvc pull`")
    assert answer.is_note and not answer.todo


def test_file_of_a_folder_that_is_gone_from_the_cache_is_seen(checkout: Path) -> None:
    (checkout / "more").mkdir()
    (checkout / "more/a.txt").write_text("a")
    toy.run(checkout, "dvc", "add", "-q", "more")
    name = hashlib.md5(b"a").hexdigest()
    (checkout / ".dvc/cache/files/md5" / name[:2] / name[2:]).unlink()
    assert the(examine.cache()).seen.startswith("more: not in DVC's cache")


def test_folder_of_another_repository_is_no_place_for_releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mono = toy.repository(tmp_path / "mono")
    toy.run(tmp_path, "git", "-C", str(toy.make(tmp_path / "made")), "archive", "-o", str(tmp_path / "a.tar"), "HEAD")
    (mono / "ml").mkdir()
    toy.run(mono, "tar", "xf", str(tmp_path / "a.tar"), "-C", "ml")
    toy.run(mono, "git", "add", "-A")
    toy.run(mono, "git", "commit", "-qm", "one")
    monkeypatch.chdir(mono / "ml")
    answer = the(examine.place())
    assert f"this checkout is the folder ml/ of the repository {mono}" in answer.seen and answer.todo
    assert toy.run(mono / "ml", "assay", "release", code=1).startswith(f"assay: release: {answer.seen}")
    with pytest.raises(AssayError, match=r"^retrain: this checkout is the folder ml/"):
        worktree.ready("main", mono / "ml")
    assert git.show(Path("params.yaml"), "main")  # of this folder, not of the one above
    (command, _) = re.findall("`(git [^`]*)`", answer.seen)
    toy.run(mono, *shlex.split(command))
    toy.run(tmp_path, "git", "clone", "-q", "-b", "own", str(mono), "own")
    monkeypatch.chdir(tmp_path / "own")
    assert not the(examine.place()).todo


def test_submodule_is_a_place_for_releases_and_not_for_retrainings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    above = toy.repository(tmp_path / "above")
    allowed = ("-c", "protocol.file.allow=always")
    toy.run(above, "git", *allowed, "submodule", "add", "-q", str(toy.make(tmp_path / "made")), "ml")
    monkeypatch.chdir(above / "ml")
    answer = the(examine.place())
    assert f"this checkout is a submodule of {above}" in answer.seen and answer.todo
    with pytest.raises(AssayError, match=r"^retrain: this checkout is a submodule"):
        worktree.ready("main")
    git.check_own()
