"""The gate opens for the manifest that passed, and closes with a message and exit code 3."""

import datetime
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from checkouts import ROOT
from receiver import receiving

from assay import files, passes
from assay.errors import AssayError, GateClosed
from assay.validation import gate

CLOSED = "image width: 1 of 2 images: width_px must be at least 8: a.png (4) (expectations/images.yaml: image width)"


TODAY = datetime.date(2030, 6, 1)
NONE_ASIDE = {"limit": 0.01, "share": 0.0, "n_images": 0, "n_allowed": 0, "paths": []}


def results(*expectations: tuple[str, bool, str], manifest: str = "abc", **others: Any) -> dict[str, Any]:
    keys = ("severity", "success", "message")
    others_of_rule = {"expectation": "rule", "because": "", "table": "images"}
    rules = [
        dict(zip(keys, each, strict=True), **others_of_rule, quarantine=False, n_failed=0, failures=[])
        for each in expectations
    ]
    whole = {
        "manifest": manifest,
        "n_images": 200,
        "quarantine": NONE_ASIDE,
        "waivers": [],
        "weaker": [],
        "expectations": rules,
    }
    return whole | others


def waiver(until: str) -> dict[str, Any]:
    return {"suite": "images", "expectation": "size", "until": until, "where": "expectations/waivers.yaml: waiver 1"}


