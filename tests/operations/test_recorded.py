"""A byte that a disk flipped is not read: what dvc.lock names is held against what lies there."""

import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from checkouts import ROOT
from toy import repository, run

from assay.errors import AssayError
from assay.operations import recorded, stage_run

STAGES = {
    "make": {
        "cmd": "printf content > made.txt; mkdir -p many/below; printf inside! > many/below/one.txt; "
        "echo > many/other; printf content > many/one.tfrecord",
        "outs": ["made.txt", "many"],
    },
    "use": {"cmd": f"{sys.executable} use.py", "deps": ["made.txt", "many", "use.py"]},
}
USE = """
from pathlib import Path
from assay.operations import stage_run
stage_run.run("use", lambda _: print("has", Path("made.txt").read_text()))
"""


def make(folder: Path) -> Path:
    """Return a repository whose first stage made a file."""
    repository(folder)
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}))
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (folder / "use.py").write_text(USE)
    run(folder, "dvc", "repro", "-q", "make")
    return folder


@pytest.fixture(scope="module")
def began(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("began") / "checkout")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Such a repository, as the current folder, of whose very files DVC knows that they are as it left them."""
    folder = make(tmp_path / "checkout")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def made(began: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of such a repository, as the current folder."""
    folder = Path(shutil.copytree(began, tmp_path / "checkout", symlinks=True))
    monkeypatch.chdir(folder)
    return folder


def flip(file: Path) -> None:
    """Change a byte and neither size nor time, as a disk does."""
    status = file.stat()
    file.chmod(0o644)
    file.write_text(file.read_text().replace("n", "0", 1))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def cached(folder: Path, content: bytes = b"content") -> Path:
    name = hashlib.md5(content).hexdigest()
    return folder / ".dvc/cache/files/md5" / name[:2] / name[2:]


def commands(error: str, folder: Path) -> list[list[str]]:
    return [part.split() for part in error.split("`")[1::2]]


@pytest.mark.slow
def test_what_dvc_brought_back_damaged_is_refused_and_the_commands_mend_it(own: Path) -> None:
    flip(cached(own))
    Path("made.txt").unlink()
    run(own, "dvc", "checkout", "-q")
    assert Path("made.txt").read_text() == "co0tent"
    assert run(own, "dvc", "status", "make").endswith("up to date.")
    said = run(own, "dvc", "repro", "use", code=255)
    (line,) = [each for each in said.splitlines() if each.startswith("use: ")]
    assert line.startswith("use: made.txt is not what dvc.lock has (md5 9a0364b9e99bb480dd25e1f0284c8555): damaged")
    assert "Traceback" not in said
    remove, _, again = commands(line, own)
    run(own, *remove)
    run(own, *again)
    assert Path("made.txt").read_text() == "content"
    assert run(own, "dvc", "status").endswith("up to date.")


@pytest.mark.slow
def test_a_file_of_a_folder_that_dvc_brought_back_damaged_is_refused_too(own: Path) -> None:
    flip(cached(own, b"inside!"))
    shutil.rmtree("many")
    run(own, "dvc", "checkout", "-q")
    assert Path("many/below/one.txt").read_text() == "i0side!"
    said = run(own, "dvc", "repro", "use", code=255)
    (line,) = [each for each in said.splitlines() if each.startswith("use: ")]
    assert line.startswith("use: many/below/one.txt is not what dvc.lock has (md5 ")
    remove, _, again = commands(line, own)
    run(own, *remove)
    run(own, *again)
    assert Path("many/below/one.txt").read_text() == "inside!"


def test_what_has_checksums_of_its_own_is_left_to_the_stage(made: Path) -> None:
    flip(Path("many/one.tfrecord"))
    recorded.check(["many/one.tfrecord", "many/other"])


def test_large_folders_are_not_read(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flip(Path("many/below/one.txt"))
    with pytest.raises(AssayError, match=r"many/below/one\.txt"):
        recorded.check(["many/below/one.txt"])
    monkeypatch.setattr(recorded, "MOST_BYTES", 7)
    recorded.check(["many/below/one.txt"])


@pytest.mark.parametrize("content", ["", "{}", "[1]", "[{}]"])
def test_a_folder_whose_list_is_lost_or_torn_passes(made: Path, content: str) -> None:
    flip(Path("many/below/one.txt"))
    for file in Path(".dvc/cache").rglob("*.dir"):
        file.chmod(0o644)
        file.write_text(content)
    recorded.check(["many/below/one.txt"])


def test_what_was_changed_by_hand_comes_back_from_the_cache(made: Path) -> None:
    flip(Path("made.txt"))
    with pytest.raises(AssayError) as error:
        recorded.check(["made.txt"])
    for command in commands(str(error.value), made):
        run(made, *command)
    recorded.check(["made.txt"])
    assert Path("made.txt").read_text() == "content"


@pytest.mark.parametrize("spoil", [lambda: None, lambda: Path("made.txt").unlink(), lambda: Path("dvc.lock").unlink()])
def test_what_is_as_recorded_or_not_known_passes(made: Path, spoil: Callable[[], None]) -> None:
    spoil()
    recorded.check(["made.txt", "use.py", "params.yaml:seed"])


def test_large_files_are_not_read(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flip(Path("made.txt"))
    monkeypatch.setattr(recorded, "MOST_BYTES", 6)
    recorded.check(["made.txt"])


def test_stage_by_hand_may_read_what_a_stage_by_hand_made(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("made.txt").write_text("another")
    with pytest.raises(SystemExit) as end:
        stage_run.run("use", lambda _: print(Path("made.txt").read_text()))
    assert (end.value.code, capsys.readouterr().out) == (0, "another\n")


def test_damaged_record_is_one_line(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from assay.dataset.records.reader import Broken

    def reads(_: object) -> None:
        raise Broken("record 3: its content is cut or altered")

    with pytest.raises(SystemExit):
        stage_run.run("train", reads)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("train: record 3: its content is cut or altered: a file that it reads is damaged")
    assert "`dvc repro -f -s preprocess`" in line
