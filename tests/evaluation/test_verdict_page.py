from pathlib import Path
from typing import Any

import pytest

from assay.errors import AssayError
from assay.evaluation import verdict_page

PAGE = f"<h1>83 %</h1>\n{verdict_page.BEGIN}\n<p>not yet</p>\n{verdict_page.END}\n<h2>Training</h2>\n"


def made(**changes: Any) -> dict[str, Any]:
    own = {"name": "accuracy", "passed": True, "text": "said above"}
    check = {"name": "labels", "passed": True, "text": "other classes (`params.yaml`) of <b>"}
    return {"verdict": "promote", "checks": [own, check], "champion": None, "against": None} | changes


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "index.html"
    file.write_text(PAGE)
    return file


def test_verdict_stands_where_the_page_left_a_place_and_the_rest_stays(page: Path) -> None:
    found = verdict_page.build(page, made())
    before, after = PAGE.split("<p>not yet</p>\n")
    assert found.startswith(before)
    assert found.endswith(after)
    assert "It may become the champion; there is no champion yet" in found
    assert "not yet" not in found
    assert "other classes (<code>params.yaml</code>) of &lt;b&gt;" in found
    assert "said above" not in found
    assert "<code>assay release</code> makes it a version, and the champion" in found


def test_held_model_is_said_with_both_answers_and_what_comes_next(page: Path) -> None:
    failed = {"name": "classes", "passed": False, "text": "recall is surely lower"}
    weak = {"name": "accuracy", "passed": False, "text": "accuracy 0.4"}
    against = {"model_verdict": "worse on these images", "change_verdict": "not told"}
    found = verdict_page.build(page, made(verdict="hold", checks=[weak, failed], champion="v0.0.3", against=against))
    assert "It is held, beside champion v0.0.3" in found
    assert '<strong class="bad">failed</strong> · recall is surely lower.' in found
    assert "by itself, as said above: accuracy." in found
    assert "<strong>This model</strong>: worse on these images." in found
    assert "<strong>This change</strong>: not told." in found
    assert "as a version that is no champion" in found


def test_page_without_a_place_is_refused_by_name(page: Path) -> None:
    page.write_text("<h1>83 %</h1>")
    with pytest.raises(AssayError, match=r"index.html has no place for the verdict.*dvc repro --force evaluate"):
        verdict_page.build(page, made())
