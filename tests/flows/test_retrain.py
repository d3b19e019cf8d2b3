"""Whole retrainings, by `python -m flows.retrain` in real checkouts, against one Prefect server."""

import json
import shutil
import threading
import time
from pathlib import Path

import pytest
import toy
from receiver import receiving
from retrainings import Retrain, checkout, clean, first, made, retrain, retrained, tags

from assay.operations import alert
from assay.versions import rollback, tagged

__all__ = ["checkout", "first", "made", "retrain", "retrained"]  # fixtures

pytestmark = pytest.mark.slow


def test_retraining_is_one_commit_on_its_own_branch_and_the_next_stands_on_it(checkout: Path, retrain: Retrain) -> None:
    (checkout / "params.yaml").write_text("nonsense: an edit that nobody committed\n")
    assert "v0.0.1 is the champion" in retrain()
    toy.run(checkout, "git", "checkout", "-q", "params.yaml")
    (first,) = toy.branches(checkout)
    assert tags(checkout) == ["classifier#champion#1", "classifier@v0.0.1"]
    assert clean(checkout)
    assert {file.name for file in (checkout / ".dvc/cache").iterdir()} <= {"files", "runs"}
    assert not (checkout / ".dvc/cache/files/md5/files").exists()
    assert (checkout / f".assay/runs/{first.removeprefix('retrain/')}/verdict/index.html").exists()
    assert "nothing is new" in retrain(code=5)

    toy.add_images(checkout.parent, 4)
    (checkout / "notes.txt").write_text("main went on meanwhile")
    toy.run(checkout, "git", "add", "-A")
    toy.run(checkout, "git", "commit", "-qm", "notes")
    assert "v0.0.2 is the champion" in retrain()
    (second,) = set(toy.branches(checkout)) - {first}
    for part in (first, "main"):
        toy.run(checkout, "git", "merge-base", "--is-ancestor", part, second)
    message = toy.run(checkout, "git", "log", "-1", "--format=%B", second)
    assert message.splitlines()[0] == "Release classifier v0.0.2: promote, accuracy 0.14"
    assert "| `eval.accuracy` | 0.1 | 0.14 | +0.04 |" in message
    champions = json.loads(toy.run(checkout, "git", "show", f"{second}:registry/champions.json"))
    assert [each["version"] for each in champions] == ["v0.0.1", "v0.0.2"]
    assert clean(checkout)
    assert "nothing is new" in retrain(code=5)


def test_closed_gate_leaves_a_report_and_an_alert_and_no_commit(checkout: Path, retrain: Retrain) -> None:
    toy.add_images(checkout.parent, 12, "bad")
    with receiving() as (url, received):
        printed = retrain(code=3, **{alert.URLS: url})
        retrain(code=3, **{alert.URLS: url})
    assert "Rejected" in printed
    assert "Traceback" not in printed
    (told,) = received
    assert told["title"] == "Assay: gate rejected the data"
    assert "10. bad/009.png" in told["message"]
    report = Path(told["message"].rpartition("Report: ")[2])
    assert report.is_relative_to(checkout / ".assay/runs")
    assert report.read_text() == "page"
    assert (toy.branches(checkout), tags(checkout)) == ([], [])
    assert clean(checkout)


def test_images_set_aside_are_told_of_once_with_the_report_that_stays(checkout: Path, retrain: Retrain) -> None:
    toy.add_images(checkout.parent, 1, "odd")
    with receiving() as (url, received):
        retrain(**{alert.URLS: url})
    (told,) = received
    assert told["title"] == "Assay: gate set images aside"
    assert told["message"].startswith("1 image is set aside, at most 50% may be")
    report = Path(told["message"].rpartition("Report: ")[2])
    assert report.is_relative_to(checkout / ".assay/runs")
    assert report.read_text() == "page"


