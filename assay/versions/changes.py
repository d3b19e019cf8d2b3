"""What changed between two commits: data, parameters, metrics, and whether the model and the change are really better.

The tables are those of `dvc metrics diff` and `dvc params diff`. The models are compared on the test images that both
commits have, image by image: by the lists of predictions, or by the errors in candidate.json where both have the same
test split.
"""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from assay import pages, params
from assay.errors import AssayError
from assay.versions import at_commit, data_change, dvc_repo, model_change
from assay.versions.at_commit import Side
from assay.versions.data_change import DataChange
from assay.versions.dvc_repo import WORKSPACE
from assay.versions.model_change import ModelChange

SHOWN = 60  # rows of a table, at most: a thousand classes would fill the page
OF_THE_MODEL = ("train", "eval")
EVAL, PER_CLASS = "eval.", "eval.class."


@dataclass(frozen=True, kw_only=True)
class Change:
    name: str  # keys joined by dots
    old: Any  # None: it was not there
    new: Any

    @property
    def difference(self) -> float | None:
        both = (self.old, self.new)
        return self.new - self.old if all(type(value) in (int, float) for value in both) else None


@dataclass(frozen=True, kw_only=True)
class Changes:
    """All that changed between two commits."""

    old: str
    new: str
    is_open: bool  # the gate of the new one
    stale: tuple[str, ...]  # stages that are not up to date
    metrics: tuple[Change, ...]  # all of them, also those that did not change
    parameters: tuple[Change, ...]
    data: DataChange | None  # None: a manifest is not to be had here
    model: ModelChange | None  # None: one side has no model
    remarks: tuple[str, ...]  # what is missing at which side, and what to do

    def accuracies(self) -> tuple[float, float] | None:
        """Return the accuracy of each side on its own test images, None where one has none."""
        accuracy = next((each for each in self.metrics if each.name == "eval.accuracy"), None)
        return None if accuracy is None or accuracy.difference is None else (accuracy.old, accuracy.new)


def look(old: str, new: str, p: params.Params) -> Changes:
    """Return what changed; raises `AssayError` for an unknown commit and for metrics that cannot be read.

    `old` and `new` are names of commits that git knows, or `WORKSPACE`.
    """
    with dvc_repo.opened("compare") as repo:
        metrics = _changes("metrics", repo.metrics.diff(old, new, all=True))
        parameters = [each for each in _changes("params", repo.params.diff(old, new)) if each.old != each.new]
        stale = sorted(repo.status()) if new == WORKSPACE else []
    is_open = all(each.new for each in metrics if each.name == "gate.passed" and each.new is not None)
    has_both = any(each.name == "eval.accuracy" and each.difference is not None for each in metrics)
    sides = at_commit.side(old, p.paths), at_commit.side(new, p.paths)
    before, after = (each.manifest for each in sides)
    task = sides[1].candidate.get("task", "single_label")
    return Changes(
        old=old,
        new=new,
        is_open=is_open,
        stale=tuple(stale),
        metrics=tuple(metrics),
        parameters=tuple(parameters),
        data=None if before is None or after is None else data_change.look(before, after, task),
        model=model_change.look(*sides, p) if is_open and has_both else None,
        remarks=tuple(_remarks(sides, metrics, p.paths, is_open=is_open)),
    )


def _remarks(sides: tuple[Side, Side], metrics: list[Change], paths: params.Paths, *, is_open: bool) -> list[str]:
    """Return what is missing at which side, and what to do; behind a closed gate nothing of a model."""
    bare = _without(sides, metrics, "")
    if bare:
        return [f"nothing to compare: {_have(bare)} no metrics; {next_step(bare)}"]
    said = []
    if is_open and (untested := _without(sides, metrics, EVAL)):
        said.append(f"no models to compare: {_have(untested)} no {paths.metrics.eval}; {next_step(untested)}")
    elif is_open:
        lists = "compared is what the lists of predictions say, where they are here"
        said += [f"{each.problem}; {lists}" for each in sides if each.problem]
    if absent := [each.rev for each in sides if each.manifest is None]:
        pull = "`dvc pull` or `dvc repro`" if absent == [WORKSPACE] else "`dvc push` it where it was made"
        said.append(f"the images are not compared: {_have(absent)} no {paths.manifest} that can be read here; {pull}")
    return said


