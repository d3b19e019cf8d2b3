"""A retraining on two machines: two clones and two workers, with git's and DVC's remotes between them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import toy
import yaml
from machine import Machine, until
from prefect.settings import PREFECT_API_URL, temporary_settings
from receiver import receiving

pytestmark = pytest.mark.live


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[tuple[Machine, list[dict[str, object]]]]:
    """The machine of the server and of the pool `cpu`; its clone has the remotes."""
    with receiving() as (url, told):
        machine = Machine(tmp_path, url, PREFECT_WORKER_QUERY_SECONDS="1")
        declare(machine)
        with temporary_settings({PREFECT_API_URL: machine.api}):
            machine.start("server")
            yield machine, told
            machine.stop()


def declare(machine: Machine) -> None:
    """Let what the gate leaves never be sent, and give the clone its remotes."""
    declared = {name: {"cmd": f"python step.py {name}"} | stage for name, stage in toy.STAGES.items()}
    declared["gate"]["outs"] = [{"${paths.passed}": {"push": False}}, "${paths.validation}"]
    (machine.checkout / "dvc.yaml").write_text(yaml.safe_dump({"stages": declared}, sort_keys=False))
    beside = machine.checkout.parent
    toy.run(machine.checkout, "dvc", "remote", "add", "-q", "-d", "store", str(beside / "store"))
    machine.git("commit", "-qam", "remotes")
    machine.git("init", "-q", "-b", "main", "--bare", str(beside / "git"))
    machine.git("remote", "add", "origin", str(beside / "git"))
    machine.git("push", "-q", "origin", "main")


def work(machine: Machine, pool: str, clone: Path) -> subprocess.Popen[bytes]:
    """Start a worker of the pool in the clone."""
    with (machine.home / f"{pool}.log").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--name", pool],
            cwd=clone,
            env=toy.environment(machine.checkout, **machine.settings, ASSAY_CHECKOUT=str(clone)),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    machine.processes[pool] = worker
    until(lambda: "started" in machine.log(pool))
    return worker


def cached(clone: Path) -> str:
    """Return all that DVC keeps in the clone."""
    return "\n".join(file.read_text() for file in (clone / ".dvc/cache/files").rglob("*") if file.is_file())


def worked(machine: Machine, pool: str) -> list[str]:
    """Return the stages that ran in the pool as tasks of their own: `release` runs register once more in another."""
    said = [line.split() for line in machine.log(pool).splitlines() if "working on" in line]
    return [words[-1] for words in said if f"'{words[-1]}'" in words]


def prefect(machine: Machine, *command: str) -> None:
    toy.run(machine.checkout, sys.executable, "-m", "prefect", *command, **machine.settings)


def test_stages_run_on_the_machines_of_their_pools_and_share_what_they_make(
    machine: tuple[Machine, list[dict[str, object]]], tmp_path: Path
) -> None:
    here, told = machine
    there = tmp_path / "elsewhere"
    toy.run(tmp_path, "git", "clone", "-q", str(here.checkout.parent / "git"), str(there))
    prefect(here, "work-pool", "create", "cpu", "--type", "process")
    said = toy.run(here.checkout, "assay", "deploy-flows", code=1, **here.settings)
    assert said.splitlines()[-1] == "stage/gpu: no work pool 'gpu'; `prefect work-pool create gpu --type process`"
    prefect(here, "work-pool", "create", "gpu", "--type", "process")
    toy.run(here.checkout, "assay", "deploy-flows", **here.settings)
    work(here, "cpu", here.checkout)
    work(here, "gpu", there)

    assert here.end(here.ask(spread=True), seconds=400) == "Completed"
    (branch,) = toy.branches(here.checkout)
    remote = toy.run(here.checkout, "git", "ls-remote", "origin").split()
    assert f"refs/heads/{branch}" in remote
    assert "refs/tags/classifier#champion#1" in remote
    assert not [ref for ref in remote if "stages/" in ref]
    (commit,) = here.git("log", "--format=%s", f"main..{branch}").splitlines()
    assert commit.startswith("Release classifier v0.0.1: promote")
    # A stage says so in the log of its own worker alone; what is never sent was made on both.
    assert worked(here, "cpu") == ["ingest", "gate", "register"]
    assert worked(here, "gpu") == ["gate", "train"]
    raw = "x" * 1000
    assert (raw in cached(here.checkout), raw in cached(there)) == (True, False)
    assert told == []
    assert here.end(here.ask(spread=True), seconds=400) == "Skipped"

    toy.add_images(here.checkout.parent, 1, "odd")
    assert here.end(here.ask(spread=True), seconds=400) == "Completed"
    assert [str(each["message"]).splitlines()[0] for each in told] == [
        "1 image is set aside, at most 50% may be (params.yaml: gate.max_quarantined_share)"
    ]
    told.clear()

    toy.add_images(here.checkout.parent, 12, "bad")
    assert here.end(here.ask(spread=True), seconds=400) == "Rejected"
    assert [each["title"] for each in told] == ["Assay: gate rejected the data"]
    assert "known class: bad/000.png" in str(told[0]["message"])
    assert not [ref for ref in toy.run(here.checkout, "git", "ls-remote", "origin").split() if "stages/" in ref]