def test_held_model_is_told_and_waits_for_a_person(
    checkout: Path, retrain: Retrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as (url, received):
        assert "v0.0.1 is not the champion" in retrain("--approval", code=4, **{alert.URLS: url})
        assert "classifier#champion#1" not in tags(checkout)
        assert "it may be promoted, and waits for approval" in received[0]["message"]
        assert "likeliest cause: too few files" in received[0]["message"]
        assert "assay promote v0.0.1" in received[0]["message"]
        assert "is now the champion" in toy.run(checkout, "assay", "promote", "v0.0.1")
        assert "classifier#champion#1" in tags(checkout)
        assert "nothing is new" in retrain(code=5)

        next((checkout.parent / "images/ape").iterdir()).unlink()
        assert "v0.0.2 is not the champion" in retrain(code=4, **{alert.URLS: url})
    assert [each["title"] for each in received] == [f"Assay: model v0.0.{n} is held" for n in (1, 2)]
    assert "- accuracy 0.09" in received[1]["message"]
    assert "no version 'v9'; there are v0.0.2, v0.0.1" in toy.run(checkout, "assay", "promote", "v9", code=1)
    assert not any("v9" in branch for branch in toy.branches(checkout))
    assert clean(checkout)
    toy.run(checkout, "assay", "promote", "v0.0.2")
    assert "is now the champion" in toy.run(checkout, "assay", "promote", "v0.0.1")
    assert "nothing is new" in retrain(code=5)
    assert clean(checkout)
    monkeypatch.chdir(checkout)
    rollback.roll_back(tagged.read("v0.0.2"), "main", "a test")  # no stage has seen the champions that it leaves
    assert "is now the champion" in toy.run(checkout, "assay", "promote", "v0.0.1")


def test_failed_retraining_is_told_once_and_the_next_goes_on_where_it_was(checkout: Path, retrain: Retrain) -> None:
    toy.does(checkout, "register", "raise ValueError('no such thing')")
    with receiving() as (url, received):
        retrain(code=1, **{alert.URLS: url})
        (told,) = received
        assert told["title"] == "Assay: register failed"
        toy.does_nothing(checkout)
        toy.does(checkout, "train", "raise ValueError('trained twice')")
        assert "v0.0.1 is the champion" in retrain(**{alert.URLS: url})
    assert len(received) == 1
    assert clean(checkout)


def test_retraining_that_fails_twice_is_begun_anew(checkout: Path, retrain: Retrain) -> None:
    toy.does(checkout, "register", "raise ValueError('no such thing')")
    retrain(code=1)
    (checkout / ".assay/retrain/checkout/dvc.lock").write_text("cut off\n: {")
    retrain(code=1)
    toy.does_nothing(checkout)
    assert "v0.0.1 is the champion" in retrain()
    assert clean(checkout)


def test_image_that_comes_while_the_first_stage_reads_takes_part(checkout: Path, retrain: Retrain) -> None:
    late = checkout.parent / "images/ape/late.png"
    toy.does(checkout, "ingest", f"Path({str(late)!r}).write_text('image')")
    assert "v0.0.1 is the champion" in retrain()
    (branch,) = toy.branches(checkout)
    assert json.loads(toy.run(checkout, "git", "show", f"{branch}:metrics/data.json"))["data"]["n_images"] == 11
    assert "was the champion already" in toy.run(checkout, "assay", "promote", "v0.0.1")


def test_wrong_ref_and_lost_source_are_one_line(checkout: Path, retrain: Retrain) -> None:
    printed = retrain("--ref", "nowhere", code=1)
    assert "'nowhere' is no commit of this repository" in printed
    shutil.rmtree(checkout.parent / "images")
    printed = retrain(code=1)
    assert "no such folder" in printed
    assert "Traceback" not in printed


def test_run_after_a_lost_source_is_skipped_where_nothing_is_new(retrained: Path, server: str) -> None:
    branches = toy.branches(retrained)
    (retrained.parent / "images").rename(retrained.parent / "away")
    toy.run(retrained, "flows.retrain", code=1, PREFECT_API_URL=server)
    (retrained.parent / "away").rename(retrained.parent / "images")
    assert "nothing is new" in toy.run(retrained, "flows.retrain", code=5, PREFECT_API_URL=server)
    assert toy.branches(retrained) == branches
    assert clean(retrained)


def test_clone_without_a_cache_retrains(retrained: Path, server: str) -> None:
    (branch,) = toy.branches(retrained)
    (retrained.parent / "new/does").mkdir(parents=True)
    toy.run(retrained.parent, "git", "clone", "-q", "-b", branch, "checkout", "new/checkout")
    new = retrained.parent / "new/checkout"
    toy.run(new, "git", "remote", "remove", "origin")
    next((retrained.parent / "images/ape").iterdir()).unlink()
    toy.run(new, "flows.retrain", "--ref", branch, code=4, PREFECT_API_URL=server)
    assert len(tags(new)) == 3


def test_two_at_once_one_runs_and_one_is_skipped(checkout: Path, retrain: Retrain) -> None:
    began, goes_on = checkout.parent / "began", checkout.parent / "goes on"
    waits = f"while not Path({str(goes_on)!r}).exists(): time.sleep(0.1)"
    toy.does(checkout, "train", f"Path({str(began)!r}).touch()\n{waits}")
    said: list[str] = []
    first = threading.Thread(target=lambda: said.append(retrain()))
    first.start()
    while first.is_alive() and not began.exists():
        time.sleep(0.2)
    try:
        assert "another run has this checkout" in retrain(code=5)
    finally:
        goes_on.touch()
        first.join()
    assert "v0.0.1 is the champion" in said[0]


def flip_a_byte(file: Path) -> None:
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)


def test_flipped_byte_in_the_cache_is_said_and_made_anew(retrained: Path, server: str) -> None:
    (old,) = toy.branches(retrained)
    cached = (retrained / ".dvc/cache/files").rglob("*")
    (raw,) = (file for file in cached if file.is_file() and file.stat().st_size > 100_000)
    flip_a_byte(raw)
    toy.run(retrained, "dvc", "checkout", "-q", "--allow-missing", code=0)
    toy.add_images(retrained.parent, 2)
    assert f"damaged: {raw}" in toy.run(retrained, "flows.retrain", PREFECT_API_URL=server)
    toy.run(retrained, "git", "switch", "-q", "--detach", next(b for b in toy.branches(retrained) if b != old))
    toy.run(retrained, "dvc", "checkout", "-q")
    assert "x" * 100_000 in (retrained / "data/raw/12.tar").read_text()
