"""What Prefect's server does by itself: seen on one machine with a real server, real runs and a real receiver."""

import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy
from cases import as_approved, images
from looks import add
from machine import Machine, until
from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.settings import PREFECT_API_URL, temporary_settings
from receiver import receiving

from assay.operations import alert
from assay.validation.profile import approved
from flows.server import automations

pytestmark = pytest.mark.live
SOON = timedelta(seconds=10)  # the least that Prefect waits for silence
REFUSES = [0]  # messages that the receiver is about to refuse


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Machine, list[dict[str, Any]]]]:
    late = {
        "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "1",
        "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "1",
    }
    with receiving(refuse=REFUSES) as (url, told):
        machine = Machine(tmp_path_factory.mktemp("machine"), url, **late)
        with temporary_settings({PREFECT_API_URL: machine.api}):
            machine.start("server")
            machine.start("serve")
            yield machine, told
            machine.stop()


@pytest.fixture
def told(running: tuple[Machine, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What people were told since the test began."""
    running[1].clear()
    return running[1]


@pytest.fixture
def machine(running: tuple[Machine, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The machine before its first retraining, with everything running; its checkout is the current folder."""
    machine, _ = running
    if "serve" not in machine.processes:
        machine.start("serve")
    machine.reset()
    monkeypatch.chdir(machine.checkout)
    monkeypatch.setenv(alert.URLS, machine.settings[alert.URLS])
    return machine


def start(deployment: str, **parameters: Any) -> FlowRun:
    with get_client(sync_client=True) as client:
        found = client.read_deployment_by_name(deployment)
        return client.create_flow_run_from_deployment(found.id, parameters=parameters)


def wait_less(**limits: timedelta) -> None:
    """Set the automations up again, with less patience than is good for a machine at work."""
    with get_client(sync_client=True) as client:
        automations.set_up(client.read_deployment_by_name(automations.RETRAIN).id, **limits)


def run_called(part: str) -> FlowRun:
    """Return the newest retraining whose name begins so, once there is one."""

    def find() -> FlowRun | None:
        with get_client(sync_client=True) as client:
            runs = client.read_flow_runs(sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=20)
        return next((run for run in runs if run.name.startswith(part)), None)

    return until(find)


def message(run: FlowRun) -> str:
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run.id).state
    return (state and state.message) or ""


def titles(told: list[dict[str, Any]]) -> list[str]:
    return [each["title"] for each in told]


def test_drift_of_new_images_is_told_and_starts_a_retraining(machine: Machine, told: list[dict[str, Any]]) -> None:
    new = machine.checkout.parent / "new"
    add(new, 20, seed=1)
    random = np.random.default_rng(0)
    rows = images("cat", train=200)
    for name in ("brightness", "noise", "sharpness", "contrast", "entropy"):
        rows[name] = random.normal(10, 1, len(rows))
    approved.write(machine.checkout / "data/approved.json", as_approved(rows))
    machine.git("add", "-f", "data/approved.json")
    machine.git("commit", "-qm", "approved")

    look = start("monitor/new-images", source=f"folder:{new}")
    assert machine.end(look) == "Completed"
    assert "60 images: drift of " in message(look)
    assert message(look).endswith("a retraining was asked for")
    assert machine.end(run_called("drift: ")) == "Completed"
    assert titles(told) == ["Assay: new images have drifted"]
    assert "brightness: " in told[0]["message"]
    assert "1-0-" in told[0]["message"]
    assert Path(told[0]["message"].rpartition("Report: ")[2]).exists()
    assert told[0]["attachments"]


def test_new_data_start_a_retraining_once(machine: Machine, told: list[dict[str, Any]]) -> None:
    assert machine.end(machine.ask()) == "Completed"
    toy.add_images(machine.checkout.parent, 6)
    look = start("watch/new-data")
    assert machine.end(look) == "Completed"
    assert machine.end(run_called("new data: ")) == "Completed"
    assert len(toy.branches(machine.checkout)) == 2
    again = start("watch/new-data")
    assert machine.end(again) == "Skipped"
    assert told == []


def test_person_makes_a_held_model_the_champion_in_the_ui(machine: Machine, told: list[dict[str, Any]]) -> None:
    assert machine.end(machine.ask(approval=True)) == "Held"
    assert titles(told) == ["Assay: model v0.0.1 is held"]
    wrong = start("promote/by-hand", version="v9")
    assert machine.end(wrong) == "Failed"
    assert "no version 'v9'" in message(wrong)
    assert machine.end(start("promote/by-hand", version="v0.0.1")) == "Completed"
    assert "classifier#champion#1" in machine.git("tag").split()


def test_message_that_a_receiver_did_not_take_comes_from_the_server_and_once(
    machine: Machine, told: list[dict[str, Any]]
) -> None:
    toy.does(machine.checkout, "train", "raise ValueError('no such thing')")
    REFUSES[0] = len(alert.WAITS_S)
    assert machine.end(machine.ask()) == "Failed"
    until(lambda: told)
    assert titles(told) == ["Assay: train failed"]
    machine.calm()
    assert machine.end(machine.ask()) == "Completed"
    assert titles(told) == ["Assay: train failed"]
    assert list((machine.checkout / ".assay/alerts/letters").glob("*")) == []


def test_run_whose_machine_is_gone_becomes_lost_and_is_told_once(machine: Machine, told: list[dict[str, Any]]) -> None:
    wait_less(silent=SOON)
    machine.pause("train")
    run = machine.ask()
    machine.reach("train")
    flow = machine.flow()
    machine.kill("serve")
    os.kill(flow, signal.SIGKILL)
    assert machine.end(run) == "Lost"
    until(lambda: told)
    machine.calm()
    machine.start("serve")
    assert machine.end(machine.ask()) == "Completed"
    assert titles(told) == ["Assay: the retraining crashed"]


def test_run_that_nothing_begins_is_told_once(machine: Machine, told: list[dict[str, Any]]) -> None:
    machine.kill("serve")
    wait_less(late=SOON)
    run = machine.ask()
    until(lambda: told)
    machine.start("serve")
    assert machine.end(run) == "Completed"
    assert titles(told) == ["Assay: a retraining is missing"]
