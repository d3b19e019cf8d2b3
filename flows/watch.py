"""Looks at the source; when enough of it is new, an event says so, and an automation starts a retraining."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.states import Completed, Failed

from assay.errors import AssayError
from assay.operations import messages, outbox, source_changes
from assay.versions import lock
from flows.server import reconcile
from flows.server.tell import flush, tell

CHANGED = "assay.source.changed"


@flow(persist_result=False, on_failure=[reconcile.tell_failure], on_crashed=[reconcile.tell_crash])
def watch(ref: str = "main", share: float = 0.05) -> State[None]:
    """Return Completed; `share`: how much of the source must have changed, in [0, 1]."""
    flush()
    try:
        change = source_changes.look(ref)
    except AssayError as error:
        tell(messages.unwatched(str(error)))
        return Failed(message=str(error).splitlines()[0])
    for over in ("watch:", "crashed: watch:"):
        outbox.forget(over)
    if change is None:
        return Completed(name="Skipped", message="the source is as it was")
    said = f"{change.n_now:,} images, were {change.n_before:,}"
    if change.share < share:
        return Completed(
            name="Skipped", message=f"{said}: {change.share:.1%} changed, a retraining waits for {share:.1%}"
        )
    if running := lock.holder():
        waits = f"{said}: {running['holder'] or 'another run'} has this checkout; the next look asks for a retraining"
        return Completed(name="Skipped", message=waits)
    if not source_changes.is_news(change):
        return Completed(name="Skipped", message=f"{said}: a retraining was asked for before")
    emit_event(CHANGED, resource={"prefect.resource.id": "assay.source"}, payload={"reason": f"new data: {said}"})
    return Completed(message=f"{said}: a retraining was asked for")
