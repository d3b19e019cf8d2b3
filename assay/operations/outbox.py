"""What people were told, and what could not be delivered: files in `.assay/alerts`, whoever sends.

`told.json` has a row per cause; `letters/` a file per message and receiver that did not take it. No URL is written
down, for URLs hold passwords: a receiver is the hash of its URL.
"""

import fcntl
import hashlib
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from assay import files
from assay.state import ALERTS

REMIND = timedelta(hours=20)  # less than a day, so that a nightly failure is told every night
FORGET = timedelta(days=30)
LETTERS = 100  # at most: a receiver that is gone for good must not fill the disk


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One message to one receiver; `name` names it on every road."""

    name: str
    receiver: str
    title: str
    body: str
    written: str


def receiver(url: str) -> str:
    """Return what stands for the URL: 12 hex digits."""
    return hashlib.sha256(url.encode()).hexdigest()[:12]


def note(cause: str) -> tuple[int | None, str]:
    """Return (how often the cause came up since it was last told, since when), or (None, "") if it is not due again."""
    with _told() as told:
        now = datetime.now(UTC)
        known = told.get(cause)
        if known and now - datetime.fromisoformat(known["told"]) < REMIND:
            known["repeats"] += 1
            return None, ""
        repeats = known["repeats"] + 1 if known else 0
        since = known["first"] if known else now.isoformat(timespec="minutes")
        told[cause] = {"first": since, "told": now.isoformat(), "repeats": repeats}
        return repeats, since


def forget(prefix: str) -> None:
    """Forget the causes that begin so, for they are over: the next is news."""
    if (ALERTS / "told.json").exists():
        with _told() as told:
            for cause in [cause for cause in told if cause.startswith(prefix)]:
                del told[cause]


def keep(url: str, title: str, body: str) -> None:
    """Keep the message for a receiver that did not take it."""
    kept = sorted((ALERTS / "letters").glob("*.json"))
    for old in kept[: max(0, len(kept) + 1 - LETTERS)]:
        old.unlink(missing_ok=True)
    name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:6]}"
    written = datetime.now(UTC).isoformat(timespec="minutes")
    letter = Letter(name=name, receiver=receiver(url), title=title, body=body, written=written)
    files.write_json(ALERTS / "letters" / f"{name}.json", asdict(letter))


def letters() -> list[Letter]:
    """Return what is undelivered, oldest first; a file that cannot be read is deleted."""
    found = []
    for file in sorted((ALERTS / "letters").glob("*.json")):
        try:
            found.append(Letter(**json.loads(file.read_text())))
        except (OSError, TypeError, ValueError):
            file.unlink(missing_ok=True)
    return found


def drop(letter: Letter) -> None:
    (ALERTS / "letters" / f"{letter.name}.json").unlink(missing_ok=True)


@contextmanager
def _told() -> Iterator[dict[str, Any]]:
    """Yield the causes, by name, and write them back; one process at a time."""
    ALERTS.mkdir(parents=True, exist_ok=True)
    with (ALERTS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            told = json.loads((ALERTS / "told.json").read_text())
        except (OSError, ValueError):
            told = {}
        yield told
        oldest = (datetime.now(UTC) - FORGET).isoformat()
        files.write_json(ALERTS / "told.json", {cause: row for cause, row in told.items() if row["told"] > oldest})
