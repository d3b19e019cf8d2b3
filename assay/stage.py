"""How every stage starts and ends, whoever started it: `dvc repro`, the flow, or a person.

The process dies with the DVC that started it, checks params.yaml as a whole, refuses to be recorded when its inputs
changed under it, and turns an `AssayError` into one message and its exit code.
"""

import ctypes
import errno
import gc
import json
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import yaml

from assay import alert, news, outbox, params
from assay.errors import AssayError, InputsChanged

PIPELINE = Path("dvc.yaml")
OUTCOME = "ASSAY_OUTCOME"  # the flow names a file in it: {"exit_code", "message"} of a stage that really ran
PARENT = "ASSAY_PARENT"  # the process id that the flow's child and its stage must have as their parent
PR_SET_PDEATHSIG = 1
SHELLS = {"ash", "bash", "dash", "fish", "ksh", "sh", "zsh"}
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS)


def run(name: str, main: Callable[[params.Params], None]) -> NoReturn:
    """Run `main` as the stage `name` and exit: 0, or the exit code of the `AssayError`, or 1 after a traceback.

    A bad end is told to people once: here, or by the flow if it waits for the outcome, for it knows of retries.
    """
    gc.freeze()  # what the imports made stays: to look through it takes a tenth of a second each time
    code, message = _attempt(name, main)
    if code:
        print(message, file=sys.stderr, flush=True)
    if outcome := os.environ.get(OUTCOME):
        _leave(Path(outcome), {"exit_code": code, "message": message})
    elif code:
        alert.send(news.of_stage(name, code, message))
    else:
        outbox.forget(f"{name}:")
    gc.freeze()  # else the interpreter looks through all that TensorFlow or GX made before it ends: a second
    sys.exit(code)


def is_of_flow() -> bool:
    """Say whether a flow waits for the outcome, and tells people."""
    return OUTCOME in os.environ


def _leave(file: Path, outcome: dict[str, Any]) -> None:
    """Write it whole or, on a full disk, not at all: the flow then has what was printed."""
    try:
        file.write_text(json.dumps(outcome))
    except OSError:
        file.unlink(missing_ok=True)


def _attempt(name: str, main: Callable[[params.Params], None]) -> tuple[int, str]:
    """Return the exit code and, if that is not 0, what to tell people."""
    try:
        if "DVC_STAGE" in os.environ:
            die_with_parent()
        p = params.load()
        before = inputs(name, p)
        main(p)
        _check_unchanged(name, before, inputs(name, p))
    except AssayError as error:
        return error.exit_code, f"{name}: {error}"
    except OSError as error:
        if error.errno in DISK:
            where = error.filename or "an output"
            return 1, f"{name}: {where}: {os.strerror(error.errno)}; nothing was recorded"
        return 1, _bug(name, error)
    except Exception as error:
        return 1, _bug(name, error)
    return 0, ""


def _bug(name: str, error: Exception) -> str:
    """Return what is wrong in a first line that stands for the rest, then the traceback."""
    first = " ".join(f"{name}: {type(error).__name__}: {error}".split())
    return f"{first}\n{traceback.format_exc().rstrip()}"


def _check_unchanged(name: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    if changed:
        more = f" and {len(changed) - 5:,} more" if len(changed) > 5 else ""
        raise InputsChanged(
            f"{', '.join(changed[:5])}{more} changed while {name} ran; nothing is recorded, run it again"
        )


def inputs(name: str, p: params.Params) -> dict[str, Any]:
    """Return what identifies each declared input of the stage now: a file's size, time and inode, a parameter's value.

    DVC hashes the inputs after the command ended, and so records the wrong ones if they changed meanwhile
    (github.com/treeverse/dvc/issues/11058).
    """
    if not PIPELINE.exists():
        return {}
    declared = yaml.safe_load(PIPELINE.read_text())["stages"].get(name, {})
    found: dict[str, Any] = {}
    for template in declared.get("deps", []):
        dep = Path(resolve(template, p))
        for file in sorted(dep.rglob("*")) if dep.is_dir() else [dep]:
            if file.is_file() and "__pycache__" not in file.parts:
                status = file.stat()
                found[str(file)] = (status.st_size, status.st_mtime_ns, status.st_ino)
    values = yaml.safe_load(params.FILE.read_text())
    for key in declared.get("params", []):
        section = key.split(".")[0]
        found[f"{params.FILE}:{section}"] = values.get(section)
    return found


def resolve(template: str, p: params.Params) -> str:
    """Return the text with the value of each `${paths.name}` of dvc.yaml in its place."""

    def value(reference: re.Match[str]) -> str:
        found: Any = p
        for part in reference[1].split("."):
            found = getattr(found, part)
        return str(found)

    return re.sub(r"\$\{([\w.]+)\}", value, template)


def die_with_parent() -> None:
    """Have this process killed when its parent dies, so that no orphan goes on training.

    Raises `AssayError` if the parent is not the one of `ASSAY_PARENT`: it died already, or a shell stands between.
    """
    parent = int(os.environ.get(PARENT, os.getppid()))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # Some shells, dash among them, wait for a command instead of becoming it, and outlive the DVC that started them.
    watched = parent if _is_shell(parent) else os.getpid()
    if watched == parent or sys.platform != "linux":
        threading.Thread(target=_exit_when_orphaned, args=(watched, parent_of(watched)), daemon=True).start()
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


def _is_shell(process: int) -> bool:
    name = Path(f"/proc/{process}/comm")
    return name.exists() and name.read_text().strip() in SHELLS


def _exit_when_orphaned(process: int, parent: int) -> None:
    while parent_of(process) == parent:
        time.sleep(0.5)
    os._exit(1)
