"""The disk that holds everything, Prefect's database too, is full: it is told, and the next run heals."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from machine import Machine, until, unwell
from prefect.settings import PREFECT_API_URL, temporary_settings
from receiver import receiving

from assay.operations import alert

pytestmark = pytest.mark.live


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Machine, list[dict[str, Any]]]]:
    """A machine with one disk of 48 MB for everything, and what people are told."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "none", disk]).returncode:
        pytest.skip("only root may mount a disk of its own")
    (disk / "tmp").mkdir()
    with receiving() as (url, told):
        machine = Machine(disk, url, TMPDIR=str(disk / "tmp"), DVC_SITE_CACHE_DIR=str(disk / "dvc"))
        monkeypatch.chdir(machine.checkout)
        monkeypatch.setenv(alert.URLS, url)
        with temporary_settings({PREFECT_API_URL: machine.api}):
            machine.start("server")
            machine.start("serve")
            yield machine, told
            machine.stop()
    monkeypatch.chdir(tmp_path)
    subprocess.run(["umount", "--lazy", disk], check=True)


def fill(filler: Path) -> None:
    """Leave no room on the disk."""
    with filler.open("ab", buffering=0) as out, suppress(OSError):
        while True:
            out.write(b"x" * 4096)


def test_full_disk_is_told_publishes_nothing_and_the_next_run_goes_on_when_there_is_room(
    small: tuple[Machine, list[dict[str, Any]]],
) -> None:
    machine, told = small
    assert machine.end(machine.ask()) == "Completed"
    undisturbed = machine.result()
    machine.reset()
    machine.pause("train")
    run = machine.ask()
    machine.reach("train")
    machine.go()
    filler = machine.checkout.parent / "filler"
    fill(filler)
    until(lambda: told)
    assert {each["title"] for each in told} >= {"Assay: the disk is nearly full"}
    until(lambda: not machine.at_work())
    assert machine.git("tag") == ""
    filler.unlink()
    assert machine.end(run) == "Failed"
    machine.calm()
    until(lambda: unwell() == [], every=1)
    assert machine.end(machine.ask()) == "Completed"
    assert machine.result() == undisturbed
