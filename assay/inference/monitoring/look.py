"""Looks at new images, of whose classes nobody told, and leaves a report: survey.py says what is asked of them.

`python -m assay.inference.monitoring.look SOURCE REF` looks at those that no earlier look of `flows/monitor` saw, in a
process of its own, which the memory of a look goes with; on stdout stands what `Look` holds. A report is a folder with
index.html, results.json, images.csv and, after drift, images.png.
"""

import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from assay import files, params, terminal, words
from assay.errors import AssayError
from assay.images import decode, thumbnail
from assay.inference.classifier import Classifier
from assay.inference.monitoring import page, predictions, survey
from assay.inference.monitoring.survey import Comparison
from assay.ingestion import chunk, scan
from assay.sources import opening
from assay.sources.listing import Entry
from assay.state import LOOKS
from assay.validation.profile import approved, properties
from assay.validation.profile.approved import Profile
from assay.versions import champion, git, releases
from assay.versions.champion import Champion

KEPT = 30  # reports
ALERTED = 10  # images that an alert shows
COLUMNS = ("path", "bytes", "decodable", "reason", "predicted", "probability")  # of images.csv


@dataclass(frozen=True, kw_only=True)
class Look:
    """`report`: its folder, None where there were too few images. `lines` are for people, `moved` is what drifted."""

    n_images: int
    moved: list[str]
    lines: list[str]
    images: list[str]  # that show it best
    report: Path | None


def look(name: str, p: params.Params, *, ref: str | None = None, only_new: bool = False) -> Look:
    """Return what was found of the images of a folder or table.

    `ref`: the commit whose approved profile counts, None for the file as it is; `only_new`: leave out what was
    remembered. Raises `AssayError` if there is no such source, and where neither data are approved nor there is a
    champion.
    """
    images = opening.open_unlabelled(name)
    approved, best = _approved(ref, p), champion.read()
    if approved is None and best is None:
        raise AssayError(
            "monitor: nothing to compare with: no data are approved (`assay approve`, then commit "
            f"{p.paths.approved}), and no model is the champion ({_makes_a_champion()})"
        )
    known = _remembered(name) if only_new else set()
    entries = opening.Entries(each for each in images.entries if (each.path, each.bytes) not in known)
    images = opening.Source(images.name, entries, images.read, has_files=images.has_files)
    if len(entries) < survey.FEWEST:
        return _too_few(len(entries), "")
    reading = decode.reading(p.ingest)
    rows, _ = scan.scan(images, LOOKS / "memo", reading)
    rows = rows.rename(columns={"given_group": "group"})
    rows["reason"] = rows["reason"].fillna("")
    if rows["decodable"].sum() < survey.FEWEST:
        return _too_few(len(entries), f", {int((~rows['decodable']).sum()):,} of them cannot be decoded")
    return _report(images, reading, _with_predictions(images, rows, best), approved, best)


def _makes_a_champion() -> str:
    """Return the command that makes one: a version that is held was released already."""
    version = releases.latest_version()
    return f"{version} is held: `assay promote {version}`" if version else "`assay release`"


def _too_few(n: int, more: str) -> Look:
    line = f"{n:,} new images{more}; a look waits for {survey.FEWEST}"
    return Look(n_images=n, moved=[], lines=[line], images=[], report=None)


def _approved(ref: str | None, p: params.Params) -> Profile | None:
    """Return the approved profile of a commit, or of the file as it is; None: nothing is approved."""
    if ref is None:
        return approved.read(p.paths.approved) if p.paths.approved.exists() else None
    if not git.has(ref):
        raise AssayError(f"monitor: {ref!r} is no commit of this repository (ref)")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / p.paths.approved.name
        file.write_text(git.show(p.paths.approved, ref, about="monitor"))
        return approved.read(file)


def _with_predictions(images: opening.Source, rows: pd.DataFrame, best: Champion | None) -> pd.DataFrame:
    """Return the rows with `predicted` and `probability`; what the champion cannot read is not decodable."""
    if best is None:
        return rows.assign(predicted=None, probability=float("nan"))
    place = {entry.path: entry for entry in images.entries}
    readable = rows.index[rows["decodable"]]
    contents = _reads(images, [place[path] for path in rows.loc[readable, "path"]])
    found = predictions.predict(Classifier.load(version=best.version), contents).set_axis(readable)
    rows = rows.join(found)
    lost = rows["decodable"] & rows["predicted"].isna()
    return rows.assign(decodable=rows["decodable"] & ~lost, reason=rows["reason"].mask(lost, "changed while looked at"))


def _reads(images: opening.Source, entries: list[Entry]) -> list[Callable[[], bytes]]:
    """Return what reads each image: by a worker of a cluster too, but for what lies in the memory of this process."""

    def read_here(entry: Entry) -> bytes:  # within, so that it cannot be sent
        return images.read(entry)

    if not chunk.travels(images):
        return [partial(read_here, entry) for entry in entries]
    return [partial(images.read, chunk.absolute(entry) if images.has_files else entry) for entry in entries]


