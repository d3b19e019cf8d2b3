"""One machine, as its user has it: Prefect's server on SQLite, what serves the flows, and a toy project. All real."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import psutil
import toy
import yaml
from checkouts import ROOT
from prefect import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort

from assay import state
from assay.operations import alert
from assay.versions import lock
from flows.doctor import prefect_state

T = TypeVar("T")
COMMANDS = {"server": ["prefect", "server", "start", "--host", "127.0.0.1", "--port"], "serve": ["flows.server.serve"]}
SOON_S = 5  # within which a process ends that lost its parent


def until(ask: Callable[[], T | None], seconds: float = 120, every: float = 0.1) -> T:
    """Return the first answer that is true; generous, for other work may keep the processors busy."""
    end = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < end, f"it did not happen within {seconds} s"
        time.sleep(every)
    return answer


def not_soon() -> str:
    """Return a cron schedule: in one to three months, which the scheduler of Prefect looks ahead."""
    return f"0 3 1 {(datetime.now(UTC).month + 1) % 12 + 1} *"


def unwell() -> list[str]:
    """Return what the doctor finds wrong with server, schedule, runs, slots and automations."""
    return [answer.seen for answer in prefect_state.prefect() if answer.todo]


class Machine:
    """`folder` holds all that the machine keeps; `alerts` is the URL of who is told."""

    def __init__(self, folder: Path, alerts: str, **more: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.api = f"http://127.0.0.1:{self.port}/api"
        self.home = folder / "home"
        self.home.mkdir()
        self.checkout = toy.make(folder / "toy")
        self.settings = more | {
            "PREFECT_HOME": str(self.home),
            "PREFECT_API_URL": self.api,
            "PREFECT_RUNNER_POLL_FREQUENCY": "1",
            alert.URLS: alerts,
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._add_flows()

    def _add_flows(self) -> None:
        """Commit what is served; only retrainings have a schedule, and that is far away."""
        declared = yaml.safe_load((ROOT / "prefect.yaml").read_text())
        for each in declared["deployments"]:
            if each.pop("schedules", None) and each["name"] == "nightly":
                each["schedules"] = [{"cron": not_soon(), "timezone": "UTC"}]
        (self.checkout / "prefect.yaml").write_text(yaml.safe_dump(declared))
        shutil.copytree(ROOT / "flows", self.checkout / "flows", ignore=shutil.ignore_patterns("__pycache__"))
        self.git("add", "-A")
        self.git("commit", "-qm", "flows")

    def git(self, *arguments: str) -> str:
        return toy.run(self.checkout, "git", *arguments)

    # processes

    def log(self, name: str) -> str:
        return (self.home / f"{name}.log").read_text(errors="replace")

    def start(self, name: str, **more: str) -> None:
        """Start `server` or `serve` if it does not run, as systemd does, and return when it works; `more`: settings."""
        if name in self.processes:
            return
        command = [*COMMANDS[name], *([str(self.port)] if name == "server" else [])]
        with (self.home / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=self.checkout,
                env=toy.environment(self.checkout, **self.settings, **more),
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
            )
        until(self.answers if name == "server" else lambda: "being served" in self.log("serve"), every=0.5)

    def answers(self) -> bool:
        try:
            with get_client(sync_client=True) as client:
                return client.api_healthcheck() is None
        except Exception:
            return False

    def kill(self, name: str) -> None:
        """Kill the one process, with `kill -9`; of the server, which is two, both."""
        process = self.processes.pop(name)
        if name == "server":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()

    def restart(self, name: str, **more: str) -> None:
        self.kill(name)
        self.start(name, **more)

    def stop(self) -> None:
        """Leave nothing behind."""
        for name in list(self.processes):
            group = self.processes[name].pid
            self.kill(name)
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        for pid in self.at_work():
            psutil.Process(pid).kill()

    def flow(self) -> int:
        """Return the process of the retraining that runs."""
        return int(until(lambda: (lock.holder(self.checkout) or {}).get("process")))

    def at_work(self) -> dict[int, str]:
        """Return the command of every process that works on a retraining, but for the flow itself."""
        tree = str((self.checkout / state.CHECKOUT).resolve())
        found = {}
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and process.cwd().startswith(tree):
                    found[process.pid] = " ".join(process.cmdline())
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def the(self, part: str) -> int:
        """Return the one process at work whose command has this part."""
        (found,) = [pid for pid, command in self.at_work().items() if part in command]
        return found

    def nobody_works_soon(self) -> None:
        """Fail unless no process of a retraining is left after a few seconds."""
        end = time.monotonic() + SOON_S
        while left := self.at_work():
            assert time.monotonic() < end, f"still at work after {SOON_S} s: {left}"
            time.sleep(0.1)

    def cut_the_power(self) -> None:
        """Kill everything at once."""
        everything = list(self.at_work())
        for process in self.processes.values():
            everything += [process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))]
        for pid in everything:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in self.processes.values():
            process.wait()
        self.processes.clear()

    # runs

    def ask(self, **parameters: Any) -> FlowRun:
        """Ask the server for a retraining, as its scheduler does."""
        with get_client(sync_client=True) as client:
            deployment = client.read_deployment_by_name("retrain/nightly")
            return client.create_flow_run_from_deployment(deployment.id, parameters=parameters)

    def miss(self, n: int) -> list[FlowRun]:
        """Have the scheduler put in runs that were due in the past, and return them, oldest first."""
        now = datetime.now(UTC)
        period = {"start_time": (now - timedelta(days=366 * (n + 1))).isoformat(), "end_time": now.isoformat()}
        with get_client(sync_client=True) as client:
            nightly = client.read_deployment_by_name("retrain/nightly")
            wanted = period | {"min_runs": n, "max_runs": n}
            client.request("POST", f"/deployments/{nightly.id}/schedule", json=wanted).raise_for_status()
            runs = client.read_flow_runs(sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=200)
        missed = [run for run in runs if run.state_type == StateType.SCHEDULED and run.expected_start_time < now]
        assert [(run.deployment_id, run.auto_scheduled) for run in missed] == [(nightly.id, True)] * n
        return missed

    def limit(self, *tags: str) -> None:
        """Let one task of each tag run at a time; a slot that a dead one keeps is what the doctor names."""
        with get_client(sync_client=True) as client:
            for tag in tags:
                client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=f"tag:{tag}", limit=1))

    def end(self, run: FlowRun, seconds: float = 180) -> str:
        """Return the name of the state that the run ends in."""

        def ended() -> str | None:
            try:
                with get_client(sync_client=True) as client:
                    state = client.read_flow_run(run.id).state
            except Exception:  # the server is away
                return None
            return state.name if state and state.is_final() else None

        return until(ended, seconds, every=1)

    # what a stage does

    def pause(self, stage: str) -> None:
        """Let the stage wait for `go`, and say so."""
        said, go = (str(self.checkout.parent / name) for name in (f"in-{stage}", "go"))
        toy.does(self.checkout, stage, f"Path({said!r}).touch()\nwhile not Path({go!r}).exists(): time.sleep(0.1)\n")

    def reach(self, name: str) -> None:
        """Return when the stage waits; the next time it has to be waited for again."""
        said = self.checkout.parent / f"in-{name}"
        until(said.exists)
        said.unlink()

    def go(self) -> None:
        (self.checkout.parent / "go").touch()

    def calm(self) -> None:
        """Let stages do what they always do, and nobody have been told of anything."""
        toy.does_nothing(self.checkout)
        for file in self.checkout.parent.glob("in-*"):
            file.unlink()
        (self.checkout.parent / "go").unlink(missing_ok=True)
        (self.checkout / ".assay/alerts/told.json").unlink(missing_ok=True)

    def reset(self) -> None:
        """Make it a machine that has never retrained."""
        self.calm()
        for folder in (".assay", ".dvc/cache"):
            shutil.rmtree(self.checkout / folder, ignore_errors=True)
        self.git("worktree", "prune")
        for branch in toy.branches(self.checkout):
            self.git("branch", "-q", "-D", branch)
        if tags := self.git("tag").split():
            self.git("tag", "-d", *tags)

    def result(self) -> tuple[str, str, list[str]]:
        """Return what the one retraining left: its branch, the id of all that it committed, its tags."""
        (branch,) = toy.branches(self.checkout)
        return branch, self.git("rev-parse", f"{branch}^{{tree}}"), self.git("tag").split()

    def champion(self) -> str:
        branch, _, _ = self.result()
        found = json.loads(self.git("show", f"{branch}:registry/champions.json"))
        return str(found[-1]["version"])
