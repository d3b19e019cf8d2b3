"""What a year brings: processes killed at the worst moment, a server that is away, a power cut, a full disk.

One machine with real processes for all of these tests. A retraining that was disturbed must end as the undisturbed one
does, to the last byte of what it commits.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import toy
from machine import Machine, until, unwell

from assay import state

pytestmark = pytest.mark.live


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


KILLS = [  # (the stage that runs, who is killed, how the run ends, what people are told)
    ("ingest", "flow", "Crashed", "Assay: retrain crashed"),
    ("train", "flows.reproduce train", "Failed", "Assay: train failed"),  # DVC
    ("train", "step train", "Failed", "Assay: train failed"),
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


def test_run_whose_server_of_flows_was_killed_ends_with_it_and_the_next_goes_on(
    machine: Machine, undisturbed: object, titles: Callable[[], list[str]]
) -> None:
    machine.pause("train")
    (run,) = machine.miss(1)  # one of the schedule
    machine.reach("train")
    machine.kill("serve")
    machine.nobody_works_soon()
    assert (machine.end(run), titles()) == ("Crashed", ["Assay: retrain crashed"])
    machine.calm()
    machine.start("serve")
    until(lambda: unwell() == [], every=1)
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


def test_training_goes_on_and_ends_well_while_the_server_is_away_for_a_minute_and_again(
    machine: Machine, undisturbed: object, told: list[dict[str, Any]]
) -> None:
    machine.pause("train")
    run = machine.ask()
    machine.reach("train")
    training = machine.the("step train")
    machine.kill("server")
    time.sleep(60)
    machine.start("server")
    assert machine.the("step train") == training
    machine.kill("server")  # now it is away when the training ends
    machine.go()
    recorded = machine.checkout / state.CHECKOUT / "dvc.lock"
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
    folder = (machine.checkout / state.CHECKOUT).parent
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
