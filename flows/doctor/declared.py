"""What `assay doctor` asks of prefect.yaml: can each run that it declares find its flow, its commit and its images?"""

import glob
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assay import params
from assay.errors import AssayError
from assay.sources import places
from assay.versions import git
from flows.doctor import clocks
from flows.doctor.answer import Answer
from flows.server import deployments

OF_THE_SOURCE = ("retrain", "watch")  # the flows that open the source which the commit names


def deployed() -> Iterator[Answer]:
    """Would each deployment be taken when it is served?"""
    todo = "mend prefect.yaml, then restart `assay serve-flows`"
    wrong = 0
    try:
        declared = deployments.read()
    except AssayError as error:
        yield Answer(subject="prefect.yaml", seen=str(error), todo=todo)
        return
    for each in declared:
        try:
            deployments.served(each)
        except AssayError as error:
            wrong += 1
            yield Answer(subject="prefect.yaml", seen=str(error), todo=todo)
    if not wrong:
        yield Answer(subject="prefect.yaml", seen="its deployments can be served")


def schedules() -> Iterator[Answer]:
    """Is there the time of each schedule on every day of the coming year, also on those when clocks change?"""
    with suppress(AssayError):  # told of by `deployed`
        for each in deployments.read():
            with suppress(AssayError):
                for schedule in deployments.served(each).schedules:
                    yield from _lost_times(each.name, schedule.schedule)


def _lost_times(name: str, schedule: Any) -> Iterator[Answer]:
    cron, zone = schedule.cron, schedule.timezone or "UTC"
    for gap, instead in clocks.lost(cron, zone, datetime.now(UTC)):
        runs = f"Prefect runs it at {instead[0]:%H:%M}" if instead else "no run that day"
        seen = f"{name}: {cron!r} is no time in {zone} {gap.text}: {runs}; choose one outside (docs/operations.md)"
        yield Answer(subject="schedule", seen=seen, is_note=True)


def refs() -> Iterator[Answer]:
    """Is each `ref` a commit, and are the images here that it names? They are not listed: there may be a million."""
    for ref, names in _refs().items():
        if not git.has(ref):
            todo = f"`git fetch`, or set another `ref` in {deployments.FILE}"
            seen = f"no commit of this repository: ref of {', '.join(names)}"
            yield Answer(subject=f"ref {ref}", seen=seen, todo=todo)
        elif any(name.startswith(f"{flow}/") for name in names for flow in OF_THE_SOURCE):
            yield _source(ref)


def _refs() -> dict[str, list[str]]:
    """Return the names of the deployments that work at each ref, but for those of which `deployed` tells."""
    found: dict[str, list[str]] = {}
    with suppress(AssayError):
        for each in deployments.read():
            with suppress(AssayError):
                taken = deployments.served(each)
                usual = deployments.load(each).parameters.properties.get("ref", {}).get("default")
                if ref := taken.parameters.get("ref", usual):
                    found.setdefault(ref, []).append(each.name)
    return found


def _source(ref: str) -> Answer:
    """Is the source that the commit names on this machine?"""
    file = params.load().paths.source
    try:
        name = json.loads(git.show(file, ref))["source"]
    except (AssayError, ValueError, TypeError, KeyError):
        todo = "`assay snapshot SOURCE`, and commit what it writes"
        return Answer(subject="source", seen=f"{file} of {ref} is no snapshot", todo=todo)
    if is_gone(str(name)):
        todo = "bring it back (is the disk mounted?), or `assay snapshot SOURCE` and commit what it writes"
        return Answer(subject="source", seen=f"{name}, as {file} of {ref} names it, is not there", todo=todo)
    return Answer(subject="source", seen=f"{name} of {ref}")


def is_gone(name: str) -> bool:
    """Say whether the source is a path of this machine where nothing lies."""
    kind, _, place = name.partition(":")
    if kind not in ("folder", "table", "tar") or places.is_url(place):
        return False
    if kind == "tar":
        return next(glob.iglob(place, recursive=True), None) is None  # noqa: PTH207
    return not Path(place).exists()
