"""Runs a command so that it ends with us, its lines logged as they come.

`python -m flows.child COMMAND...` becomes the command, which the kernel kills when the process that started it dies.
"""

import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from assay import processes
from assay.versions import git
from assay.words import printable

# What DVC advises a person at a terminal.
HINTS = (
    "To track the changes with git",
    "git add ",
    "To enable auto staging",
    "dvc config core.autostage",
    "Use `dvc push`",
)
SERVED = "ASSAY_SERVED_BY"  # the process id of `assay serve-flows`, in the environment of its flows
GRACE_S = 3
LAST = 20  # lines that a failure is told with

Log = logging.Logger | logging.LoggerAdapter[logging.Logger]


def end_with_server() -> None:
    """Have this flow end when the `assay serve-flows` that started it does; one that was started otherwise goes on.

    Prefect leaves it at work when what serves it is killed: nobody would hear how it ends.
    """
    if served := os.environ.get(SERVED):
        processes.when_orphaned(os.getpid(), int(served), _end)


def _end() -> None:
    """Give the flow the time to say how it ended, and let nothing be left after that."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os.kill(os.getpid(), signal.SIGKILL)


def run(module: str, *arguments: str, folder: Path, log: Log) -> tuple[int, str, list[str]]:
    """Return the exit code of `python -m module` in the folder, its stdout, and the last lines of its stderr."""
    command = [sys.executable, "-m", module, *arguments]
    last: list[str] = []
    with tempfile.TemporaryFile() as answer:
        child = subprocess.Popen(
            command, cwd=folder, stdout=answer, stderr=subprocess.PIPE, env=environment(), start_new_session=True
        )
        try:
            assert child.stderr
            for line in child.stderr:
                last_of_bar = line.decode(errors="replace").rstrip().rsplit("\r", 1)[-1]
                text = printable(last_of_bar)
                if text and not text.lstrip().startswith(HINTS):
                    log.info("%s", text)
                    last = [*last[1 - LAST :], text]
            code = child.wait()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        answer.seek(0)
        return code, answer.read().decode(errors="replace"), last


def environment() -> dict[str, str]:
    return (
        os.environ
        | git.signature()
        | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONUNBUFFERED": "1",
            # DVC's shell. Bash becomes a simple command instead of waiting; an old dash or fish would outlive DVC.
            "SHELL": shutil.which("bash") or "/bin/sh",
            processes.PARENT: str(os.getpid()),
        }
    )


if __name__ == "__main__":
    processes.die_with_parent()
    del os.environ[processes.PARENT]
    os.execvp(sys.argv[1], sys.argv[1:])