def ask(folder: Path, judged: dict[str, Any], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the stage in a checkout whose manifest is the text `rows`."""
    shutil.copy(ROOT / "params.yaml", folder)
    files.write_text(folder / "data/manifest.parquet", "rows")
    files.write_json(folder / "reports/validation/results.json", judged)
    return stage(folder, **environment)


def stage(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    silent = {key: value for key, value in os.environ.items() if not key.startswith(("ASSAY_", "DVC_"))}
    command = [sys.executable, "-m", "tasks.gate"]
    variables = silent | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)


# sha256sum of the four bytes `rows`
ROWS = "bc51e9e65d79e1c90ba544ab2eae1044ccdf8c1af7a559ba375cba4276f7d99e"


def test_open_gate_passes_this_manifest() -> None:
    assert gate.judge(results(("critical", True, "")), "abc", TODAY) == {
        "gate": "open",
        "manifest": "abc",
        "set_aside": [],
    }


def test_failed_warning_and_info_leave_the_gate_open() -> None:
    assert gate.judge(results(("warning", False, "a"), ("info", False, "b")), "abc", TODAY)["gate"] == "open"


def test_closed_gate_names_every_critical_failure_alone() -> None:
    found = results(
        ("critical", False, "one"), ("warning", False, "two"), ("critical", True, ""), ("critical", False, "3")
    )
    with pytest.raises(GateClosed) as closed:
        gate.judge(found, "abc", TODAY)
    assert str(closed.value) == "closed by 2 critical expectations\none\n3"


def test_what_may_follow_from_another_failure_stands_in_one_line_after_it() -> None:
    found = results(*(("critical", False, text) for text in ("four", "two", "one", "three")))
    first, second, third, fourth = found["expectations"]
    first |= {"expectation": "balance", "because": "known class"}
    second |= {"expectation": "enough", "because": "known class", "failures": ["a", "b", "c", "d"]}
    fourth |= {"expectation": "known class"}
    with pytest.raises(GateClosed) as closed:
        gate.judge(found, "abc", TODAY)
    assert str(closed.value).splitlines() == [
        "closed by 4 critical expectations",
        "one",
        "three",
        "may follow from 'known class': balance, enough ('a', 'b', 'c', ...)",
    ]
    assert third["because"] == ""


def test_what_is_set_aside_is_told_beside_what_it_may_be_the_cause_of() -> None:
    few = {"limit": 0.01, "share": 0.005, "n_images": 1, "n_allowed": 0, "paths": ["a.png"]}
    given = results(("critical", False, "test set as approved"), quarantine=few)
    with pytest.raises(GateClosed, match="1 image is set aside, at most 1% may be"):
        gate.judge(given, "abc", TODAY)


def test_failures_and_a_budget_that_is_spent_are_said_together() -> None:
    spent = {"limit": 0.01, "share": 0.015, "n_images": 3, "n_allowed": 0, "paths": []}
    with pytest.raises(GateClosed) as closed:
        gate.judge(results(("critical", False, "one"), quarantine=spent), "abc", TODAY)
    assert str(closed.value).splitlines() == [
        "closed by 1 critical expectation",
        "one",
        "quarantine: 3 of 200 images (1.5%) would have to be set aside, at most 1% may be"
        " (params.yaml: gate.max_quarantined_share)",
    ]


def test_pass_holds_until_the_first_waiver_ends_and_names_what_is_set_aside() -> None:
    few = {"limit": 0.01, "share": 0.005, "n_images": 1, "n_allowed": 0, "paths": ["a.png"]}
    given = results(("critical", True, ""), quarantine=few, waivers=[waiver("2030-07-01"), waiver("2030-06-01")])
    passed = {"gate": "open", "manifest": "abc", "set_aside": ["a.png"], "until": "2030-06-01"}
    assert gate.judge(given, "abc", TODAY) == passed


def test_waiver_that_ran_out_closes_the_gate_though_nothing_fails() -> None:
    with pytest.raises(GateClosed) as closed:
        gate.judge(results(("critical", True, ""), waivers=[waiver("2030-05-31")]), "abc", TODAY)
    assert str(closed.value).splitlines() == [
        "closed by 1 waiver",
        "waiver of 'size' ran out on 2030-05-31; mend the data, or renew it (expectations/waivers.yaml: waiver 1)",
    ]


@pytest.mark.parametrize(("until", "holds"), [("1999-12-31", False), ("9999-12-31", True)])
def test_pass_is_worth_nothing_after_the_end_of_a_waiver(tmp_path: Path, until: str, holds: bool) -> None:
    """DVC does not ask the gate again when nothing but the day has changed, so each stage behind it looks."""
    files.write_json(tmp_path / "passed.json", {"gate": "open", "manifest": ROWS, "set_aside": [], "until": until})
    if holds:
        passes.check_passed(tmp_path / "passed.json")
        return
    with pytest.raises(GateClosed, match="let the data pass until 1999-12-31, when a waiver ended"):
        passes.check_passed(tmp_path / "passed.json")


def test_report_of_another_manifest_is_not_judged() -> None:
    with pytest.raises(AssayError, match="is of another manifest") as error:
        gate.judge(results(("critical", True, "")), "abd", TODAY)
    assert error.value.exit_code == 1


def test_missing_pass_stops_what_follows(tmp_path: Path) -> None:
    with pytest.raises(AssayError, match=r"passed\.json is missing: the gate is closed or was not asked"):
        passes.check_open(tmp_path / "passed.json", tmp_path / "manifest.parquet")


def test_pass_holds_for_its_manifest_alone(tmp_path: Path) -> None:
    passed, manifest = tmp_path / "passed.json", tmp_path / "manifest.parquet"
    manifest.write_text("rows")
    files.write_json(passed, {"gate": "open", "manifest": ROWS, "set_aside": ["a.png"]})
    assert passes.check_open(passed, manifest) == {"a.png"}
    manifest.write_text("other rows")
    with pytest.raises(AssayError, match="is for another"):
        passes.check_open(passed, manifest)


def test_stage_writes_the_pass(tmp_path: Path) -> None:
    asked = ask(tmp_path, results(("critical", True, ""), manifest=ROWS))
    assert (asked.returncode, asked.stderr) == (0, "")
    assert files.read_json(tmp_path / "data/passed.json") == {"gate": "open", "manifest": ROWS, "set_aside": []}


def test_open_gate_tells_people_what_it_sets_aside(tmp_path: Path) -> None:
    few = {"limit": 0.01, "share": 0.01, "n_images": 2, "n_allowed": 0, "paths": []}
    judged = results(("critical", True, CLOSED), manifest=ROWS, quarantine=few)
    judged["expectations"][0] |= {"quarantine": True, "n_failed": 2, "failures": ["a.png", "b.png"]}
    with receiving() as (url, received):
        asked = ask(tmp_path, judged, ASSAY_ALERT_URLS=url)
    assert asked.returncode == 0
    told = f"2 of 200 images are set aside, at most 1% may be (params.yaml: gate.max_quarantined_share)\n{CLOSED}"
    assert asked.stdout == f"{told}\nthe gate is open: data/passed.json\n"
    assert [each["title"] for each in received] == ["Assay: gate set images aside"]
    assert received[0]["message"].startswith(f"{told}\n\nWhat to do: mend or remove the images")


def test_closed_stage_exits_3_with_a_message_and_takes_the_old_pass_away(tmp_path: Path) -> None:
    files.write_json(tmp_path / "data/passed.json", {"gate": "open", "manifest": ROWS, "set_aside": []})
    asked = ask(tmp_path, results(("critical", False, CLOSED), manifest=ROWS))
    assert asked.returncode == 3
    assert asked.stderr == (
        f"gate: closed by 1 critical expectation\n{CLOSED}\n"
        "next: look at the page in reports/validation, mend or remove the images, or change the limit in expectations/;"
        " then `dvc repro`\n"
    )
    assert not (tmp_path / "data/passed.json").exists()


def test_stage_without_a_report_says_what_to_run(tmp_path: Path) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    asked = stage(tmp_path)
    assert asked.returncode == 1
    assert asked.stderr == (
        "gate: reports/validation/results.json is missing: nothing was validated; run `dvc repro validate`\n"
    )
