"""A mistake in prefect.yaml is one line that names it, before anything is served."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from checkouts import ROOT

from assay.errors import AssayError
from flows.server import api, deployments

WATCH = {"name": "new-data", "entrypoint": "flows/watch.py:watch"}
NIGHTLY = {"name": "nightly", "entrypoint": "flows/retrain.py:retrain"}
BY_HAND = {"name": "by-hand", "entrypoint": "flows/promote.py:promote"}
Declare = Callable[..., None]


@pytest.fixture
def declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Declare:
    """Write prefect.yaml with these deployments, beside the flows."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flows").symlink_to(ROOT / "flows")

    def write(*entries: Any) -> None:
        deployments.FILE.write_text(yaml.safe_dump({"deployments": list(entries)}))

    return write


def refused() -> str:
    """Return why what is declared cannot be served; it is one line, and begins with the file."""
    with pytest.raises(AssayError) as raised:
        for each in deployments.read():
            deployments.served(each)
    said = str(raised.value)
    assert "\n" not in said
    assert said.startswith("prefect.yaml: ")
    return said.removeprefix("prefect.yaml: ")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "missing or empty, must be a mapping with `deployments`"),
        (b"[]", "missing or empty, must be a mapping with `deployments`"),
        (b"name: assay", "deployments: missing or empty, must be a list with one entry at the least"),
        (b"deployments:", "deployments: missing or empty, must be a list with one entry at the least"),
        (b"deployments: {name: x}", "deployments: {'name': 'x'}, must be a list"),
        (b"deployments: [5]", "deployments: entry 1: 5, must be a mapping with name and entrypoint"),
        (b"deployments: [{name: x}]", "deployments: entry 1: entrypoint: missing or empty, must be a text"),
        (b"deployments: [{entrypoint: a.py:b}]", "deployments: entry 1: name: missing or empty, must be a text"),
        (b"deployments: {", "not YAML: "),
        (b"deployments: [{name: \xff}]", "not YAML: "),
        (b"deployments: [{name: x, name: y}]", "not YAML: 'name' stands here twice"),
    ],
)
def test_file_that_declares_nothing_is_named(content: bytes, said: str, declare: Declare) -> None:
    deployments.FILE.write_bytes(content)
    assert refused().startswith(said)


def test_file_that_is_not_there_is_named(declare: Declare) -> None:
    assert refused() == "not found; run this in the folder that holds it"


@pytest.mark.parametrize(
    ("schedules", "said"),
    [
        (None, "empty; write `- {cron:"),
        ({"cron": "0 3 * * *"}, "{'cron': '0 3 * * *'}, must be a list"),
        (["0 3 * * *"], "'0 3 * * *', must be as {cron:"),
        ([{"interval": 3600}], "unknown key 'interval'; known here: cron, timezone"),
        ([{"cron": "0 3 * * *", "active": False}], "unknown key 'active'; known here: cron, timezone"),
        ([{"timezone": "UTC"}], "cron: missing or empty, must be a text"),
        ([{"cron": "0 25 * * *"}], "'0 25 * * *' is no cron schedule; "),
        (
            [{"cron": "0 3 * * *", "timezone": "Europe/Berln"}],
            "no time zone 'Europe/Berln'; did you mean 'Europe/Berlin'?",
        ),
        ([{"cron": "0 3 * * *", "timezone": 7}], "no time zone '7'; as Europe/Berlin"),
    ],
)
def test_schedule_that_cannot_be_is_named(schedules: Any, said: str, declare: Declare) -> None:
    declare(NIGHTLY | {"schedules": schedules})
    assert refused().startswith(f"retrain/nightly: schedules: {said}")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (WATCH | {"parameters": {"shair": 0.05}}, "unknown key 'shair'; did you mean 'share'?"),
        (NIGHTLY | {"parameters": {"aproval": True}}, "unknown key 'aproval'; did you mean 'approval'?"),
        (WATCH | {"parameters": {"x": 1}}, "unknown key 'x'; known here: ref, share"),
        (WATCH | {"parameters": {"share": "much"}}, "share: input should be a valid number, unable to parse"),
        (WATCH | {"parameters": {"ref": 5}}, "ref: input should be a valid string, not 5"),
        (BY_HAND | {"parameters": {"ref": 5}}, "ref: input should be a valid string, not 5"),
        (BY_HAND | {"schedules": [{"cron": "0 3 * * *"}]}, "version: missing, and its schedule starts it without"),
    ],
)
def test_parameter_that_would_crash_every_run_is_named(entry: Any, said: str, declare: Declare) -> None:
    declare(entry)
    assert refused().partition(": parameters: ")[2].startswith(said)


def test_parameter_that_a_person_gives_may_be_left_out(declare: Declare) -> None:
    declare(BY_HAND | {"parameters": None})
    (each,) = deployments.read()
    assert deployments.served(each).parameters == {}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (WATCH | {"entrypoint": "flows/wach.py:watch"}, "watch/new-data: entrypoint: no file 'flows/wach.py'"),
        (WATCH | {"entrypoint": "flows.watch.watch"}, "flows.watch.watch/new-data: entrypoint: no file ''"),
        (
            WATCH | {"entrypoint": "flows/watch.py:wach"},
            "wach/new-data: entrypoint 'flows/watch.py:wach': Flow function with name 'wach' not found",
        ),
        (
            WATCH | {"entrypoint": "flows/watch.py:tell"},
            "tell/new-data: entrypoint 'flows/watch.py:tell': Function with name 'tell' is not a flow",
        ),
        (WATCH | {"entrypoint": "broken.py:watch"}, "watch/new-data: entrypoint 'broken.py:watch': Script at"),
        (WATCH | {"schedule": []}, "watch/new-data: unknown key 'schedule'; did you mean 'schedules'?"),
        (WATCH | {"work_pool": "cpu"}, "watch/new-data: work_pool: 'cpu', must be a mapping"),
    ],
)
def test_entry_that_cannot_be_served_is_named(entry: Any, said: str, declare: Declare) -> None:
    Path("broken.py").write_text("import no_such_module\n")
    declare(entry)
    assert refused().startswith(said)


def test_two_deployments_of_one_name_are_not_one(declare: Declare) -> None:
    declare(WATCH, WATCH)
    assert refused() == "watch/new-data: declared twice; give one of them another name"


def test_deployment_without_a_pool_is_named_where_workers_run_it(declare: Declare) -> None:
    declare(WATCH)
    (each,) = deployments.read()
    with pytest.raises(AssayError, match=r"^prefect.yaml: watch/new-data: no work pool; write `work_pool: "):
        deployments.pool(each)


def test_flows_whose_deployments_the_server_may_still_have_are_all_that_prefect_yaml_may_name() -> None:
    declared = {
        found
        for file in (ROOT / "flows").glob("*.py")
        for found in re.findall(r"@flow.*?\ndef (\w+)", file.read_text(), re.DOTALL)
    }
    assert declared - {"pipeline"} == set(api.FLOWS)
