"""`assay predict`: the rows that are written, where they are written, and the exit code."""

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import tiny
from asked_of import export, images
from click.testing import CliRunner, Result

from assay import Classifier
from assay.commands.main import cli
from assay.errors import AssayError
from assay.inference import rows
from assay.inference.model import Prediction

__all__ = ["export", "images"]  # fixtures

SIZE = {"height_px": tiny.SIDE_PX, "width_px": tiny.SIDE_PX, "colour": "rgb", "resize": "stretch"}


def asked(*arguments: str | Path, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(cli, ["predict", *map(str, arguments)], input=stdin)


def test_every_form_says_the_same(images: Path, export: Path, tmp_path: Path) -> None:
    found = {}
    for form in ("json", "csv", "parquet"):
        out = tmp_path / f"out.{form}"
        done = asked(images, "--model", export, "--format", form, "--out", out)
        assert type(done.exception).__name__ == "Unreadable"
        found[form] = out
    as_json = json.loads(found["json"].read_text())
    assert [Path(each["path"]).name for each in as_json] == ["0.png", "1.png", "3.png", "4.png", "2.png", "notes.txt"]
    assert as_json[-1]["problem"] == "not an image"
    assert pq.read_table(found["parquet"]).to_pylist() == as_json
    as_csv = list(csv.DictReader(found["csv"].open(newline="")))
    assert as_csv == [{key: "" if value is None else str(value) for key, value in each.items()} for each in as_json]


def test_table_for_people_shows_the_top(images: Path, export: Path) -> None:
    done = asked(images / "0.png", images / "notes.txt", "--model", export, "--top", "2")
    first, second = done.stdout.splitlines()
    label = Classifier.load(export).predict(images / "0.png")[0]
    assert f"{label.label}" in first and f"{label.probability:.1%}" in first
    assert first.count("%") == 2
    assert second.endswith("cannot be read: not an image")


@pytest.mark.parametrize(("form", "name"), [("csv", b"'=1.png,"), ("json", b'"=1.png"')])
def test_name_is_no_formula_in_a_table_for_people_and_unchanged_for_programs(form: str, name: bytes) -> None:
    said = io.BytesIO()
    rows.FORMS[form](iter([rows.row(Prediction(name="=1.png", problem="x"), 1)]), 1, said)
    assert name in said.getvalue()


def test_name_cannot_speak_to_the_terminal() -> None:
    said = io.BytesIO()
    rows.FORMS["table"](iter([rows.row(Prediction(name="a\x1b[2J\nb.png", problem="x"), 1)]), 1, said)
    assert b"\x1b" not in said.getvalue() and said.getvalue().count(b"\n") == 1


def test_file_is_written_whole_or_not_at_all(images: Path, export: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("before")
    done = asked(images, tmp_path / "gone", "--model", export, "--format", "csv", "--out", out)
    assert isinstance(done.exception, AssayError)
    assert out.read_text() == "before"
    assert not list(tmp_path.glob(".*.tmp"))


@pytest.mark.parametrize("given", ["t.csv", "table:t.csv", "0.png", "*.png", "."])
@pytest.mark.parametrize("linked", [False, True])
def test_answers_take_no_place_of_what_is_asked(
    images: Path, export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, linked: bool
) -> None:
    folder = Path(shutil.copytree(images, tmp_path / "images"))
    monkeypatch.chdir(folder)
    Path("t.csv").write_text("path\n0.png\n1.png\n")
    out = Path("t.csv" if "t.csv" in given else "0.png")
    if linked:
        (out := tmp_path / out.name).hardlink_to(folder / out.name)
    before = contents(folder)
    done = asked(Path(given), "--model", export, "--format", "csv", "--out", out)
    assert str(done.exception) == f"predict: --out {out}: that file is read, and would be lost; name another one"
    assert contents(folder) == before


def test_answers_take_no_place_of_standard_input(images: Path, export: Path, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(f"{images / '0.png'}\n")
    command = [sys.executable, "-m", "assay", "predict", "-", "--model", export, "--out", tmp_path / "list"]
    with (tmp_path / "list").open("rb") as stdin:
        done = subprocess.run(command, stdin=stdin, capture_output=True, text=True)
    assert done.returncode == 1 and "that file is read" in done.stderr
    assert (tmp_path / "list").read_text() == f"{images / '0.png'}\n"


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def test_answers_take_no_place_of_an_image_that_a_table_names(images: Path, export: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    content = (images / "0.png").read_bytes()
    (tmp_path / "in" / "a.csv").write_bytes(content)
    (tmp_path / "t.jsonl").write_text('{"path": "in/a.csv"}\n')
    done = asked(tmp_path / "t.jsonl", "--model", export, "--format", "csv", "--out", tmp_path / "in" / "a.csv")
    assert "that file is read" in str(done.exception)
    assert (tmp_path / "in" / "a.csv").read_bytes() == content


def test_exit_code_tells(images: Path, export: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for given, code in ((images / "0.png", 0), (images, 7), (tmp_path / "empty", 1), (tmp_path / "gone", 1)):
        command = [sys.executable, "-m", "assay", "predict", str(given), "--model", str(export)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr


def test_parquet_to_standard_output_is_refused(images: Path, export: Path) -> None:
    done = asked(images, "--model", export, "--format", "parquet")
    assert "needs --out FILE" in str(done.exception)
