"""The second road of an alert: what a receiver did not take goes to Prefect's server, whose automations try it too.

The first road is `assay.operations.alert`, which needs no server. Only what it could not deliver becomes an event, so
that nobody is told twice; and what an automation did deliver is not sent again when the receiver is back.
"""

import logging

from prefect import get_client
from prefect.events import emit_event
from prefect.events.filters import (
    EventFilter,
    EventNameFilter,
    EventOccurredFilter,
    EventRelatedFilter,
    EventResourceFilter,
)
from prefect.events.schemas.events import ResourceSpecification
from prefect.types import DateTime

from assay.operations import alert, outbox

UNDELIVERED = "assay.alert.undelivered"
EVENTS = 50  # the most that the server gives at once; its client asks for 100, which is refused

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
    since = EventOccurredFilter(since=DateTime.fromisoformat(letter.written))
    this = EventResourceFilter(labels=ResourceSpecification({"assay.letter": letter.name}))
    done = EventNameFilter(name=["prefect.automation.action.executed"])
    try:
        with get_client(sync_client=True) as client:
            filter = EventFilter(occurred=since, event=EventNameFilter(name=[UNDELIVERED]), resource=this)
            mine = client.read_events(filter, limit=EVENTS).events
            related = EventRelatedFilter(id=[f"prefect.event.{event.id}" for event in mine])
            filter = EventFilter(occurred=since, event=done, related=related)
            return bool(mine and client.read_events(filter, limit=EVENTS).events)
    except Exception:
        log.exception("alert: not known whether %s was delivered by the server", letter.title)
        return False
