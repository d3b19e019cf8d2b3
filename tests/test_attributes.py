"""A clone has the bytes of the commit, whatever its git makes of line ends: DVC would take them for other code."""

import shutil
import subprocess
from pathlib import Path

import pytest
import toy
from checkouts import ROOT

SUFFIXES = {".py", ".yaml", ".md", ".html", ".json", ".csv", ".toml", ".sh", ".lock", ".css", ".js", ".c", ".png", ""}
ODD = {
    "data/relabels.csv": b'sha256,path\r\n1,"a\r\nb"\n',
    "networks/weights.npz": b"PK\x03\x04\r\n\n\r",
    "assay/shown.png": b"\x89PNG\r\n\x1a\n text only\r\n",
}


@pytest.fixture(scope="module")
def commit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a file of each kind that this project keeps in git, and some whose line ends are content."""
    folder = toy.repository(tmp_path_factory.mktemp("attributes") / "made")
    shutil.copy(ROOT / ".gitattributes", folder)
    kinds = {}
    for name in ("assay", "tasks", "expectations", "docs", "data", "deploy", "tests/support", ".ci"):
        for file in sorted((ROOT / name).rglob("*")):
            if file.is_file() and file.suffix in SUFFIXES and "__pycache__" not in file.parts:
                kinds.setdefault((name, file.suffix), file.relative_to(ROOT))
    for file in [
        *kinds.values(),
        *map(Path, ("dvc.yaml", "params.yaml", "Makefile", "requirements.lock", ".dvcignore")),
    ]:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, folder / file)
    for name, content in ODD.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    toy.run(folder, "git", "add", "-A")
    toy.run(folder, "git", "commit", "-qm", "one")
    return folder


@pytest.mark.parametrize("settings", [["core.autocrlf=true"], ["core.autocrlf=input"], ["core.eol=crlf"], []])
def test_clone_has_the_bytes_of_the_commit(commit: Path, tmp_path: Path, settings: list[str]) -> None:
    options = [part for each in settings for part in ("-c", each)]
    toy.run(tmp_path, "git", "clone", "-q", *options, str(commit), "clone")
    names = toy.run(commit, "git", "ls-files").splitlines()
    assert len(names) > 20
    for name in names:
        blob = subprocess.run(["git", "cat-file", "blob", f"HEAD:{name}"], cwd=commit, capture_output=True, check=True)
        assert (tmp_path / "clone" / name).read_bytes() == blob.stdout, name
    assert toy.run(tmp_path / "clone", "git", "status", "--porcelain") == ""
    for name, content in ODD.items():
        assert (tmp_path / "clone" / name).read_bytes() == content


def test_code_that_an_editor_gave_other_line_ends_is_committed_as_it_was(commit: Path, tmp_path: Path) -> None:
    toy.run(tmp_path, "git", "clone", "-q", str(commit), "clone")
    file = tmp_path / "clone/dvc.yaml"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    toy.run(tmp_path / "clone", "git", "add", "dvc.yaml")
    assert toy.run(tmp_path / "clone", "git", "diff", "--cached", "--name-only") == ""
