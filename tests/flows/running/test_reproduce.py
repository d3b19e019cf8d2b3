"""Others at work in the checkout of a run: they wait or are told why not, and what is recorded is what happened."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import warm
from checkouts import ROOT
from toy_flows import STAGES, cold, declare, does, initialised, repo, run_flow, start_flow, until

pytestmark = pytest.mark.slow  # whole runs, each of many processes

__all__ = ["cold", "initialised", "repo", "start_flow"]  # fixtures

WAIT = ["Path('began').touch()", "while not Path('go').exists(): time.sleep(0.1)"]


@pytest.fixture
def start_dvc(cold: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Start `dvc repro` of one stage that waits for the file `go`; return when it does."""
    declare({"validate": STAGES["validate"]})
    does("validate", *WAIT)
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "dvc", "repro"], env=with_python(), stderr=subprocess.PIPE, text=True
            )
        )
        until(lambda: Path("began").exists() or started[0].poll() is not None)
        return started[0]

    yield start
    for process in started:
        process.kill()
        process.wait()


def with_python() -> dict[str, str]:
    return os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}


def repro(*options: str) -> subprocess.CompletedProcess[str]:
    command = ["python", "-m", "dvc", *options, "repro"]
    return subprocess.run(command, env=warm.added(with_python()), capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("options", [[], ["--wait-for-lock"]])
def test_second_dvc_repro_is_refused_and_names_the_first(
    start_dvc: Callable[[], subprocess.Popen[str]], options: list[str]
) -> None:
    first = start_dvc()
    second = repro(*options)
    assert second.returncode == 255
    assert "busy" in second.stderr
    assert f"(PID {first.pid})" in second.stderr
    assert "Traceback" not in second.stderr
    Path("go").touch()
    assert first.wait() == 0
    assert Path("reports/validation/results.json").read_text() == Path("data.json").read_text()
    assert "didn't change, skipping" in repro().stdout


def test_flow_beside_a_dvc_repro_is_refused_and_names_it(
    start_dvc: Callable[[], subprocess.Popen[str]], server: str
) -> None:
    first = start_dvc()
    ended = run_flow(tasks=1)
    assert (ended.code, ended.states) == (1, [("validate", "Refused")])
    assert ended.run.state and f"(PID {first.pid})" in (ended.run.state.message or "")
    Path("go").touch()
    assert first.wait() == 0
    assert run_flow(tasks=1).states == [("validate", "Skipped")]


def test_dvc_repro_beside_a_flow_is_refused_and_the_flow_goes_on(
    start_flow: Callable[[], subprocess.Popen[bytes]],
) -> None:
    does("validate", *WAIT)
    flow = start_flow()
    second = repro()
    assert second.returncode == 255
    assert "busy" in second.stderr
    Path("go").touch()
    assert flow.wait() == 0
    assert "didn't change, skipping" in repro().stdout


RUNS = {"dvc": lambda: repro("--wait-for-lock").returncode, "flow": lambda: run_flow(tasks=1).code}


@pytest.mark.parametrize("run", RUNS)
def test_data_edited_while_a_stage_reads_them_are_not_recorded_as_what_it_read(
    run: str, repo: Path, server: str
) -> None:
    declare({"validate": STAGES["validate"]})
    edited = Path("data.json").read_text().replace("1797", "1798")
    does("validate", f"Path('data.json').write_text({edited!r})")
    assert RUNS[run]() != 0
    assert not Path("dvc.lock").exists()
    Path("validate.does").unlink()
    assert RUNS[run]() == 0
    assert Path("reports/validation/results.json").read_text() == edited
    assert "didn't change, skipping" in repro().stdout


HOLD = """
import time
from pathlib import Path
from dvc.repo import Repo
with Repo() as repo, repo.lock:
    Path("held").touch()
    time.sleep(6)  # DVC gives up after 3
"""
# At its end the stage lets another DVC command take the lock that DVC needs to record it.
END = [
    "import subprocess",
    f"holder = subprocess.Popen([sys.executable, '-c', {HOLD!r}], start_new_session=True)",
    "while not Path('held').exists(): time.sleep(0.1)",
]


@pytest.mark.parametrize("run", RUNS)
def test_result_is_kept_where_another_dvc_command_works_at_the_moment_a_stage_ends(
    run: str, repo: Path, server: str
) -> None:
    declare({"validate": STAGES["validate"]})
    does("validate", *END)
    assert RUNS[run]() == 0
    assert "didn't change, skipping" in repro().stdout


def test_plain_dvc_repro_loses_that_result_and_dvc_commit_saves_it_as_the_docs_say(repo: Path) -> None:
    declare({"validate": STAGES["validate"]})
    does("validate", *END)
    done = repro()
    assert done.returncode == 255
    assert "Unable to acquire lock" in done.stderr
    saved = "dvc --wait-for-lock commit -f validate"
    subprocess.run([sys.executable, "-m", *saved.split()], check=True)
    assert "didn't change, skipping" in repro().stdout
    docs = (ROOT / "docs/operations.md").read_text()
    assert saved.replace("validate", "STAGE") in docs
