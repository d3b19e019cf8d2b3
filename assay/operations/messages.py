"""The messages: for each bad end what happened, which images, what to do, and where the report is."""

import json
from pathlib import Path
from typing import Any

from assay import params
from assay.errors import AssayError, GateClosed, InputsChanged
from assay.operations.alert import GUIDE, Alert, same

IMAGES = 10  # shown of a closed gate
VERIFY = "verify"  # the stage that is a gate too, of the records
OF_IMAGES = ("images", "labels", "pairs", "recorded", "samples")  # tables whose rows are called by the path of an image


def title(name: str, code: int) -> str:
    """Return the headline for a stage that ended with this exit code."""
    rejected = f"rejected the {'records' if name == VERIFY else 'data'}"
    ends = {GateClosed.exit_code: rejected, InputsChanged.exit_code: "saw its inputs change"}
    return f"Assay: {name} {ends.get(code, 'failed')}"


def of_stage(name: str, code: int, message: str, folder: Path = Path(), kept: Path | None = None) -> Alert:
    """Return what to tell of a stage of the checkout `folder` that ended so; `kept` has its reports if it goes away.

    The causes of one stage begin with its name and a colon.
    """
    first = message.splitlines()[0] if message else ""
    if code == GateClosed.exit_code:
        return _closed(name, message, folder, kept)
    if code == InputsChanged.exit_code:
        todo = "nothing if it is a scheduled run: the next one does it again; else run `dvc repro` again"
    else:
        todo = f"read the message, mend its cause, run it again; what is finished is not done again ({GUIDE}: failed)"
    return Alert(cause=f"{name}: {same(first)}", title=title(name, code), text=message, todo=todo)


def _closed(name: str, message: str, folder: Path, kept: Path | None) -> Alert:
    report = _report(name, folder, kept)
    todo = "mend or remove the images, or change the limit in expectations/, then run it again"
    if name == VERIFY:
        todo = "delete data/records and run it again, which writes it anew; the images are as they were"
    rules = sorted(line.partition(":")[0] for line in message.splitlines()[1:])
    images = first_images(report / "results.json") if report else []
    listed = "\n".join(["", "Images:", *(f"{n}. {image}" for n, image in enumerate(images, 1))]) if images else ""
    return Alert(
        cause=f"{name}: closed: {', '.join(rules)}",
        title=title(name, GateClosed.exit_code),
        text=message + listed,
        todo=f"{todo} ({GUIDE}: rejected)",
        report=report / "index.html" if report else None,
        pictures=tuple(images),
        folder=folder,
    )


def _report(name: str, folder: Path, kept: Path | None) -> Path | None:
    """Return the folder of the report by which the stage closed."""
    try:
        paths = params.load(folder / params.FILE).paths
    except AssayError:
        return None
    report = paths.verification if name == VERIFY else paths.validation
    return kept / report.name if kept else folder / report


def first_images(results: Path) -> list[str]:
    """Return the first IMAGES images that break a critical rule, each rule in turn; none if nothing was validated."""
    try:
        found: dict[str, Any] = json.loads(results.read_text())
    except (OSError, ValueError):
        return []
    critical = [each for each in found["expectations"] if each["severity"] == "critical" and not each["success"]]
    closed = [each["failures"] for each in critical if each["table"] in OF_IMAGES]
    turns = [names[turn] for turn in range(IMAGES) for names in closed if turn < len(names)]
    return list(dict.fromkeys(turns))[:IMAGES]


def set_aside(message: str, images: list[str], report: Path, folder: Path = Path()) -> Alert:
    """Return what to tell of images that an open gate sets aside; others than the last time are news."""
    return Alert(
        cause=f"set aside: {' '.join(images)}",
        title="Assay: gate set images aside",
        text=message,
        todo="mend or remove the images; what is mended takes part in the next run, and the rest of the set does now",
        report=report,
        pictures=tuple(images[:IMAGES]),
        folder=folder,
    )


def no_start(message: str) -> Alert:
    todo = f"mend what the message names, then run it again ({GUIDE}: failed)"
    return Alert(cause=f"start: {same(message)}", title="Assay: the pipeline cannot start", text=message, todo=todo)


