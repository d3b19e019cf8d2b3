"""Approval: a person makes a held version the champion, in Prefect's UI or by `assay promote`. Nothing waits for it."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from assay.errors import AssayError
from assay.operations import outbox
from assay.versions import promotion
from flows.server import reconcile


@flow(
    persist_result=False,
    flow_run_name="{version}",
    on_failure=[reconcile.tell_failure],
    on_crashed=[reconcile.tell_crash],
)
def promote(version: str, ref: str = "main") -> State[None]:
    """Return Completed, or Failed with the reason; `version`: as the alert has it, e.g. v0.0.7."""
    try:
        done = promotion.promote(version, ref)
    except AssayError as error:
        return Failed(message=str(error))
    outbox.forget("crashed: promote:")
    return Completed(message=done)
