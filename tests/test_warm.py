"""A warm command is a process: what it is given, what it leaves, and what becomes of it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import warm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is warm here")
TELLS = "import os, sys; print(os.getcwd(), os.environ['TOLD'], sys.argv[1:], __name__, 'dvc.api' in sys.modules)"


def command(folder: Path, code: str, *arguments: str) -> subprocess.Popen[str]:
    """Start `python -m assay` in the folder, where the package is this code."""
    (folder / "assay").mkdir(exist_ok=True)
    (folder / "assay/__init__.py").touch()
    (folder / "assay/__main__.py").write_text(code)
    variables = warm.added(os.environ | {"PYTHONPATH": str(folder), "TOLD": "so"})
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(["python", "-m", "assay", *arguments], cwd=folder, env=variables, text=True, **streams)


def test_it_has_its_own_folder_environment_arguments_and_modules(tmp_path: Path) -> None:
    done = command(tmp_path, TELLS, "a", "b c")
    assert done.communicate() == (f"{tmp_path} so ['a', 'b c'] __main__ True\n", "")
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("code", "exit_code", "said"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('no')", 1, "no\n"),
        ("raise ValueError('no')", 1, "ValueError: no\n"),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
    ],
)
def test_it_ends_as_a_process_does(tmp_path: Path, code: str, exit_code: int, said: str) -> None:
    done = command(tmp_path, code)
    printed = done.communicate()
    assert (done.returncode, printed[0]) == (exit_code, "")
    assert printed[1].endswith(said)


def test_what_it_is_given_on_stdin_it_reads_and_what_it_starts_is_warm(tmp_path: Path) -> None:
    code = "import subprocess, sys; sys.argv[1:] or subprocess.run([sys.executable, '-m', 'assay', 'x'])\n"
    done = command(tmp_path, code + "sys.argv[1:] and print(sys.stdin.read(), 'dvc.api' in sys.modules)")
    assert done.communicate("given")[0] == "given True\n"


def test_it_does_not_outlive_who_waits_for_it(tmp_path: Path) -> None:
    done = command(tmp_path, "import os, time; print(os.getpid(), os.getppid(), flush=True); time.sleep(600)")
    assert done.stdout
    process, parent = map(int, done.stdout.readline().split())
    assert (process != done.pid, parent) == (True, os.getpid())
    done.send_signal(signal.SIGKILL)
    done.communicate()
    for _ in range(300):
        if not psutil.pid_exists(process):
            return
        time.sleep(0.1)
    raise AssertionError("it is still there")


def test_other_python_is_as_ever() -> None:
    command = ["python", "-c", "import sys; print(sys.executable, len(sys.modules) > 500)"]
    said = subprocess.check_output(command, env=warm.added(dict(os.environ)), text=True)
    assert said == f"{sys.executable} False\n"
