"""`assay doctor` says what is wrong and what to do; the files that systemd and Prefect read are sound."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import toy
import yaml
from answers import the
from checkouts import ROOT
from prefect.settings import PREFECT_API_URL, temporary_settings
from receiver import DEAD, receiving

from assay import files
from assay.errors import AssayError
from assay.operations import alert, disk, messages, outbox
from assay.validation import waivers
from assay.versions import lock
from flows.doctor import declared, examine
from flows.doctor.answer import Answer
from flows.server import deployments

UNITS = sorted((ROOT / "deploy/systemd").iterdir())


def test_environment_of_this_project_is_within_its_limits() -> None:
    assert the(examine.versions()).todo == ""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("sqlalchemy>=2.0.45,<2.1", "sqlalchemy>=2.1", r"sqlalchemy 2\.0\.\d+, wanted >=2\.1"),
        ("tqdm>=4.67", "nosuchpackage>=1", "nosuchpackage None, wanted >=1"),
    ],
)
def test_package_outside_its_limits_is_named(old: str, new: str, said: str, checkout: Path) -> None:
    text = (checkout / "pyproject.toml").read_text()
    assert old in text
    (checkout / "pyproject.toml").write_text(text.replace(old, new))
    answer = the(examine.versions())
    assert re.search(said, answer.seen)
    assert "requirements.lock" in answer.todo


def test_full_disk_is_said_with_what_is_free_and_what_is_wanted(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "room", lambda _: (1.25, 12.0))
    assert the(examine.room()) == Answer(subject="disk", seen="1.2 GiB free, 12.0 wanted", todo="assay clean")


@pytest.mark.parametrize(("total_gib", "wanted"), [(10, 2.0), (100, 5.0), (10_000, 50.0)])
def test_more_is_wanted_of_a_larger_disk(total_gib: int, wanted: float) -> None:
    assert disk.wanted_gib(total_gib * disk.GIB) == wanted


def test_lock_names_its_holder(checkout: Path) -> None:
    with lock.taken("run 7"):
        seen = [answer.seen for answer in examine.locks()]
    assert seen == [
        f"held by process {os.getpid()} (run 7)",
        "its locks are readable",
        "dvc.yaml and dvc.lock are readable",
    ]


def test_broken_lock_of_dvc_is_named(checkout: Path) -> None:
    (checkout / ".dvc/tmp/rwlock").write_text('{"/a/b": {"wri')
    assert "remove .dvc/tmp/rwlock" in list(examine.locks())[1].todo


@pytest.mark.parametrize("left", ["", "schema: '2.0'\nstages:\n  ingest:\n", "schema: '2.0'\nstages:\n<<<<<<< HEAD\n"])
def test_torn_dvc_lock_is_named_with_what_brings_it_back(checkout: Path, left: str) -> None:
    (checkout / "dvc.yaml").write_text("stages: {ingest: {cmd: 'true'}}")
    assert list(examine.locks())[2].todo == ""
    (checkout / "dvc.lock").write_text(left)
    answer = list(examine.locks())[2]
    assert answer.todo
    assert re.search(
        "dvc.lock'(, YAML file structure is corrupted| validation failed): .*git checkout HEAD -- dvc.lock", answer.seen
    )


def test_waiver_that_ends_within_a_week_is_told_before(checkout: Path) -> None:
    shutil.copy(ROOT / "params.yaml", checkout)
    assert the(examine.waivers()).todo == ""
    days = {"soon": datetime.now(UTC).date() + timedelta(days=7), "later": datetime.now(UTC).date() + timedelta(days=9)}
    rows = [{"expectation": name, "until": str(day), "where": f"waiver {name}"} for name, day in days.items()]
    files.write_json(checkout / "reports/validation/results.json", {"waivers": rows})
    answer = the(examine.waivers())
    assert answer.todo
    assert "'soon' until" in answer.seen
    assert "later" not in answer.seen
    told = messages.ending(waivers.ending_soon(checkout / "reports/validation/results.json", datetime.now(UTC).date()))
    assert told.text.startswith(f"'soon' is excused until {days['soon']} (waiver soon)")


def test_gate_that_was_disarmed_is_named_every_time_and_stops_no_retraining(checkout: Path) -> None:
    shutil.copy(ROOT / "params.yaml", checkout)
    shutil.copytree(ROOT / "expectations", checkout / "expectations", dirs_exist_ok=True)
    assert the(examine.gate()).seen == "no rule asks for less than the shipped one"
    file = checkout / "expectations/images.yaml"
    content = yaml.safe_load(file.read_text())
    (rule,) = [each for each in content["expectations"] if each["rule"] == "decodable"]
    rule["severity"] = "warning"
    file.write_text(yaml.safe_dump(content))
    answer = the(examine.gate())
    assert (answer.seen, answer.todo) == ("disarmed: decodable (warning, shipped as critical)", "")
    assert answer.is_note


def test_champion_of_the_tags_that_this_checkout_does_not_know_is_named_and_stops_no_retraining(
    checkout: Path,
) -> None:
    shutil.copy(ROOT / "params.yaml", checkout)
    (checkout / "registry").mkdir(exist_ok=True)
    (checkout / "registry/champions.json").write_text("[]\n")
    assert the(examine.champion()).seen == "none yet"
    git = "git", "-c", "user.name=Tester", "-c", "user.email=tester@example.com"
    toy.run(checkout, *git, "commit", "-q", "--allow-empty", "-m", "release")
    toy.run(checkout, *git, "tag", "-a", "-m", "first", "classifier@v0.0.1")
    toy.run(checkout, *git, "tag", "-a", "-m", "in use", "classifier#champion#1")
    answer = the(examine.champion())
    assert answer.seen.startswith(
        "registry/champions.json of this checkout ends with none, by the tags the champion is"
    )
    assert answer.is_note and not answer.todo
    (checkout / "registry/champions.json").write_text("{}\n")
    answer = the(examine.champion())
    assert "champions.json: must be a list" in answer.seen
    assert answer.todo.startswith("`git checkout HEAD -- registry/champions.json`") and not answer.is_note


def test_remotes_that_do_not_answer_are_named(checkout: Path) -> None:
    assert [answer.todo for answer in examine.remotes()] == ["", ""]
    toy.run(checkout, "git", "remote", "add", "origin", str(checkout / "nowhere"))
    toy.run(checkout, "dvc", "remote", "add", "-q", "-d", "store", "http://127.0.0.1:1/store")
    assert [bool(answer.todo) for answer in examine.remotes()] == [True, True]


def test_receivers_get_a_test_message_when_it_is_asked_for(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "nobody is told" in the(examine.receivers(True)).seen
    monkeypatch.setattr(alert, "WAITS_S", (0,))
    with receiving() as (url, received):
        monkeypatch.setenv(alert.URLS, f"{url} {DEAD}")
        assert len(list(examine.receivers(False))) == 1
        assert received == []
        assert [bool(answer.todo) for answer in examine.receivers(True)] == [False, True]
        assert len(received) == 1


def test_message_that_was_not_delivered_goes_out_with_the_test(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert, "WAITS_S", (0,))
    with receiving() as (url, received), temporary_settings({PREFECT_API_URL: None}):
        monkeypatch.setenv(alert.URLS, f"{url} {DEAD}")
        for to in (url, DEAD):
            outbox.keep(to, "title", "body")
        waiting = list(examine.receivers(False))[-1]
        assert (waiting.seen, waiting.todo) == ("2 messages not delivered", "assay doctor --test-alerts")
        left = list(examine.receivers(True))[-1]
        assert (left.seen, left.todo.split(";")[0]) == ("1 message not delivered", "mend what stands above")
        assert [each["title"] for each in received] == ["Assay: a test", "title"]


def test_question_that_breaks_is_an_answer_too() -> None:
    def broken() -> Iterator[Answer]:
        raise ValueError("no such thing")

    (answer,) = examine.ask([broken])
    assert (answer.subject, answer.seen) == ("broken", "ValueError: no such thing")
    assert answer.todo


def test_message_of_ours_is_an_answer_that_says_what_to_do() -> None:
    def wrong() -> Iterator[Answer]:
        raise AssayError("params.yaml: seed: missing\nparams.yaml: threads: missing")

    (answer,) = examine.ask([wrong])
    assert (answer.subject, answer.seen) == ("wrong", "params.yaml: seed: missing params.yaml: threads: missing")
    assert answer.todo.startswith("mend what the message names")


@pytest.mark.slow
def test_command_exits_with_1_and_tells_people_once(checkout: Path) -> None:
    (checkout / "flows").symlink_to(ROOT / "flows")
    with receiving() as (url, received):
        variables = {alert.URLS: url, "PREFECT_API_URL": "http://127.0.0.1:1/api", "PREFECT_HOME": str(checkout / "p")}
        printed = toy.run(checkout, "assay", "doctor", "--alert", code=1, **variables)
        toy.run(checkout, "assay", "doctor", "--alert", code=1, **variables)
    assert re.search(r"^!!  server .* does not answer", printed, re.MULTILINE)
    assert re.search(r"^ok  versions ", printed, re.MULTILINE)
    (told,) = received
    assert told["title"] == "Assay: the next retraining is in danger"
    assert "start it: make server" in told["message"]


def test_deployments_name_flows_that_are_there_with_parameters_that_they_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    served = {each.name: deployments.served(each) for each in deployments.read()}
    assert set(served) == {
        "retrain/nightly",
        "watch/new-data",
        "monitor/new-images",
        "promote/by-hand",
        "stage/cpu",
        "stage/gpu",
    }
    schedule = served["retrain/nightly"].schedules[0].schedule
    assert (schedule.cron, schedule.timezone) == ("0 3 * * *", "Europe/Berlin")
    assert served["retrain/nightly"].parameters["ref"] == "main"


def test_mistake_in_prefect_yaml_is_named(checkout: Path) -> None:
    (checkout / "flows").symlink_to(ROOT / "flows")
    assert the(declared.deployed()).todo == ""
    text = (checkout / "prefect.yaml").read_text()
    (checkout / "prefect.yaml").write_text(
        text.replace("share:", "shair:").replace("entrypoint: flows/p", "entrypoint: p")
    )
    parameter, entrypoint = declared.deployed()
    assert "watch/new-data: parameters: unknown key 'shair'" in parameter.seen
    assert "promote/by-hand: entrypoint: no file 'promote.py'" in entrypoint.seen
    assert parameter.todo == entrypoint.todo == "mend prefect.yaml, then restart `assay serve-flows`"
    (checkout / "prefect.yaml").unlink()
    assert the(declared.deployed()).seen.startswith("prefect.yaml: not found")
    assert list(declared.refs()) == []


def test_ref_that_is_no_commit_and_source_that_is_gone_are_named(checkout: Path) -> None:
    (checkout / "flows").symlink_to(ROOT / "flows")
    shutil.copy(ROOT / "params.yaml", checkout)
    answer = the(declared.refs())
    assert answer.subject == "ref main"
    assert answer.seen.startswith("no commit of this repository: ref of retrain/nightly, watch/new-data, ")
    assert "git fetch" in answer.todo
    commit(checkout, "no snapshot at all")
    assert the(declared.refs()).seen == "data/source.json of main is no snapshot"
    (checkout / "images").mkdir()
    commit(checkout, json.dumps({"source": f"folder:{checkout / 'images'}"}))
    assert the(declared.refs()).todo == ""
    (checkout / "images").rmdir()
    answer = the(declared.refs())
    assert answer.seen == f"folder:{checkout / 'images'}, as data/source.json of main names it, is not there"
    assert "is the disk mounted?" in answer.todo


def commit(checkout: Path, source: str) -> None:
    """Commit data/source.json."""
    (checkout / "data").mkdir(exist_ok=True)
    (checkout / "data/source.json").write_text(source)
    toy.run(checkout, "git", "add", "-f", "data/source.json")
    toy.run(checkout, "git", "-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "-qm", "source")


def test_source_is_gone_where_nothing_lies_at_its_path(tmp_path: Path) -> None:
    (tmp_path / "0.tar").touch()
    there = [
        "folder:{}",
        "table:{}/0.tar",
        "tar:{}/*.tar",
        "tar:{}/**/0.tar",
        "table:s3://bucket/{}.csv",
        "keras:mnist",
    ]
    assert [name for name in there if declared.is_gone(name.format(tmp_path))] == []
    gone = ["folder:{}/no", "table:{}/no.csv", "tar:{}/no*.tar"]
    assert [name for name in gone if declared.is_gone(name.format(tmp_path))] == gone


def test_folder_that_is_no_repository_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    answer = the(examine.remotes())
    assert (answer.subject, answer.seen.partition(":")[0]) == ("git", "git remote")
    assert "not a git repository" in answer.seen
    assert "`git init` and commit" in answer.todo


def test_server_is_told_the_address_at_which_it_is_started() -> None:
    for file in ("Makefile", "deploy/systemd/assay-server.service"):
        text = (ROOT / file).read_text()
        (address,) = re.findall(r"PREFECT_UI_URL=\S*?http://([\d.:]+)", text)
        assert "prefect server start --host {} --port {}".format(*address.split(":")) in text


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_units_are_sound(tmp_path: Path) -> None:
    for unit in UNITS:
        text = unit.read_text().replace("User=assay", "User=root").replace("/srv/assay", str(tmp_path))
        (tmp_path / unit.name).write_text(text)
    for program in ("prefect", "assay"):
        (tmp_path / ".venv/bin").mkdir(parents=True, exist_ok=True)
        (tmp_path / ".venv/bin" / program).write_text("#!/bin/sh\n")
        (tmp_path / ".venv/bin" / program).chmod(0o755)
    files = [str(tmp_path / unit.name) for unit in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_alert_names_a_chapter_that_is_there() -> None:
    chapters = re.findall(r"^### (.+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    sources = "".join(
        (ROOT / file).read_text() for file in ("assay/operations/messages.py", "flows/server/automations.py")
    )
    named = set(re.findall(r"\{GUIDE\}: (\w+)", sources))
    named |= set(re.findall(r'_letter\(block, .*, "(\w+)"\)', sources))
    assert named == set(chapters)


def test_pools_of_prefect_yaml_are_those_that_the_docs_make() -> None:
    declared = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    made = re.findall(r"prefect work-pool create (\w+) ", (ROOT / "docs/operations.md").read_text())
    assert {each["work_pool"]["name"] for each in declared} == set(made) == {"cpu", "gpu"}