def _report(
    images: opening.Source,
    reading: decode.Reading,
    rows: pd.DataFrame,
    approved: Profile | None,
    best: Champion | None,
) -> Look:
    usable = rows[rows["decodable"]].reset_index(drop=True)
    test = survey.seen(best.test, best.task) if best else None
    compared = survey.pixels(approved, usable, best.test if best else None) if approved else []
    compared += survey.predictions(test, usable) if test else []
    moved = [each for each in compared if each.has_moved]
    shown = page.chosen(usable, moved, approved, best.task if best else "single_label")
    results = _results(rows, compared, best, approved) | (_predicted(usable, best, test) if best and test else {})
    folder = LOOKS / "reports" / _name(images, results)
    shutil.rmtree(folder, ignore_errors=True)
    files.write_json(folder / "results.json", results)
    files.write_csv(folder / "images.csv", rows[list(COLUMNS)].map(words.cell))
    files.write_text(folder / "index.html", page.render(results, rows, shown, compared, approved, images, reading))
    first = list(dict.fromkeys(path for group in shown for path in group.paths))[:ALERTED] if moved else []
    _sheet(folder / "images.png", images, first, reading)
    _prune()
    names = [each.name for each in moved]
    return Look(n_images=len(rows), moved=names, lines=results["said"], images=first, report=folder)


def _name(images: opening.Source, results: dict[str, Any]) -> str:
    """Return what names the report: the images that were looked at, and what was found."""
    state = [opening.snapshot(images)["fingerprint"], results]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:12]


def said(each: Comparison) -> str:
    """Return the comparison for people."""
    limit = f"the limit is {each.limit:g}"
    if each.name == "predicted classes":
        apart, now, before = (f"{100 * share:.3g}%" for share in (each.statistic, each.now, each.before))
        most = f"{each.of!r} {now}, of the test images {before}"
        return f"{each.name}: {apart} of the images are named otherwise, {limit}; most: {most}"
    if each.name == "confidence":
        return f"{each.name}: {each.statistic:g} apart, {limit}; mean {each.now:g}, on the test images {each.before:g}"
    middles = f"median {each.now:g}, approved {each.before:g}"
    return f"{properties.WORDS[each.name]} ({each.name}): {each.statistic:g} apart, {limit}; {middles}"


def _results(
    rows: pd.DataFrame, compared: list[Comparison], best: Champion | None, approved: Profile | None
) -> dict[str, Any]:
    """Return the content of results.json, but for what only a champion can say."""
    lines = [said(each) for each in compared if each.has_moved]
    return {
        "drift": bool(lines),
        "said": lines,
        "n_images": len(rows),
        "n_not_decodable": int((~rows["decodable"]).sum()),
        "n_approved": approved.n_images if approved else None,
        "champion": best.version if best else None,
        "comparisons": [asdict(each) | {"has_moved": each.has_moved} for each in compared],
    }


def _predicted(usable: pd.DataFrame, best: Champion, test: survey.Seen) -> dict[str, Any]:
    limit = survey.unsure(best.test)
    of_test, now = (float((each["probability"] < limit).mean()) for each in (best.test, usable))
    counts = survey.class_counts(test, usable)
    return {
        "unsure": {"below": limit, "test": round(of_test, 4), "now": round(now, 4)},
        "classes": [
            {"class": name, "test": round(was / len(best.test), 4), "now": round(n / len(usable), 4)}
            for name, was, n in counts.itertuples()
        ],
    }


def _sheet(file: Path, images: opening.Source, paths: list[str], reading: decode.Reading) -> None:
    """Leave the images side by side, for the alert."""
    place = {entry.path: entry for entry in images.entries}
    if paths:
        shown = [decode.to_rgb(decode.decode(images.read(place[path]), reading)) for path in paths]
        with files.replacing(file) as out:
            thumbnail.sheet(shown).save(out, "PNG")


def _prune() -> None:
    reports = sorted((LOOKS / "reports").iterdir(), key=lambda each: (each.stat().st_mtime, each.name))
    for old in reports[:-KEPT]:
        shutil.rmtree(old)


def _memory(name: str) -> Path:
    return LOOKS / "seen" / f"{hashlib.sha256(name.encode()).hexdigest()[:12]}.parquet"


def _remembered(name: str) -> set[tuple[str, int]]:
    if not _memory(name).exists():
        return set()
    seen = pd.read_parquet(_memory(name))
    return set(zip(seen["path"], seen["bytes"], strict=True))


def remember(name: str, report: Path) -> None:
    """Leave out of the next look what this one saw, by path and size; what the source no longer has is forgotten."""
    entries = opening.open_unlabelled(name).entries
    seen = pd.read_csv(report / "images.csv", usecols=["path", "bytes"], dtype={"path": str}, keep_default_na=False)
    known = _remembered(name) | set(zip(seen["path"].map(words.of_cell), seen["bytes"], strict=True))
    kept = sorted((each.path, each.bytes) for each in entries if (each.path, each.bytes) in known)
    with files.replacing(_memory(name)) as out:
        pd.DataFrame(kept, columns=["path", "bytes"]).to_parquet(out)


def main() -> None:
    name, ref = sys.argv[1:]
    try:
        found = look(name, params.load(), ref=ref, only_new=True)
    except AssayError as error:
        terminal.complain(str(error))
        sys.exit(error.exit_code)
    print(json.dumps(asdict(found) | {"report": found.report and found.report.as_posix()}))


if __name__ == "__main__":
    main()
