"""The second road of an alert: what a receiver did not take goes to Prefect's server, whose automations try it too.

The first road is `assay.alert`, which needs no server. Only what it could not deliver becomes an event, so that nobody
is told twice; and what an automation did deliver is not sent again when the receiver is back.
"""

import logging
from contextlib import suppress

from prefect import get_client
from prefect.events import emit_event
from prefect.events.filters import EventFilter, EventNameFilter, EventOccurredFilter, EventRelatedFilter
from prefect.types import DateTime

from assay import alert, outbox

UNDELIVERED = "assay.alert.undelivered"

log = logging.getLogger(__name__)


def tell(message: alert.Alert) -> None:
    """Tell people by the one road or the other; nothing in here stops a run."""
    known = {letter.name for letter in outbox.letters()}
    alert.send(message)
    for letter in outbox.letters():
        if letter.name not in known:
            _hand_over(letter)


def _hand_over(letter: outbox.Letter) -> None:
    try:
        emit_event(
            event=UNDELIVERED,
            resource={
                "prefect.resource.id": f"assay.receiver.{letter.receiver}",
                "prefect.resource.name": letter.title,
                "assay.letter": letter.name,
            },
            payload={"title": letter.title, "body": letter.body},
        )
    except Exception:
        log.exception("alert: no event for %s", letter.title)


def flush() -> None:
    """Try once more what is undelivered, but for what an automation has delivered."""
    if letters := outbox.letters():
        alert.flush([letter.name for letter in letters if _was_delivered(letter)])


def _was_delivered(letter: outbox.Letter) -> bool:
    """Say whether an automation's notification went out for this letter; no, if the server cannot say."""
    with suppress(Exception), get_client(sync_client=True) as client:
        since = EventOccurredFilter(since=DateTime.fromisoformat(letter.written))
        events = client.read_events(EventFilter(occurred=since, event=EventNameFilter(name=[UNDELIVERED]))).events
        mine = [event.id for event in events if event.resource.get("assay.letter") == letter.name]
        related = EventRelatedFilter(id=[f"prefect.event.{each}" for each in mine])
        done = EventNameFilter(name=["prefect.automation.action.executed"])
        return bool(mine and client.read_events(EventFilter(occurred=since, event=done, related=related)).events)
    return False