def _without(sides: tuple[Side, Side], metrics: list[Change], of: str) -> list[str]:
    """Return the commits that have no metric whose name begins so."""
    values = [
        [each.old for each in metrics if each.name.startswith(of)],
        [each.new for each in metrics if each.name.startswith(of)],
    ]
    return [side.rev for side, known in zip(sides, values, strict=True) if all(value is None for value in known)]


def _have(revs: list[str]) -> str:
    return f"{' and '.join(dict.fromkeys(revs))} {'has' if len(set(revs)) == 1 else 'have'}"


def markdown(found: Changes) -> str:
    """Return the page for a pull request."""
    model = model_change.lines(found.model, found.accuracies()) if found.model else []
    data = ["### Images", *data_change.lines(found.data)] if found.data and found.data.is_any else []
    tables = _tables([each for each in found.metrics if each.old != each.new], list(found.parameters), found.is_open)
    parts = [
        f"## {pages.markdown(found.old)} → {pages.markdown(found.new)}",
        _head(found.is_open, list(found.stale)),
        _joined([f"- {remark}." for remark in found.remarks]),
        _joined(model),
        _joined(data),
    ]
    return "\n\n".join(filter(None, [*parts, *tables]))


def next_step(missing: Collection[str]) -> str:
    """Return what to do about metrics that these commits do not have."""
    if WORKSPACE in missing:
        return "`dvc repro` makes them"
    return "name a commit that has them: `git log --oneline -- metrics` lists some"


def _joined(lines: list[str]) -> str:
    """Return the lines with a blank one before and after a list."""
    told = ""
    for before, line in zip(["", *lines], lines, strict=False):
        told += "\n" if before and (before.startswith("- ") and line.startswith("- ")) else "\n\n" if before else ""
        told += line
    return told


def as_json(found: Changes) -> dict[str, Any]:
    """Return all of it for programs."""
    return asdict(found)


def _tables(metrics: list[Change], parameters: list[Change], is_open: bool) -> list[str]:
    """Return a table for each subject that changed; behind a closed gate the model's metrics are of another run."""
    of: dict[str, list[Change]] = {"Data": [], "Gate": [], "Parameters": parameters, "Model": [], "Classes": []}
    for each in metrics:
        section = each.name.partition(".")[0]
        subject = "Gate" if section == "gate" else "Model" if section in OF_THE_MODEL else "Data"
        if is_open or subject != "Model":
            of["Classes" if each.name.startswith(PER_CLASS) else subject].append(each)
    # The largest fall first.
    of["Classes"].sort(key=lambda each: (each.difference is None, each.difference or 0.0, each.name))
    return [_table(title, changes) for title, changes in of.items() if changes] or ["Nothing changed."]


def _changes(kind: str, found: dict[str, Any]) -> list[Change]:
    """Return DVC's answer as a list, in the order of the files and of the keys; a file that is absent has none."""
    for rev, errors in found.get("errors", {}).items():
        of_files = errors if isinstance(errors, dict) else {"dvc.yaml": errors}
        for file, error in of_files.items():
            if not isinstance(error, FileNotFoundError):
                raise AssayError(f"compare: {kind} of {rev} cannot be read: {file}: {' '.join(str(error).split())}")
    return [
        Change(name=name, old=value["old"], new=value["new"])
        for _, values in sorted(found.get("diff", {}).items())
        for name, value in sorted(values.items())
    ]


def _head(is_open: bool, stale: list[str]) -> str:
    if not is_open:
        return "**The gate is closed**: no model was made of these data; reports/validation/ names the images."
    if stale:
        return f"**Not up to date**: {', '.join(stale)}; what follows is of an earlier run (`dvc repro`)."
    return ""


def _table(title: str, changes: list[Change]) -> str:
    rows = [
        f"| {pages.code(e.name, in_table=True)} | {_value(e.old)} | {_value(e.new)} | {_difference(e)} |"
        for e in changes[:SHOWN]
    ]
    more = [f"\nand {len(changes) - SHOWN:,} more"] if len(changes) > SHOWN else []
    return "\n".join([f"### {title}\n", "| | before | after | change |", "|---|---:|---:|---:|", *rows, *more])


def _value(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if type(value) is int else pages.markdown(str(value))


def _difference(change: Change) -> str:
    difference = change.difference
    if difference is None:
        return ""
    return f"{difference:+,}" if type(difference) is int else f"{difference:+.5g}"
