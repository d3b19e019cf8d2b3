"""The deployments of prefect.yaml, which alone declares what runs when.

A mistake in it is an `AssayError` when it is read to be served: a key or a parameter that nobody knows would be left
out without a word, and the run that needs it would come at the wrong time, or crash.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints
from zoneinfo import available_timezones

from prefect import Flow
from prefect.flows import load_flow_from_entrypoint
from prefect.schedules import Cron, Schedule
from pydantic import TypeAdapter, ValidationError

from assay import files, words
from assay.errors import AssayError

FILE = Path("prefect.yaml")
KEYS: dict[str, type] = {
    "name": str,
    "entrypoint": str,
    "description": str,
    "parameters": dict,
    "schedules": list,
    "work_pool": dict,
    "tags": list,
}
KINDS: dict[type, str] = {str: "a text", dict: "a mapping", list: "a list"}
OF_SCHEDULE = ("cron", "timezone")
EXAMPLE = '{cron: "0 3 * * *", timezone: Europe/Berlin}'


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """`name` is flow/deployment, as Prefect shows it."""

    name: str
    declared: dict[str, Any]


def read() -> list[Deployment]:
    """Return what prefect.yaml declares; raises `AssayError` where it cannot be read, or lacks what each must have."""
    entries = _content().get("deployments")
    if not isinstance(entries, list) or not entries:
        raise AssayError(f"{FILE}: deployments: {_seen(entries)}, must be a list with one entry at the least")
    found: dict[str, Deployment] = {}
    for number, entry in enumerate(entries, 1):
        each = _deployment(number, entry)
        if each.name in found:
            raise AssayError(f"{FILE}: {each.name}: declared twice; give one of them another name")
        found[each.name] = each
    return list(found.values())


def pull() -> list[dict[str, Any]]:
    """Return how a worker finds the code: the `pull` steps."""
    steps = _content().get("pull") or []
    if not isinstance(steps, list):
        raise AssayError(f"{FILE}: pull: {_seen(steps)}, must be a list of steps")
    return steps


def pool(deployment: Deployment) -> str:
    """Return the name of the work pool whose workers run it."""
    name = (deployment.declared.get("work_pool") or {}).get("name")
    if not isinstance(name, str):
        raise AssayError(f"{FILE}: {deployment.name}: no work pool; write `work_pool: {{name: cpu}}`")
    return name


def served(deployment: Deployment) -> Any:
    """Return it as `prefect.serve` wants it; the work pool is for workers.

    Raises `AssayError` for a schedule, an entrypoint or parameters that cannot be.
    """
    declared = deployment.declared
    schedules = _schedules(deployment)
    flow = load(deployment)
    _check_parameters(deployment, flow)
    return flow.to_deployment(
        declared["name"],
        schedules=schedules,
        parameters=declared.get("parameters") or {},
        description=declared.get("description"),
        tags=declared.get("tags"),
    )


def load(deployment: Deployment) -> Flow[Any, Any]:
    """Return the flow of the entrypoint."""
    entrypoint = deployment.declared["entrypoint"]
    where = f"{FILE}: {deployment.name}: entrypoint"
    file = entrypoint.rpartition(":")[0]
    if not Path(file).is_file():
        raise AssayError(f"{where}: no file {file!r}; write FILE:FUNCTION, as flows/retrain.py:retrain")
    try:
        return load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    except Exception as error:  # whatever the file does while it is imported
        raise AssayError(f"{where} {entrypoint!r}: {' '.join(str(error).split())}") from None


def _content() -> dict[str, Any]:
    try:
        content = files.read_yaml(FILE)
    except FileNotFoundError:
        raise AssayError(f"{FILE}: not found; run this in the folder that holds it") from None
    if not isinstance(content, dict):
        raise AssayError(f"{FILE}: {_seen(content)}, must be a mapping with `deployments`")
    return content


def _deployment(number: int, entry: Any) -> Deployment:
    """Return the entry, its keys checked, but not yet what they mean."""
    where = f"deployments: entry {number}"
    if not isinstance(entry, dict):
        raise AssayError(f"{FILE}: {where}: {_seen(entry)}, must be a mapping with name and entrypoint")
    for key in ("name", "entrypoint"):
        if not isinstance(entry.get(key), str) or not entry[key]:
            raise AssayError(f"{FILE}: {where}: {key}: {_seen(entry.get(key))}, must be a text")
    name = f"{entry['entrypoint'].rpartition(':')[2]}/{entry['name']}"
    _check_known(name, entry, KEYS)
    for key, kind in KEYS.items():
        if entry.get(key) is not None and not isinstance(entry[key], kind):
            raise AssayError(f"{FILE}: {name}: {key}: {_seen(entry[key])}, must be {KINDS[kind]}")
    if entry.get("schedules", ...) is None:
        todo = f"write `- {EXAMPLE}` below it, or leave the key out for one that is started by hand"
        raise AssayError(f"{FILE}: {name}: schedules: empty; {todo}")
    return Deployment(name=name, declared=entry)


def _schedules(deployment: Deployment) -> list[Schedule]:
    where = f"{deployment.name}: schedules"
    return [_schedule(where, each) for each in deployment.declared.get("schedules", [])]


def _schedule(where: str, each: Any) -> Schedule:
    if not isinstance(each, dict):
        raise AssayError(f"{FILE}: {where}: {_seen(each)}, must be as {EXAMPLE}")
    _check_known(where, each, OF_SCHEDULE)
    cron, zone = each.get("cron"), str(each.get("timezone") or "UTC")
    if not isinstance(cron, str):
        raise AssayError(f"{FILE}: {where}: cron: {_seen(cron)}, must be a text as in {EXAMPLE}")
    if zone not in (zones := available_timezones()):
        raise AssayError(
            f"{FILE}: {where}: no time zone {zone!r}; {words.meant(zone, sorted(zones), 'as Europe/Berlin')}"
        )
    try:
        return Cron(cron, timezone=zone)
    except ValueError:
        raise AssayError(f"{FILE}: {where}: {cron!r} is no cron schedule; write it as in {EXAMPLE}") from None


def _check_parameters(deployment: Deployment, flow: Flow[Any, Any]) -> None:
    """Raise `AssayError` for a parameter that the flow does not take, or not so; one that it needs may come by hand."""
    given, where = deployment.declared.get("parameters") or {}, f"{deployment.name}: parameters"
    _check_known(where, given, flow.parameters.properties)
    types = get_type_hints(flow.fn)
    for name, value in given.items():
        try:
            TypeAdapter(types.get(name, Any)).validate_python(value)
        except ValidationError as error:
            said = error.errors()[0]["msg"]
            raise AssayError(f"{FILE}: {where}: {name}: {said[0].lower()}{said[1:]}, not {value!r}") from None
    missing = [name for name in flow.parameters.required if name not in given]
    if missing and deployment.declared.get("schedules"):
        raise AssayError(f"{FILE}: {where}: {missing[0]}: missing, and its schedule starts it without")


def _check_known(where: str, given: Collection[Any], known: Collection[str]) -> None:
    """Raise `AssayError` for the first name that nobody would look at."""
    for name in given:
        if name not in known:
            hint = words.meant(name, known, f"known here: {', '.join(known) or 'none'}")
            raise AssayError(f"{FILE}: {where}: unknown key {name!r}; {hint}")


def _seen(value: Any) -> str:
    """Return what stands where something else should, for people."""
    return "missing or empty" if value in (None, "", [], {}) else repr(value)[:100]
