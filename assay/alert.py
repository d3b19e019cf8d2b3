"""Tells people that something ended badly, through every Apprise URL in `ASSAY_ALERT_URLS` (separated by spaces)."""

import logging
import os

URLS = "ASSAY_ALERT_URLS"
ENDS = {3: "rejected the data", 75: "saw its inputs change"}  # by exit code; any other failed

log = logging.getLogger(__name__)


def title(name: str, code: int) -> str:
    """Return the headline for a stage that ended with this exit code."""
    return f"Assay: {name} {ENDS.get(code, 'failed')}"


def send(title: str, body: str) -> bool:
    """Return whether every receiver took the message; a dead one is logged and stops nothing.

    Without `ASSAY_ALERT_URLS` nothing is sent and the answer is False. URLs: https://appriseit.com/services/
    """
    urls = os.environ.get(URLS, "").split()
    try:
        taken = [_notify(url, title, body) for url in urls]
    except Exception:
        log.exception("alert: not sent")
        return False
    return bool(taken) and all(taken)


def _notify(url: str, title: str, body: str) -> bool:
    import apprise  # 0.3 s, wanted only when there is something to tell

    receiver = apprise.Apprise()
    taken = receiver.add(url) and bool(receiver.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT))
    if not taken:
        log.error("alert: not delivered to %s://...; is the URL right? (%s)", url.split("://")[0], URLS)
    return taken
