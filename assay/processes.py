"""Processes that end when the one that started them does."""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from assay.errors import AssayError

PARENT = "ASSAY_PARENT"  # the process id that the flow's child and its stage must have as their parent
LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
PR_SET_PDEATHSIG = 1
SHELLS = {"ash", "bash", "dash", "fish", "ksh", "sh", "zsh"}


def die_with_parent() -> None:
    """Have this process killed when its parent dies, so that no orphan goes on training.

    Raises `AssayError` if the parent is not the one of `ASSAY_PARENT`: it died already, or a shell stands between.
    """
    parent = int(os.environ.get(PARENT, os.getppid()))
    signal_at_parents_death(signal.SIGKILL)
    # Some shells, dash among them, wait for a command instead of becoming it, and outlive the DVC that started them.
    watched = parent if _is_shell(parent) else os.getpid()
    if watched == parent or not LIBC:
        when_orphaned(watched, parent_of(watched), _exit)
    if os.getppid() != parent:
        raise AssayError(
            "a shell stands between DVC and this process; is cmd one simple command (dvc.yaml) and bash here?"
        )


def parent_of(process: int) -> int:
    """Return the process id of the parent, 0 for a process that is gone."""
    if process == os.getpid():
        return os.getppid()
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def ancestors() -> set[int]:
    """Return the process ids of all that this process comes from."""
    found, process = set(), os.getppid()
    while process and process not in found:
        found.add(process)
        process = parent_of(process)
    return found


def _is_shell(process: int) -> bool:
    name = Path(f"/proc/{process}/comm")
    return name.exists() and name.read_text().strip() in SHELLS


def signal_at_parents_death(number: int) -> None:
    """Have the kernel send this process the signal when its parent dies; only Linux can.

    Loads nothing, so that it may run between fork and exec.
    """
    if LIBC:
        LIBC.prctl(PR_SET_PDEATHSIG, number)


def when_orphaned(process: int, parent: int, then: Callable[[], None]) -> None:
    """Call `then` in a thread, soon after `process` has lost `parent`."""

    def wait() -> None:
        while parent_of(process) == parent:
            time.sleep(0.3)
        then()

    threading.Thread(target=wait, daemon=True).start()


def exit_with(parent: int) -> None:
    """End this process soon after its parent."""
    when_orphaned(os.getpid(), parent, _exit)


def _exit() -> None:
    os._exit(1)
