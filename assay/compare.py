"""What changed between two commits, as Markdown: data, parameters, metrics, and whether the difference is real.

The tables are those of `dvc metrics diff` and `dvc params diff`. The accuracies are compared on the test images that
both commits have, image by image; which those are is known where the test split is the same, or where DVC still has
both lists of predictions.
"""

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.stats import binomtest

from assay import params, tracking
from assay.errors import AssayError, WorseModel
from assay.labels import ACCURACY
from assay.tracking import WORKSPACE

SHOWN = 60  # rows of a table, at most: a thousand classes would fill the page
OF_THE_MODEL = ("train", "eval")
PER_CLASS = "eval.class."


@dataclass(frozen=True, kw_only=True)
class Change:
    name: str  # keys joined by dots
    old: Any  # None: it was not there
    new: Any

    @property
    def difference(self) -> float | None:
        both = (self.old, self.new)
        return self.new - self.old if all(type(value) in (int, float) for value in both) else None


def compare(old: str, new: str, p: params.Params) -> str:
    """Return the page; raises `WorseModel`, which holds it too, where the accuracy drops below the limit.

    `old` and `new` are names of commits that git knows, or `WORKSPACE`. The limit is `register.max_accuracy_drop`, on
    the images that both have seen where they are known. Raises `AssayError` for an unknown commit and for metrics that
    cannot be read.
    """
    with tracking.opened("compare") as repo:
        metrics = _changes("metrics", repo.metrics.diff(old, new, all=True))
        parameters = [each for each in _changes("params", repo.params.diff(old, new)) if each.old != each.new]
        stale = sorted(repo.status()) if new == WORKSPACE else []
    is_open = all(each.new for each in metrics if each.name == "gate.passed")
    drop, said = _accuracy(old, new, metrics, p) if is_open else (0.0, "")
    tables = _tables([each for each in metrics if each.old != each.new], parameters, is_open)
    page = "\n\n".join(filter(None, [f"## {old} → {new}", _head(is_open, stale), said, *tables]))
    if drop > p.register.max_accuracy_drop:
        limit = f"the limit is {p.register.max_accuracy_drop} (params.yaml: register.max_accuracy_drop)"
        raise WorseModel(f"accuracy drops by {drop:.4f} from {old} to {new}, {limit}", page)
    return page


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


def _accuracy(old: str, new: str, metrics: Iterable[Change], p: params.Params) -> tuple[float, str]:
    """Return by how much the accuracy drops and a sentence on it; nothing where one side has no model."""
    accuracy = next((each for each in metrics if each.name == "eval.accuracy"), None)
    if accuracy is None or accuracy.difference is None:
        return 0.0, ""
    word = ACCURACY[_candidate(new, p.paths).get("task", "single_label")].capitalize()
    head = f"**{word} {accuracy.old:.4f} → {accuracy.new:.4f}**"
    errors = [_errors(rev, p.paths) for rev in (old, new)]
    tested = _tested(old, new, p.paths)
    if tested is None:
        return -accuracy.difference, f"{head}, on test images that differ and are not here to compare (`dvc fetch`)."
    both = tested[0] & tested[1] if tested else None
    gone, come = (each if both is None else each & both for each in (errors[0] - errors[1], errors[1] - errors[0]))
    n_images = len(both) if both is not None else _candidate(new, p.paths)["split"]["n_test_images"]
    if not n_images:
        return -accuracy.difference, f"{head}, with no test image in common."
    which = "the same" if both is None else "the common"
    discordant = len(gone) + len(come)
    p_value = binomtest(len(come), discordant).pvalue if discordant else 1.0
    real = "a real difference" if p_value < 1 - p.evaluate.confidence else "no more than chance would do"
    counted = f"{len(come)} new errors and {len(gone)} gone on {which} {n_images:,} test images"
    return (len(come) - len(gone)) / n_images, f"{head}: {counted}: {real} (McNemar, exact, p = {p_value:.3f})."


def _candidate(rev: str, paths: params.Paths) -> Any:
    text = _text(rev, paths.candidate)
    return json.loads(text) if text else {"errors": [], "split": {"test": None, "n_test_images": 0}}


def _errors(rev: str, paths: params.Paths) -> set[str]:
    return set(_candidate(rev, paths)["errors"])


def _tested(old: str, new: str, paths: params.Paths) -> tuple[set[str], set[str]] | tuple[()] | None:
    """Return the SHA-256 of both test splits; nothing if they are the same one; None if one of them is not here."""
    splits = [_candidate(rev, paths)["split"]["test"] for rev in (old, new)]
    if splits[0] and splits[0] == splits[1]:
        return ()
    texts = [_text(rev, paths.predictions) for rev in (old, new)]
    if None in texts:
        return None
    first, second = (set(pd.read_csv(io.StringIO(text), usecols=["sha256"], dtype=str)["sha256"]) for text in texts)
    return first, second


def _text(rev: str, file: Path) -> str | None:
    """Return a file's content at a commit, from git or DVC; None where it is not to be had here."""
    if rev == WORKSPACE:
        return file.read_text() if file.exists() else None
    return tracking.read(file, rev)


def _table(title: str, changes: list[Change]) -> str:
    rows = [f"| `{_cell(e.name)}` | {_value(e.old)} | {_value(e.new)} | {_difference(e)} |" for e in changes[:SHOWN]]
    more = [f"\nand {len(changes) - SHOWN:,} more"] if len(changes) > SHOWN else []
    return "\n".join([f"### {title}\n", "| | before | after | change |", "|---|---:|---:|---:|", *rows, *more])


def _value(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if type(value) is int else _cell(str(value))


def _difference(change: Change) -> str:
    difference = change.difference
    if difference is None:
        return ""
    return f"{difference:+,}" if type(difference) is int else f"{difference:+.5g}"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