def failed(message: str) -> Alert:
    todo = f"mend what the message names; the next run goes on where this one was ({GUIDE}: failed)"
    return Alert(cause=f"retrain: {same(message)}", title="Assay: the retraining failed", text=message, todo=todo)


def held(version: str, reasons: str, report: Path) -> Alert:
    return Alert(
        cause=f"held: {version}",
        title=f"Assay: model {version} is held",
        text=f"classifier {version} was trained and released, but is not the champion:\n{reasons}",
        todo=f"look at the report; if it may be used: `assay promote {version}`, or run the deployment promote/by-hand "
        f"in Prefect's UI with version={version}; else nothing ({GUIDE}: held)",
        report=report,
    )


def unpublished(message: str) -> Alert:
    return Alert(
        cause=f"publish: {same(message)}",
        title="Assay: a retraining could not be published",
        text=message,
        todo=f"let the remote take it (credentials, space, protection); the next run sends it ({GUIDE}: publish)",
    )


def crashed(flow: str, run: str, message: str) -> Alert:
    return Alert(
        cause=f"crashed: {flow}: {same(message)}",
        title=f"Assay: {flow} crashed",
        text=f"run {run}: {message}",
        todo=f"find out what ended it (memory? a restart?); the next run goes on where it was ({GUIDE}: crashed)",
    )


def drifted(moved: list[str], lines: list[str], images: list[str], report: Path) -> Alert:
    """Return what to tell of new images that are unlike the approved ones: what `moved`, and a line of each."""
    listed = "\n".join(["", "Images:", *(f"{n}. {image}" for n, image in enumerate(images, 1))]) if images else ""
    return Alert(
        cause=f"drift: {', '.join(moved)}",
        title="Assay: new images have drifted",
        text="\n".join(lines) + listed,
        todo=f"look at the page; label some of these images and add them to the source, or mend the camera "
        f"({GUIDE}: drift)",
        report=report / "index.html",
        sheet=report / "images.png" if images else None,
    )


def unmonitored(message: str) -> Alert:
    return Alert(
        cause=f"monitor: {same(message)}",
        title="Assay: new images were not looked at",
        text=message,
        todo=f"mend what the message names; the next look takes these images too ({GUIDE}: drift)",
    )


def unwatched(message: str) -> Alert:
    return Alert(
        cause=f"watch: {same(message)}",
        title="Assay: the source was not looked at",
        text=message,
        todo=f"mend what the message names; the next look finds what is new all the same ({GUIDE}: failed)",
    )


def unwell(found: list[tuple[str, str, str]]) -> Alert:
    """Return what `assay doctor` found: (subject, what was seen, what to do) of each."""
    lines = "\n".join(f"{subject}: {seen}\n  -> {todo}" for subject, seen, todo in found)
    return Alert(
        cause=f"doctor: {', '.join(subject for subject, _, _ in found)}",
        title="Assay: the next retraining is in danger",
        text=lines,
        todo=f"what stands at each line, then `assay doctor` again ({GUIDE}: doctor)",
    )


def ending(found: list[tuple[str, str, str]]) -> Alert:
    """Return what to tell of waivers that end soon: (what is excused, last day, where it stands) of each."""
    return Alert(
        cause=f"waivers: {', '.join(sorted(where + until for _, until, where in found))}",
        title="Assay: a waiver is about to end",
        text="\n".join(
            f"{rule!r} is excused until {until} ({where}); from then on the gate closes" for rule, until, where in found
        ),
        todo=f"mend the images that it names, or renew it ({GUIDE}: waiver)",
    )


def low_disk(free_gib: float, limit_gib: float, place: Path) -> Alert:
    return Alert(
        cause=f"disk: {place}",
        title="Assay: the disk is nearly full",
        text=f"{place}: {free_gib:.1f} GiB are free, a retraining wants {limit_gib:.1f} GiB",
        todo=f"run `assay clean`, or make room ({GUIDE}: disk)",
    )
