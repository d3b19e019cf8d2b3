"""Tells people what ended badly, through every Apprise URL in `ASSAY_ALERT_URLS` (separated by spaces).

A receiver hears of one cause once, and again when REMIND has passed; what happens meanwhile is counted. One that does
not answer is tried a few times, then whenever the next message is due or somebody calls `flush`. No failure in here
stops anything. URLs: https://appriseit.com/services/
"""

import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from assay import state
from assay.operations import outbox

URLS = "ASSAY_ALERT_URLS"
WAITS_S = (0, 1, 3)  # before each attempt
PICTURES_S = 60  # what making the pictures may take
LINES = 40  # of a text: the traceback's end says more than its middle
GUIDE = "docs/operations.md"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One message. What has the same `cause` is the same news."""

    cause: str
    title: str
    text: str  # what, how many, which
    todo: str
    report: Path | None = None  # a page
    pictures: tuple[str, ...] = ()  # images of the manifest, to be shown where the channel takes pictures
    folder: Path = Path()  # the checkout that they lie in
    sheet: Path | None = None  # a picture that is made already

    def body(self, repeats: int = 0, since: str = "") -> str:
        again = f"Again: {repeats + 1} times since {since}.\n\n" if repeats else ""
        where = f"\nReport: {self.report.absolute()}" if self.report and self.report.exists() else ""
        return f"{again}{shorten(self.text)}\n\nWhat to do: {self.todo}{where}"


def shorten(text: str) -> str:
    """Return the text with at most LINES lines: its first half and its last."""
    lines = text.splitlines()
    if len(lines) <= LINES:
        return text
    half = LINES // 2
    return "\n".join([*lines[:half], f"... {len(lines) - 2 * half:,} lines ...", *lines[-half:]])


def same(*words: str) -> str:
    """Return the words as a cause: numbers may differ from one time to the next."""
    return " ".join(" ".join(re.sub(r"\d[\d,.]*", "#", word) for word in words).split())[:300]


def send(alert: Alert) -> tuple[str, ...]:
    """Return the receivers, as `outbox.receiver` names them, that the message did not reach.

    Without `ASSAY_ALERT_URLS`, and when the cause was told a short while ago, nothing is sent.
    """
    urls = os.environ.get(URLS, "").split()
    if not urls:
        return ()
    try:
        flush()
        repeats, since = _note(alert.cause)
        if repeats is None:
            return ()
        body, dead = alert.body(repeats, since), []
        with tempfile.TemporaryDirectory() as folder:
            picture = alert.sheet or _picture(alert, Path(folder) / "images.png")
            dead = [url for url in urls if not deliver(url, alert.title, body, picture)]
        for url in dead:
            outbox.keep(url, alert.title, body)
        return tuple(outbox.receiver(url) for url in dead)
    except Exception:  # a full disk, a broken state file
        log.exception("alert: not sent: %s", alert.title)
        return tuple(outbox.receiver(url) for url in urls)


def _note(cause: str) -> tuple[int | None, str]:
    """Return what `outbox.note` does; where nothing can be written, each message is the first: a full disk is told."""
    try:
        return outbox.note(cause)
    except OSError:
        log.exception("alert: %s cannot be written", state.ALERTS)
        return 0, ""


def flush(delivered: Iterable[str] = ()) -> None:
    """Try once more what receivers did not take; `delivered` names messages that reached them on another road."""
    known = {outbox.receiver(url): url for url in os.environ.get(URLS, "").split()}
    for letter in outbox.letters() if known else []:
        over = letter.name in delivered or letter.receiver not in known
        late = f"Late: from {letter.written}.\n\n{letter.body}"
        if over or _notify(known[letter.receiver], letter.title, late):
            outbox.drop(letter)


def deliver(url: str, title: str, body: str, picture: Path | None = None) -> bool:
    """Return whether the receiver took the message, at once or after a wait."""
    for wait_s in WAITS_S:
        time.sleep(wait_s)
        if _notify(url, title, body, picture):
            return True
    log.error("alert: not delivered to %s://...; is the URL right? (%s)", url.split("://")[0], URLS)
    return False


def _notify(url: str, title: str, body: str, picture: Path | None = None) -> bool:
    import apprise  # 0.3 s, wanted only when there is something to tell

    receiver = apprise.Apprise()
    if not receiver.add(url):
        return False
    shown = {"attach": str(picture)} if picture and receiver[0].attachment_support else {}
    return bool(receiver.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT, **shown))


def _picture(alert: Alert, file: Path) -> Path | None:
    """Return the file with the images side by side, None where there are none to show.

    Made by a process of its own: broken images are why there is an alert, and they must not stop it.
    """
    if not alert.pictures:
        return None
    command = [sys.executable, "-m", "assay.operations.alert_pictures", str(file), *alert.pictures]
    try:
        subprocess.run(command, cwd=alert.folder, timeout=PICTURES_S, capture_output=True, check=False)
    except (OSError, subprocess.TimeoutExpired):
        log.exception("alert: no pictures")
    return file if file.exists() else None
