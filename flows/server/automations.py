"""What Prefect's server does by itself, whether or not a process of ours is alive. Set up again at every start.

- deliver: a message that a receiver did not take from us. One automation per receiver, so that the others hear nothing.
- dead runs: a retraining without a heartbeat becomes Crashed, under the name Lost, so that people are told by the
  server when nobody else can, and by nobody else.
- missing runs: one that is late and still not running after a while.
- retrain: when there are new data, or drift.
"""

import os
from datetime import timedelta
from typing import cast
from uuid import UUID, uuid4

from prefect import get_client
from prefect.automations import Automation
from prefect.blocks.notifications import SlackWebhook
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import AutomationSort
from prefect.events.actions import ChangeFlowRunState, RunDeployment, SendNotification
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from pydantic import SecretStr

from assay.operations import alert, outbox
from assay.operations.alert import GUIDE
from flows.monitor import DRIFT
from flows.server.tell import UNDELIVERED
from flows.watch import CHANGED

PREFIX = "assay: "
RETRAIN = "retrain/nightly"
LOST = "Lost"
SILENT = timedelta(seconds=180)  # heartbeats come every 30 s (prefect.toml)
LATE = timedelta(minutes=10)
RUN = "prefect.flow-run.*"
ANYTHING = ResourceSpecification({})
OF_RETRAIN = ResourceSpecification({"prefect.resource.role": "flow", "prefect.resource.name": "retrain"})
# A retraining waits for its stages on other machines, and tells itself of one that is lost.
AT_WORK = ResourceSpecification({"prefect.resource.role": "flow", "prefect.resource.name": ["retrain", "stage"]})


def names() -> set[str]:
    """Return the names of all automations that should be there."""
    blocks = {url: uuid4() for url in _urls()}
    return {each.name for each in _wanted(blocks, uuid4(), SILENT, LATE)}


def set_up(retrain: UUID, silent: timedelta = SILENT, late: timedelta = LATE) -> None:
    """Make the server's automations those of this version and of today's `ASSAY_ALERT_URLS`; no other is touched.

    `retrain`: the deployment that new data start; `silent`, `late`: how long people wait for a heartbeat, for a start.
    """
    wanted = _wanted({url: _block(url) for url in _urls()}, retrain, silent, late)
    for automation in wanted:
        try:
            automation.id = cast(Automation, Automation.read(name=automation.name)).id
        except ValueError:
            automation.create()
        else:
            automation.update()
    kept = {automation.name for automation in wanted}
    with get_client(sync_client=True) as client:
        for each in client.read_automations(sort=AutomationSort.NAME_ASC, limit=200):
            if each.name.startswith(PREFIX) and each.name not in kept:
                client.delete_automation(each.id)


def _urls() -> list[str]:
    return os.environ.get(alert.URLS, "").split()


def _block(url: str) -> UUID:
    """Return the block that keeps the receiver on the server. This class takes any Apprise URL, not only Slack's."""
    saved = SlackWebhook(url=SecretStr(url)).save(f"assay-{outbox.receiver(url)}", overwrite=True)
    return cast(UUID, saved)


def _wanted(blocks: dict[str, UUID], retrain: UUID, silent: timedelta, late: timedelta) -> list[Automation]:
    crash = ChangeFlowRunState(
        state=StateType.CRASHED, name=LOST, message=f"no heartbeat for {silent.seconds} s", force=False
    )
    start = RunDeployment(
        source="selected",
        deployment_id=retrain,
        job_variables=None,
        parameters={"reason": {"__prefect_kind": "jinja", "template": "{{ event.payload.reason }}"}},
    )
    wanted = [
        _automation("dead runs", _silence("prefect.flow-run.heartbeat", silent), crash),
        _automation("retrain", _event({CHANGED, DRIFT}, "assay.*"), start),
    ]
    for url, block in blocks.items():
        to = f"{url.split('://')[0]} {outbox.receiver(url)}"
        letter = SendNotification(
            block_document_id=block, subject="{{ event.payload.title }}", body="{{ event.payload.body }}"
        )
        lost = _letter(block, "the retraining crashed", "its process or machine is gone", "crashed")
        missing = _letter(block, "a retraining is missing", "it should have begun, and nothing runs it", "missing")
        wanted += [
            _automation(f"deliver to {to}", _event({UNDELIVERED}, f"assay.receiver.{outbox.receiver(url)}"), letter),
            _automation(f"tell {to} of dead runs", _event({f"prefect.flow-run.{LOST}"}, RUN, OF_RETRAIN), lost),
            _automation(f"tell {to} of missing runs", _silence("prefect.flow-run.Late", late), missing),
        ]
    return wanted


def _letter(block: UUID, title: str, text: str, chapter: str) -> SendNotification:
    link = "{{ flow_run | ui_url or flow_run.id }}"  # no URL where the server does not know its own: PREFECT_UI_URL
    body = f"{{{{ flow_run.name }}}}: {text}\n{link}\n\nWhat to do: see {GUIDE}: {chapter}"
    return SendNotification(block_document_id=block, subject=f"Assay: {title}", body=body)


def _automation(
    name: str, trigger: EventTrigger, action: ChangeFlowRunState | RunDeployment | SendNotification
) -> Automation:
    return Automation(name=PREFIX + name, trigger=trigger, actions=[action])


def _event(names: set[str], resource: str, related: ResourceSpecification = ANYTHING) -> EventTrigger:
    """Return what fires at each of these events."""
    return EventTrigger(
        expect=names,
        match=ResourceSpecification({"prefect.resource.id": resource}),
        match_related=related,
        posture=Posture.Reactive,
        threshold=1,
        within=timedelta(0),
    )


def _silence(after: str, within: timedelta) -> EventTrigger:
    """Return what fires when a retraining, or a stage of it, is not heard of again after such an event."""
    return EventTrigger(
        after={after},
        expect={RUN},
        match=ResourceSpecification({"prefect.resource.id": [RUN]}),
        match_related=AT_WORK,
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=within,
    )
