"""Setting up: from a fresh clone to a project of one's own images, in one commit.

What belongs to the images before is put away: the ledger, what was approved, each output of a stage, the champions. The
new ones are measured by the stage `ingest`; from what it found come the suites, and sizes, colour and training in
params.yaml. The suites are written last: where they know the classes of the source the set-up is whole.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay import files, params, passes, words
from assay.dataset import manifest, relabels
from assay.errors import AssayError
from assay.operations import fitting, next_step, params_lines, stage_run
from assay.sources import opening
from assay.sources.listing import Source
from assay.versions import dvc_repo, git, releases, tagged

OUTPUTS = ("outs", "metrics", "plots")  # of a stage of dvc.yaml


@dataclass(frozen=True, kw_only=True)
class Plan:
    source: Source
    gone: list[Path]  # files and folders that are there and belong to other images
    is_there: bool  # the project is already one of this source


def plan(name: str, options: dict[str, str], p: params.Params) -> Plan:
    """Return what is to be done for the source; raises `AssayError` where that would lose somebody's work."""
    source = opening.open_source(name, options)
    classes = opening.class_names(source)
    named = _named(p.paths.source)
    is_there = named == source.name and not next_step.is_foreign(p, classes)
    if not is_there:
        _check_nothing_is_lost(p, begun=named == source.name)
    return Plan(source=source, gone=[] if is_there else list(_of_others(p)), is_there=is_there)


def _named(file: Path) -> str:
    try:
        return str(files.read_json(file)["source"])
    except (OSError, AssayError, KeyError, TypeError):
        return ""


def _check_nothing_is_lost(p: params.Params, *, begun: bool) -> None:
    git.check_own(about="init")
    if version := releases.latest_version():
        raise AssayError(
            f"init: {tagged.ARTIFACT} {version} was released here, and it would lose its test images; new images of "
            "the same classes are taken in by `assay snapshot SOURCE`, another task wants a clone of its own"
        )
    status = git.run("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", about="init")
    dirty = {entry[3:] for entry in status.split("\0") if entry}
    if begun:  # killed on its way, or after `assay snapshot` alone
        made = (*_outputs(), p.paths.source, params.FILE, Path("dvc.lock"))
        dirty -= {
            file.as_posix() for file in (*made, *(file for file, empty in _emptied(p).items() if _is(file, empty)))
        }
    if dirty:
        shown = ", ".join(sorted(dirty)[:5]) + ", ..." * (len(dirty) > 5)
        raise AssayError(f"init: uncommitted work: {shown}; commit or stash it first")


def _outputs() -> list[Path]:
    """Return every output of a stage, as dvc.yaml declares it."""
    p = params.load()
    stages: dict[str, Any] = files.read_yaml(stage_run.PIPELINE)["stages"]
    declared = [each for stage in stages.values() for kind in OUTPUTS for each in stage.get(kind, [])]
    templates = [next(iter(each)) if isinstance(each, dict) else each for each in declared]
    return [Path(stage_run.resolve(template, p)) for template in templates]


def _of_others(p: params.Params) -> Iterator[Path]:
    yield from (each for each in _outputs() if each.exists())
    for file, empty in _emptied(p).items():
        if file.exists() and not _is(file, empty):
            yield file


def _is(file: Path, empty: str) -> bool:
    return file.exists() and file.read_text().split() == empty.split()


def _emptied(p: params.Params) -> dict[Path, str]:
    """Return the files that stages read and people or releases write, with what they hold at the start."""
    corrected = ",".join(relabels.COLUMNS) + "\n"
    return {p.paths.approved: "{}\n", p.paths.champions: "[]\n", p.paths.noise: "{}\n", p.paths.relabels: corrected}


def put_away(planned: Plan, p: params.Params) -> None:
    """Delete or empty what belongs to other images, and take the snapshot of the new ones."""
    for each in planned.gone:
        shutil.rmtree(each) if each.is_dir() else each.unlink()
    for file, empty in _emptied(p).items():
        files.write_text(file, empty)
    files.write_json(p.paths.source, opening.snapshot(planned.source))


def measure() -> None:
    """Run the stage `ingest`, which measures the images; raises `AssayError` if it fails, having said why."""
    dvc_repo.reproduce("ingest", "init")


def choose(p: params.Params) -> list[str]:
    """Write sizes, colour and training that suit the images into params.yaml; return what was chosen, and why."""
    rows, classes = manifest.read(p.paths.manifest), opening.class_names(opening.open_again(p.paths.source))
    if not rows["split"].notna().any():
        raise AssayError("init: no image can be used: none has a label and can be decoded; see the source")
    pixels, task = manifest.read_pixels(p.paths.manifest), manifest.task(p.paths.manifest)
    chosen = fitting.choices(rows, pixels, classes, task)
    text = params.FILE.read_text()
    files.write_text(params.FILE, params_lines.changed(text, {each.key: each.value for each in chosen}))
    params.load()  # raises where the file is wrong now
    said = [f"  {each.key}: {words.plain(each.value)}: {each.why}" for each in chosen]
    more = fitting.hint(rows, len(classes), chosen)
    return [*said, *([f"  {more}"] if more else [])]


def suggest(p: params.Params) -> list[str]:
    """Write the suites for the images; return what was excused or lowered, and what to look at first."""
    from assay.validation import suggestion  # Great Expectations takes seconds to load

    rows, pairs = manifest.read(p.paths.manifest), manifest.read_pairs(p.paths.pairs)
    found = suggestion.suites_for(rows, pairs, manifest.task(p.paths.manifest), p, passes.today())
    suggestion.write(p.paths.expectations, found, overwrite=True)
    return [*found.said, "look at these three first:", *suggestion.first(found)]


def commit(planned: Plan) -> str:
    """Commit the set-up, and return the commit's short name."""
    n, classes = len(planned.source.entries), opening.class_names(planned.source)
    git.run("add", "--all", about="init")
    message = f"Begin with own images: {planned.source.name}, {n:,} in {len(classes)} classes"
    signature: dict[str, Any] = git.signature()
    git.run("commit", "-q", "-m", message, about="init", **signature)
    return git.run("rev-parse", "--short", "HEAD", about="init")
