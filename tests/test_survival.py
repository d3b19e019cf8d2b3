"""What a year brings: processes killed at the worst moment, a server that is away, a power cut, a full disk.

One machine with real processes for all of these tests. A retraining that was disturbed must end as the undisturbed one
does, to the last byte of what it commits.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import toy
from machine import Machine, until
from prefect.settings import PREFECT_API_URL, temporary_settings
from test_alert import receiving

from assay import alert, worktree
from flows import doctor

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Machine, list[dict[str, Any]]]]:
    """The machine, and what people are told."""
    with receiving() as (url, told):
        machine = Machine(tmp_path_factory.mktemp("machine"), url)
        with temporary_settings({PREFECT_API_URL: machine.api}):
            machine.start("server")
            machine.start("serve")
            yield machine, told
            machine.stop()


@pytest.fixture(scope="module")
def undisturbed(running: tuple[Machine, list[dict[str, Any]]]) -> tuple[str, str, list[str]]:
    """What a retraining leaves that nothing disturbs."""
    machine, told = running
    assert machine.end(machine.ask()) == "Completed"
    assert (machine.champion(), told) == ("v0.0.1", [])
    return machine.result()


@pytest.fixture
def machine(
    running: tuple[Machine, list[dict[str, Any]]], undisturbed: object, monkeypatch: pytest.MonkeyPatch
) -> Machine:
    """The machine before its first retraining, with everything running; its checkout is the current folder."""
    machine, told = running
    for name in ("server", "serve"):
        if name not in machine.processes:
            machine.start(name)
    machine.reset()
    told.clear()
    monkeypatch.chdir(machine.checkout)
    monkeypatch.setenv(alert.URLS, machine.settings[alert.URLS])
    return machine


@pytest.fixture
def told(running: tuple[Machine, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """What people were told."""
    return running[1]


@pytest.fixture
def titles(told: list[dict[str, Any]]) -> Callable[[], list[str]]:
    """Wait for a message, and return the headlines of those that came since the last time."""

    def ask() -> list[str]:
        until(lambda: told)
        found = [each["title"] for each in told]
        told.clear()
        return found

    return ask


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def unwell() -> list[str]:
    """Return what the doctor finds wrong with server, schedule, runs, slots and automations.

    After a start of `serve` it takes Prefect's scheduler some seconds to put in the next runs.
    """
    return [answer.seen for answer in doctor.prefect() if answer.todo]


KILLS = [  # (the stage that runs, who is killed, how the run ends, what people are told)
    ("ingest", "flow", "Crashed", "Assay: retrain crashed"),
    ("train", "flows.reproduce train", "Failed", "Assay: train failed"),  # DVC
    ("train", "step.py train", "Failed", "Assay: train failed"),
]


def test_retraining_whose_processes_are_killed_one_after_the_other_ends_as_if_nothing_had_happened(
    machine: Machine, undisturbed: object, titles: Callable[[], list[str]]
) -> None:
    for stage, killed, ends, tells in KILLS:
        machine.pause(stage)
        run = machine.ask()
        machine.reach(stage)
        kill(machine.flow() if killed == "flow" else machine.the(killed))
        machine.nobody_works_soon()
        assert (machine.end(run), titles()) == (ends, [tells])
        until(lambda: unwell() == [], every=1)
        machine.calm()
    assert machine.end(machine.ask()) == "Completed"
    assert machine.result() == undisturbed


def test_power_cut_is_marked_and_told_when_the_power_is_back_and_the_next_run_goes_on(
    machine: Machine, undisturbed: object, titles: Callable[[], list[str]]
) -> None:
    machine.pause("train")
    run = machine.ask()
    machine.reach("train")
    machine.cut_the_power()
    machine.nobody_works_soon()
    machine.calm()
    machine.start("server")
    assert unwell() == ["nightly: running by the server, without a process"]
    machine.start("serve")
    assert (machine.end(run), titles()) == ("Crashed", ["Assay: retrain crashed"])
    until(lambda: unwell() == [], every=1)
    assert machine.end(machine.ask()) == "Completed"
    assert machine.result() == undisturbed


def test_training_goes_on_and_ends_well_while_the_server_is_away(
    machine: Machine, undisturbed: object, told: list[dict[str, Any]]
) -> None:
    machine.pause("train")
    run = machine.ask()
    machine.reach("train")
    machine.kill("server")
    machine.go()
    recorded = machine.checkout / worktree.PLACE / "dvc.lock"
    until(lambda: "train:" in recorded.read_text())
    machine.start("server")
    assert machine.end(run) == "Completed"
    assert (machine.result(), told) == (undisturbed, [])
    until(lambda: unwell() == [], every=1)


def test_two_that_come_at_once_are_one(machine: Machine, undisturbed: object) -> None:
    both = [machine.ask(), machine.ask()]
    assert sorted(machine.end(run) for run in both) == ["Completed", "Skipped"]
    assert machine.result() == undisturbed


@pytest.fixture
def small_disk(machine: Machine) -> Iterator[Path]:
    """Return the folder above the worktree, on a disk of its own of 3 MB."""
    folder = (machine.checkout / worktree.PLACE).parent
    folder.mkdir(parents=True)
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", folder]).returncode:
        pytest.skip("only root may mount a disk of its own")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_full_disk_is_told_and_the_next_run_goes_on_when_there_is_room(
    machine: Machine, undisturbed: object, small_disk: Path, told: list[dict[str, Any]]
) -> None:
    filler = small_disk / "filler"
    fill = f"with open({str(filler)!r}, 'wb', 0) as out:\n    while True: out.write(b'x' * 4096)"
    toy.does(machine.checkout, "train", fill)
    assert machine.end(machine.ask()) == "Failed"
    until(lambda: told)
    assert [each["title"] for each in told] == ["Assay: train failed"]
    assert "No space left on device" in told[0]["message"]
    assert (toy.branches(machine.checkout), machine.git("tag")) == ([], "")
    filler.unlink()
    machine.calm()
    assert machine.end(machine.ask()) == "Completed"
    assert machine.result() == undisturbed


def test_server_that_cannot_be_reached_is_one_line_and_dvc_repro_needs_none(tmp_path: Path) -> None:
    checkout = toy.make(tmp_path / "toy")
    dead = {"PREFECT_API_URL": "http://127.0.0.1:1/api", "PREFECT_HOME": str(tmp_path / "home")}
    said = toy.run(checkout, "flows.retrain", code=1, **dead)
    assert said.startswith("Prefect: http://127.0.0.1:1/api does not answer (PREFECT_API_URL): ")
    assert "\n" not in said
    toy.run(checkout, "dvc", "repro", **dead)
    assert (checkout / "registry/candidate.json").exists()
