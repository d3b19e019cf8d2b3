"""One retraining at a time in a repository, and who it is. The kernel gives the lock back when its holder dies."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FILE = Path(".dvc/tmp/retrain.lock")


@contextmanager
def taken(holder: str = "", home: Path = Path()) -> Iterator[bool]:
    """Yield whether this process now has the lock; `holder` is what others are told of it."""
    (home / FILE).parent.mkdir(parents=True, exist_ok=True)
    with (home / FILE).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        file.truncate(0)
        file.write(json.dumps({"process": os.getpid(), "holder": holder}))
        file.flush()
        yield True


def holder(home: Path = Path()) -> dict[str, Any] | None:
    """Return {process, holder} of a living process, None if the lock is free."""
    try:
        with (home / FILE).open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                try:
                    found: dict[str, Any] = json.loads(file.read())
                except ValueError:  # it is just writing
                    found = {"process": 0, "holder": ""}
                return found
    except FileNotFoundError:
        pass
    return None
