"""Names that people are shown: no terminal, spreadsheet or Markdown reader obeys them."""

import csv
import html
import io
import re
import sys
from pathlib import Path

import pytest
import yaml
from checkouts import run
from hypothesis import given
from hypothesis import strategies as st
from listings import fill

from assay import files, pages, terminal, words
from assay.errors import AssayError
from assay.operations import stage_run

NAME = "a\x1b]0;owned\x07\x1bc\x9b31m\u202egpj"
SHOWN = r"a\x1b]0;owned\x07\x1bc\x9b31m\u202egpj"


@given(st.text())
def test_nothing_printable_is_changed_and_nothing_else_is_left(text: str) -> None:
    shown = words.printable(text)
    assert all(each.isprintable() or each in "\n\t" for each in shown)
    assert words.printable(shown) == shown
    if text.isprintable():
        assert shown == text


def test_stdout_shows_names_escaped_and_passes_bytes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    monkeypatch.setattr(sys, "stdout", out)
    terminal.guard()
    terminal.guard()
    print(NAME, "Grüße")
    sys.stdout.flush()
    sys.stdout.buffer.write(NAME.encode())
    assert out.buffer.getvalue().decode() == f"{SHOWN} Grüße\n{NAME}"  # type: ignore[attr-defined]


@pytest.mark.parametrize("error", [AssayError(f"{NAME}: too dark"), ValueError(NAME)])
def test_a_stage_tells_names_escaped(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(_: object) -> None:
        print(NAME)
        raise error

    with pytest.raises(SystemExit):
        stage_run.run("ingest", fails)
    said = capsys.readouterr()
    assert SHOWN in said.out
    assert SHOWN in said.err
    assert "\x1b" not in said.out + said.err


def test_a_command_tells_names_escaped(checkout: Path, tmp_path: Path) -> None:
    fill(tmp_path / "odd", f"{NAME}/1.png", "b/2.png")
    said = run(checkout, "assay", "snapshot", f"folder:{tmp_path / 'odd'}")
    assert SHOWN in said
    assert "\x1b" not in said
    said = run(checkout, "assay", "snapshot", f"folder:{tmp_path / NAME}", code=1)
    assert SHOWN in said
    assert "\x1b" not in said


FORMULAS = ("=1+1", "+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", "＝1")  # noqa: RUF001


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_begins_like_a_formula(text: str) -> None:
    assert words.cell(text) == f"'{text}"
    assert words.cell(f"'{text}") == f"''{text}"


@pytest.mark.parametrize("value", ["cat/1.png", "'s hond", "", "a=b", -0.5, None, True])
def test_other_cells_stay_as_they_are(value: object) -> None:
    assert words.cell(value) is value


@given(st.one_of(st.text(), st.sampled_from(FORMULAS), st.from_regex(words.FORMULA)))
def test_what_a_cell_held_comes_back(text: str) -> None:
    assert words.of_cell(words.cell(text)) == text


def test_failures_have_no_formula(tmp_path: Path) -> None:
    import pandas as pd

    from assay.validation import outcome

    rows = pd.DataFrame([dict.fromkeys(outcome.CSV_COLUMNS, "") | {"path": "=cmd|' /C calc'!A1", "value": -0.5}])
    outcome.write(tmp_path, {}, rows, "")
    (row,) = csv.DictReader((tmp_path / "failures.csv").read_text().splitlines())
    assert row["path"] == "'=cmd|' /C calc'!A1"
    assert row["value"] == "-0.5"
    assert files.read_json(tmp_path / "results.json") == {}


MARKUP = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[here](javascript:alert(1))",
    "![x](http://a/b.png)",
    "**bold** _it_ ~~no~~",
    "a | b",
    "`code`",
    "a\n\n# Title",
    "&lt;b&gt;",
    "\\<b>",
)


@pytest.mark.parametrize("name", MARKUP)
def test_a_name_in_markdown_stands_as_it_is(name: str) -> None:
    """Held against a renderer: the text of the page is the name, its only element the paragraph or the span."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    flat = " ".join(words.printable(name).split())
    (_, text, _) = reader.parse(f"class {pages.markdown(name)} is")
    assert {each.type for each in text.children or []} <= {"text", "text_special"}
    assert "".join(each.content for each in text.children or []) == f"class {flat} is"
    (_, span, _) = reader.parse(f"class {pages.code(name)}.")
    assert [each.content for each in span.children or [] if each.type == "code_inline"] == [flat]
    cells = reader.parse(f"| a | b |\n|---|---|\n| {pages.code(name, in_table=True)} | 1 |")
    assert [each.children[0].content for each in cells if each.type == "inline" and each.children][2:] == [flat, "1"]


@pytest.mark.parametrize("name", MARKUP)
def test_a_name_in_html_stands_as_it_is_and_what_is_between_backticks_is_code(name: str) -> None:
    plain = name.replace("`", "'")
    found = str(pages.said(f"{plain}: run `assay {plain}` now"))
    before, command, after = re.fullmatch(r"(.*)<code>(.*)</code>(.*)", found, re.DOTALL).groups()  # type: ignore[union-attr]
    assert [html.unescape(part) for part in (before, command, after)] == [f"{plain}: run ", f"assay {plain}", " now"]
    assert "<" not in before + command + after


def test_numbers_and_names_of_metrics_are_no_markup() -> None:
    assert pages.markdown("eval.f1_macro 0.95: [16, 32] (params.yaml)") == "eval.f1_macro 0.95: [16, 32] (params.yaml)"


def test_header_of_a_card_holds_any_name() -> None:
    from assay.evaluation import card

    metrics = {"accuracy": 0.5, "f1_macro": 0.5}
    for name in MARKUP:
        assert yaml.safe_load(yaml.safe_dump(card.header(metrics, name))) == card.header(metrics, name)
