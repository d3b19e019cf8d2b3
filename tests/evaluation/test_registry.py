"""What registry/ keeps is refused where it is not of its form: damage must not look like a beginning."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from assay.errors import AssayError
from assay.evaluation import registry

CHAMPION = {"version": "v0.0.1", "model": "a1", "last_batch": 1, "errors": []}
MENDS = "`git checkout HEAD -- registry/champions.json` brings the last commit's back"


def write(content: Any, file: str) -> Path:
    Path("registry").mkdir(exist_ok=True)
    (found := Path("registry") / file).write_text(content if isinstance(content, str) else json.dumps(content))
    return found


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("content", [[], [CHAMPION], [CHAMPION, CHAMPION | {"named": None, "ledger": None}]])
def test_champions_of_the_form_are_read(content: Any) -> None:
    assert registry.champions(write(content, "champions.json")) == content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "must be a list, and is an object; `[]` where there is none yet"),
        (None, "must be a list, and is None"),
        (CHAMPION, "must be a list, and is an object"),
        ("<<<<<<< ours", "not JSON: Expecting value"),
        ("", "not JSON: Expecting value"),
        ([CHAMPION, "v0.0.2"], "entry 2 of 2 must be an object, and is 'v0.0.2'"),
        ([{}], "entry 1 of 1: `version` is missing, must be a text"),
        ([{"version": "v0.0.1"}], "entry 1 of 1: `model` is missing, must be a text"),
        ([CHAMPION | {"last_batch": "1"}], "entry 1 of 1: `last_batch` is '1', must be a whole number"),
        ([CHAMPION | {"last_batch": True}], "entry 1 of 1: `last_batch` is True, must be a whole number"),
        ([CHAMPION | {"errors": None}], "entry 1 of 1: `errors` is None, must be a list"),
    ],
)
def test_champions_of_another_form_are_refused_with_what_mends_them(content: Any, said: str) -> None:
    file = write(content, "champions.json")
    with pytest.raises(AssayError, match=re.escape(f"registry/champions.json: {said}")) as error:
        registry.champions(file)
    assert str(error.value).endswith(MENDS)


@pytest.mark.parametrize("content", [{}, [{"model": "a1"}], [["a1"]], "[}"])
def test_looks_of_another_form_are_refused(content: Any) -> None:
    file = write(content, "looks.json")
    with pytest.raises(AssayError, match=r"registry/looks\.json: .*`git checkout HEAD -- registry/looks\.json`"):
        registry.looks(file)


def test_no_looks_and_no_noise_are_none_yet() -> None:
    assert registry.looks(Path("registry/looks.json")) == []
    assert registry.noise(Path("registry/noise.json")) == {}
    assert registry.noise(write({}, "noise.json")) == {}


@pytest.mark.parametrize("content", [[], "x", {"metrics": [0.9]}, {"metrics": {"accuracy": 0.9}}])
def test_noise_of_another_form_is_refused(content: Any) -> None:
    with pytest.raises(AssayError, match=r"registry/noise\.json: .*`git checkout HEAD -- registry/noise\.json`"):
        registry.noise(write(content, "noise.json"))
