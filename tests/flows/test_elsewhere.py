"""No name that comes from elsewhere becomes an option of a command: `git fetch --upload-pack=...` runs one."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import toy

from assay.errors import AssayError
from assay.operations import source_changes
from assay.versions import dvc_repo, git
from flows import elsewhere

CALLS = {"run", "talk", "Popen"}
ENDS = {"--", "LAST"}
OPTIONS_OF_A_VALUE = {"-m", "-C", "-p", "-D", "--cacheinfo"}
PROGRAMS = {"git", "dvc"}
HOSTILE = ("--upload-pack=touch {}", "--output={}", "--exec=touch {}", "-u{}", "--git-dir={}")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone, the working directory."""
    origin = toy.repository(tmp_path / "origin")
    toy.run(tmp_path, "git", "clone", "-q", str(origin), str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    return tmp_path


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_looks_like_an_option_does_nothing(here: Path, name: str) -> None:
    made = here / "made"
    name = name.format(made)
    with pytest.raises(AssayError, match="is no branch of a retraining"):
        elsewhere._stage("train", name)
    with pytest.raises(AssayError, match="is no commit of this repository"):
        git.commit(name)
    with pytest.raises(AssayError):
        elsewhere.checkout("origin", name)
    with pytest.raises(AssayError):
        elsewhere.checkout(name, "main")
    with pytest.raises(AssayError):
        source_changes.look(name)
    with pytest.raises(AssayError):
        dvc_repo.plots(name, "HEAD")
    assert not git.has(name)
    assert git.content(Path("dvc.yaml"), name) is None
    assert not list(here.glob("made*"))
    assert not git.run("status", "--porcelain")


@pytest.mark.parametrize(
    "branch", ["main", "stages/a:refs/heads/main", "stages/..", "stages/a b", "+stages/a", "stages/"]
)
def test_a_stage_elsewhere_works_on_a_branch_of_a_retraining_only(branch: str) -> None:
    with pytest.raises(AssayError, match="is no branch of a retraining"):
        elsewhere._stage("train", branch)


@pytest.mark.slow
def test_names_stand_behind_the_last_option_in_every_command() -> None:
    root = Path(__file__).parent.parent.parent
    files = [file for folder in ("assay", "flows", "tasks") for file in (root / folder).rglob("*.py")]
    loose = [f"{file.relative_to(root)}:{line}" for file in files for line in _loose(ast.parse(file.read_text()))]
    assert not loose


@pytest.mark.parametrize(
    ("code", "is_loose"),
    [
        ('git.run("fetch", remote, folder=x)', True),
        ('git.run("show", f"{ref}:{file}")', True),
        ('git.run("fetch", *refs)', True),
        ('subprocess.run(["git", "log", ref])', True),
        ('command = [sys.executable, "-m", "dvc", "plots", old]', True),
        ('git.run("fetch", git.LAST, remote, *refs)', False),
        ('git.run("add", "--", *made)', False),
        ('git.run("commit", "-m", message)', False),
        ('git.run("push", f"refs/heads/{branch}")', False),
    ],
)
def test_the_search_finds_what_is_loose(code: str, is_loose: bool) -> None:
    assert bool(list(_loose(ast.parse(code)))) == is_loose


def _loose(code: ast.Module) -> Iterator[int]:
    """Yield the lines of commands with a part that may begin with a dash, before the options have ended."""
    for node in ast.walk(code):
        words = _words(node)
        for before, word in zip([None, *words], words, strict=False):
            if _text(word) in ENDS:
                break
            if _text(word) is None and _text(before) not in OPTIONS_OF_A_VALUE:
                yield node.lineno  # type: ignore[attr-defined]
                break


def _words(node: ast.AST) -> list[ast.expr]:
    """Return the parts of a command of git or DVC, none of any other node; one of git.py's own may pass on all."""
    if isinstance(node, ast.List):
        texts = [_text(each) for each in node.elts]
        first = next((n for n, text in enumerate(texts) if text in PROGRAMS), None)
        rest = [] if first is None else node.elts[first + 1 :]
        return [] if [ast.unparse(each) for each in rest] == ["*arguments"] else rest
    is_git = isinstance(node, ast.Call) and ast.unparse(node.func) in {"git.run", "git.talk"}
    return node.args if is_git else []  # type: ignore[attr-defined]


def _text(word: ast.expr | None) -> str | None:
    """Return how the part of a command begins, None where that is not written down."""
    if isinstance(word, ast.Attribute | ast.Name) and ast.unparse(word) in ("git.LAST", "LAST"):
        return "LAST"
    if isinstance(word, ast.Starred) and isinstance(word.value, ast.GeneratorExp):
        return _text(word.value.elt)
    if isinstance(word, ast.Constant):
        return str(word.value)
    if isinstance(word, ast.JoinedStr) and isinstance(word.values[0], ast.Constant):
        return str(word.values[0].value)
    if isinstance(word, ast.JoinedStr) and "ARTIFACT" in ast.unparse(word.values[0]):
        return "classifier"
    return None
