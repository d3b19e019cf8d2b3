"""Prefect as this project wants it: imported in one place, set by prefect.toml, and really scheduling."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from checkouts import ROOT


def test_prefect_is_imported_in_flows_only() -> None:
    sources = [file for folder in ("assay", "tasks") for file in (ROOT / folder).rglob("*.py")]
    assert ROOT / "assay/operations/stage_run.py" in sources
    assert {file.name for file in sources if imported(file) & {"prefect", "flows"}} == set()
    assert "prefect" in imported(ROOT / "flows/pipeline.py")
    assert "prefect" not in imported(ROOT / "flows/reproduce.py")


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_settings_of_prefect_toml_are_honoured() -> None:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    ask = """
from prefect.settings import get_current_settings as now
s = now()
print(s.home, s.server.analytics_enabled, s.server.ephemeral.startup_timeout_seconds, s.flows.heartbeat_frequency,
      s.logging.to_api.when_missing_flow, s.server.concurrency.lease_storage.split(".")[-1],
      sorted(s.server.services.db_vacuum.enabled))
"""
    said = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, env=clean, capture_output=True, text=True).stdout
    assert said.split(maxsplit=6) == [
        ".prefect",
        "False",
        "90",
        "30",
        "ignore",
        "filesystem",
        "['events', 'flow_runs']\n",
    ]


@pytest.mark.slow
def test_scheduler_of_prefect_inserts_runs(tmp_path: Path) -> None:
    """With SQLAlchemy 2.1 it inserts none, and nothing else shows it."""
    code = """
import asyncio
from prefect.server import models, schemas
from prefect.server.database import provide_database_interface
from prefect.server.schemas.core import Deployment, DeploymentSchedule, Flow
from prefect.server.schemas.schedules import CronSchedule

async def main():
    database = provide_database_interface()
    await database.create_db()
    async with database.session_context(begin_transaction=True) as session:
        flow = await models.flows.create_flow(session, Flow(name="x"))
        nightly = DeploymentSchedule(schedule=CronSchedule(cron="0 3 * * *", timezone="Europe/Berlin"), active=True)
        wanted = Deployment(name="nightly", flow_id=flow.id, schedules=[nightly])
        deployment = await models.deployments.create_deployment(session, wanted)
        print(len(await models.deployments.schedule_runs(session, deployment.id)))

asyncio.run(main())
"""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=clean | {"PREFECT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert int(done.stdout or 0) > 0, done.stderr
