"""A waiver is narrow, written down, and ends."""

import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from cases import copies, sound, with_row
from rule_cases import CASES
from validations import Run, asked_once, failed, failing_rows, judged, run

from assay.errors import AssayError, GateClosed
from assay.validation import rules, waivers

__all__ = ["asked_once", "run"]  # fixtures

ODD = ("usual size", "usual aspect")  # warnings that so small an image breaks too
WAIVER = {
    "suite": "images",
    "rule": "image width",
    "names": ["cat/new.png"],
    "why": "the only picture of a rare cat",
    "until": datetime.date(2030, 6, 1),
}


def grant(folder: Path, *granted: dict[str, Any]) -> None:
    (folder / "expectations").mkdir(exist_ok=True)
    (folder / "expectations/waivers.yaml").write_text(yaml.safe_dump(list(granted)))


def test_waived_row_does_not_count_and_is_recorded(
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    grant(tmp_path, WAIVER)
    results = run(with_row(width_px=4), without=ODD)
    assert (failed(results), results["quarantine"]["n_images"]) == ({}, 0)
    (told,) = results["waivers"]
    assert told == {
        "suite": "images",
        "expectation": "image width",
        "names": ["cat/new.png"],
        "why": "the only picture of a rare cat",
        "until": "2030-06-01",
        "where": "expectations/waivers.yaml: waiver 1",
        "n_used": 1,
    }
    assert [(row["path"], row["status"], row["value"]) for row in failing_rows()] == [("cat/new.png", "waived", "4")]
    assert "waived until 2030-06-01: image width: 1 row: the only picture of a rare cat" in capsys.readouterr().out
    assert judged(results)["until"] == "2030-06-01"
    with pytest.raises(GateClosed, match="waiver of 'image width' ran out on 2030-06-01"):
        from assay.validation import gate

        gate.judge(results, results["manifest"], datetime.date(2030, 6, 2))


def test_waiver_excuses_its_rows_under_its_rule_alone(run: Run, tmp_path: Path) -> None:
    grant(tmp_path, WAIVER)
    assert failed(run(with_row(width_px=4, height_px=4), without=ODD)) == {"image height": ["cat/new.png"]}
    grant(tmp_path, WAIVER | {"names": ["cat/train000.png"]})
    assert failed(run(with_row(width_px=4), without=ODD)) == {"image width": ["cat/new.png"]}


def test_waiver_of_one_of_two_that_clash_leaves_the_other(run: Run, tmp_path: Path) -> None:
    grant(tmp_path, WAIVER | {"rule": "one label per picture"})
    assert failed(run(copies(label="dog")))["one label per picture"] == ["cat/train000.png"]


def test_class_can_be_waived_too(run: Run, tmp_path: Path) -> None:
    grant(tmp_path, WAIVER | {"suite": "splits", "rule": "every class in every split", "names": ["val/owl"]})
    assert failed(run(CASES["class without val"])) == {}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"suite": "image"}, "waiver 1: suite: unknown 'image'; did you mean 'images'?"),
        ({"rule": "image with"}, "waiver 1: rule: unknown 'image with'; did you mean 'image width'?"),
        ({"rule": "images at all"}, "waiver 1: rule: 'images at all' is not about single rows; change its limit"),
        ({"names": []}, "waiver 1: names: [], must be a list of texts"),
        ({"names": "cat/new.png"}, "waiver 1: names: 'cat/new.png', must be a list of texts"),
        ({"names": ["cat/old.png"]}, "waiver 1: names: 'cat/old.png' is none of the images any more"),
        ({"why": " "}, "waiver 1: why: ' ', must be a text"),
        ({"until": "some day"}, "waiver 1: until: 'some day', must be a day like 2030-12-31"),
        ({"untill": 1}, "waiver 1: key: unknown 'untill'; did you mean 'until'?"),
    ],
)
def test_wrong_waiver_is_named(run: Run, tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    grant(tmp_path, WAIVER | changes)
    with pytest.raises(AssayError) as error:
        run(with_row(width_px=4), without=ODD)
    assert str(error.value).startswith(f"expectations/waivers.yaml: {said}")


def test_waiver_of_a_property_outlives_the_approval_that_leaves_nothing_new(run: Run, tmp_path: Path) -> None:
    grant(tmp_path, WAIVER | {"suite": "drift", "rule": "pixels as approved", "names": ["brightness"]})
    assert failed(run(CASES["darker"])) == {}
    assert failed(run(sound())) == {}


@pytest.mark.parametrize("text", ["", "[", "why: not", "- yes"])
def test_file_that_holds_no_waivers_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / rules.WAIVERS).write_text(text)
    with pytest.raises(AssayError, match=r"waivers\.yaml: "):
        waivers.read(tmp_path, [])


def test_without_the_file_there_are_no_waivers(tmp_path: Path) -> None:
    assert waivers.read(tmp_path, []) == []
