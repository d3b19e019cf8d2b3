"""How every stage starts and ends, whoever started it: `dvc repro`, the flow, or a person.

The process dies with the DVC that started it, checks params.yaml as a whole, refuses to be recorded when its inputs
changed under it, and turns an `AssayError` into one message and its exit code.
"""

import errno
import gc
import json
import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from assay import files, params, terminal, words
from assay.errors import AssayError, InputsChanged, of_lost_link
from assay.operations import alert, messages, outbox, recorded
from assay.processes import LIBC, ancestors, die_with_parent

PIPELINE = Path("dvc.yaml")
HELD = Path(".dvc/tmp/rwlock")  # by the process ids of each DVC that runs a stage
OUTCOME = "ASSAY_OUTCOME"  # the flow names a file in it: {"exit_code", "message"} of a stage that really ran
# What readers raise of bytes that are not as they were written; by name, for to import TensorFlow takes seconds.
DAMAGE = ("DataLossError", "Broken", "ArrowInvalid", "BadZipFile")
MEND = (
    "a file that it reads is damaged: `assay doctor` names what is damaged in DVC's cache, `dvc repro -f -s verify` a "
    "damaged shard, and `dvc repro -f -s preprocess` makes that anew; else `dvc repro -f -s STAGE` for what STAGE made"
)
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS)


def run(name: str, main: Callable[[params.Params], None]) -> NoReturn:
    """Run `main` as the stage `name` and exit: 0, or the exit code of the `AssayError`, or 1 after a traceback.

    A bad end is told to people once: here, or by the flow if it waits for the outcome, for it knows of retries.
    """
    terminal.guard()
    gc.freeze()  # what the imports made stays: to look through it takes a tenth of a second each time
    code, said, todo = _attempt(name, main)
    message = words.printable(said)
    if code:
        terminal.complain(message, *([f"next: {todo}"] if todo else []))
    if outcome := os.environ.get(OUTCOME):
        _leave(Path(outcome), {"exit_code": code, "message": message})
    elif code:
        alert.send(messages.of_stage(name, code, message))
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


def _attempt(name: str, main: Callable[[params.Params], None]) -> tuple[int, str, str]:
    """Return the exit code and, if that is not 0, what to tell people and which command comes next, if known."""
    try:
        if "DVC_STAGE" in os.environ:
            die_with_parent()
            _end_if_orphaned(name)
        p = params.load()
        before = inputs(name, p)
        if "DVC_STAGE" in os.environ:  # else the stages before may have run without DVC
            recorded.check(before)
        main(p)
        _check_unchanged(name, before, inputs(name, p))
    except AssayError as error:
        return error.exit_code, f"{name}: {error}", error.todo
    except OSError as error:
        if error.errno in DISK:
            where = error.filename or "an output"
            return 1, f"{name}: {where}: {os.strerror(error.errno)}; nothing was recorded", ""
        if lost := of_lost_link(error):
            return 1, f"{name}: {lost}", ""
        return 1, _bug(name, error), ""
    except Exception as error:
        if type(error).__name__ in DAMAGE:
            return 1, f"{name}: {' '.join(str(error).split())[:300]}: {MEND}", ""
        return 1, _bug(name, error), ""
    return 0, "", ""


def _end_if_orphaned(name: str) -> None:
    """Exit if the DVC that started this died while it imported, for none that runs a stage now is an ancestor.

    Else it would work beside the next run, and change what that reads.
    """
    try:
        held = json.loads(HELD.read_text())
    except (OSError, ValueError):  # DVC is writing it
        return
    holders = [*held.get("write", {}).values(), *(each for some in held.get("read", {}).values() for each in some)]
    if LIBC and holders and ancestors().isdisjoint(each["pid"] for each in holders):
        sys.exit(f"{name}: the DVC that started this is gone")


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
    declared = files.read_yaml(PIPELINE)["stages"].get(name, {})
    found: dict[str, Any] = {}
    for template in declared.get("deps", []):
        dep = Path(resolve(template, p))
        for file in sorted(dep.rglob("*")) if dep.is_dir() else [dep]:
            if file.is_file() and "__pycache__" not in file.parts and not file.name.startswith("."):  # an editor's
                status = file.stat()
                found[str(file)] = (status.st_size, status.st_mtime_ns, status.st_ino)
    values = files.read_yaml(params.FILE)
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
