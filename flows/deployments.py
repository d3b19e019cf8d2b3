"""The deployments of prefect.yaml, which alone declares what runs when."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from prefect.flows import load_flow_from_entrypoint
from prefect.schedules import Cron

from assay.errors import AssayError

FILE = Path("prefect.yaml")


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """`name` is flow/deployment, as Prefect shows it."""

    name: str
    declared: dict[str, Any]


def read() -> list[Deployment]:
    """Return what prefect.yaml declares; raises `AssayError` if it cannot be read."""
    try:
        entries = yaml.safe_load(FILE.read_text())["deployments"]
        return [
            Deployment(name=f"{each['entrypoint'].rpartition(':')[2]}/{each['name']}", declared=each)
            for each in entries
        ]
    except FileNotFoundError:
        raise AssayError(f"{FILE}: not found; run this in the folder that holds it") from None
    except (KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise AssayError(f"{FILE}: {' '.join(str(error).split())}") from None


def pull() -> list[dict[str, Any]]:
    """Return how a worker finds the code: the `pull` steps."""
    steps: list[dict[str, Any]] = yaml.safe_load(FILE.read_text()).get("pull") or []
    return steps


def served(deployment: Deployment) -> Any:
    """Return it as `prefect.serve` wants it; the work pool is for workers."""
    declared = deployment.declared
    try:
        schedules = [Cron(each["cron"], timezone=each.get("timezone", "UTC")) for each in declared.get("schedules", [])]
    except (KeyError, ValueError) as error:
        raise AssayError(f"{FILE}: {deployment.name}: schedules: {' '.join(str(error).split())}") from None
    return load_flow_from_entrypoint(declared["entrypoint"]).to_deployment(
        declared["name"],
        schedules=schedules,
        parameters=declared.get("parameters", {}),
        description=declared.get("description"),
        tags=declared.get("tags"),
    )
