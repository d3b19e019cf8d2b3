"""`assay doctor` beside a real server: what would go wrong in silence is named, and what it says to do mends it."""

import shutil
from datetime import timedelta

import pytest
import toy
from checkouts import ROOT
from machine import Machine, until, unwell
from prefect import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import FlowRunSort

from flows.doctor import prefect_state
from flows.server import api, deployments

pytestmark = pytest.mark.live
RESTART = "restart `assay serve-flows`"


def todo(seen: str) -> str:
    """Return what the doctor says to do about what it saw."""
    (found,) = [answer.todo for answer in prefect_state.prefect() if answer.seen == seen]
    return found


def test_runs_that_were_missed_become_one_and_its_result_is_that_of_any_other(
    machine: Machine, undisturbed: object
) -> None:
    machine.kill("serve")
    missed = machine.miss(3)
    overdue = f"3 runs overdue, the first since {missed[0].expected_start_time:%F %H:%M} UTC"
    assert unwell() == [overdue]
    assert todo(overdue) == RESTART
    machine.start("serve")
    assert [machine.end(run) for run in missed] == ["Skipped", "Skipped", "Completed"]
    assert machine.result() == undisturbed
    until(lambda: unwell() == [], every=1)


def test_schedule_slot_and_automation_that_went_wrong_are_named_and_mended_as_the_doctor_says(
    machine: Machine,
) -> None:
    shutil.copy(ROOT / "pyproject.toml", machine.checkout)
    with get_client(sync_client=True) as client:
        client.pause_deployment(client.read_deployment_by_name("retrain/nightly").id)
        client.delete_automation(client.read_automations_by_name("assay: dead runs")[0].id)
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name="gpu", limit=1, active_slots=1))
    paused, held, missing = unwell()
    assert (paused, missing) == ("its schedule is paused", "missing or off: assay: dead runs")
    assert held == "1 of gpu: slots that are held, and nothing runs"
    printed = toy.run(machine.checkout, "assay", "doctor", code=1, **machine.settings)
    assert [line for line in printed.splitlines() if line.startswith("!!")] == [
        f"!!  retrain/nightly  {paused}",
        f"!!  runs             {held}",
        f"!!  automations      {missing}",
    ]
    toy.run(machine.checkout, *todo(held).split(), **machine.settings)
    assert unwell() == [paused, missing]
    assert todo(paused) == RESTART
    assert todo(missing).startswith(RESTART)
    machine.restart("serve")
    until(lambda: unwell() == [], every=1)
    toy.run(machine.checkout, "assay", "doctor", **machine.settings)


def test_deployment_that_is_declared_no_more_is_named_until_it_is_deleted(machine: Machine) -> None:
    nightly = next(each for each in deployments.read() if each.name == "retrain/nightly")
    deployments.served(deployments.Deployment(name="", declared=nightly.declared | {"name": "weekly"})).apply()
    assert unwell() == [api.LEFT]
    machine.restart("serve")
    delete = todo(api.LEFT)
    assert delete == "prefect deployment delete retrain/weekly"
    assert f"retrain/weekly: {api.LEFT}; `{delete}`" in machine.log("serve")
    assert unwell() == [api.LEFT]
    toy.run(machine.checkout, *delete.split(), **machine.settings)
    until(lambda: unwell() == [], every=1)


def test_server_that_schedules_nothing_and_forgets_who_holds_a_slot_is_named(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.restart(
        "server",
        PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED="false",
        PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE="prefect.server.concurrency.lease_storage.memory",
    )
    with get_client(sync_client=True) as client:
        for run in client.read_flow_runs(sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=200):
            if run.state_type == StateType.SCHEDULED:
                client.delete_flow_run(run.id)
    machine.restart("serve")
    assert unwell() == ["memory"]  # a schedule that is new needs no run yet
    monkeypatch.setattr(prefect_state, "SETTLES", timedelta(0))
    assert unwell() == ["memory", "no run is scheduled"]
    assert todo("memory") == "start the server in this folder, whose prefect.toml sets it"
    assert todo("no run is scheduled").startswith("restart the server")
    machine.restart("server")
    until(lambda: unwell() == [], every=1)
