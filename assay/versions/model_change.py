"""What changed between the models of two commits, on the test images that both were tested on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from assay import labels, params
from assay.evaluation import against, groups, noise, registry, tested
from assay.evaluation.against import Against, Sides
from assay.evaluation.intervals import Estimate
from assay.labels import ACCURACY, Task
from assay.pages import code, markdown
from assay.versions import answers, at_commit
from assay.versions.at_commit import Side
from assay.words import counted

SHOWN = 10  # new errors in Markdown
NONE = pd.DataFrame(columns=["label", "old", "new", "probability"])
MEASURES = ("f1_macro", "recall_macro", "precision_macro", "f1_weighted", "f1_micro")


@dataclass(frozen=True, kw_only=True)
class Flip:
    """A test image that was right before and is wrong now."""

    sha256: str
    path: str  # empty where the manifest is not to be had
    label: str | None  # None, here and below: not known
    old: str | None
    new: str | None
    probability: float | None  # that the new model gives its answer


@dataclass(frozen=True, kw_only=True)
class ModelChange:
    task: Task
    n_old: int  # test images of each side
    n_new: int
    against: Against | None  # None: nothing can be compared, see `remarks`
    differences: dict[str, Estimate]  # new less old, paired, of what both say of each image
    flips: tuple[Flip, ...]
    remarks: tuple[str, ...]  # what is not comparable, and why


def look(old: Side, new: Side, p: params.Params) -> ModelChange:
    """Return what changed; what cannot be compared is said."""
    was, now = old.candidate, new.candidate
    task = now.get("task", was.get("task", "single_label"))
    remarks = _remarks(was, now)
    sides, wrong = (None, NONE) if was.get("task", task) != task else _compared(old, new, p.paths)
    if sides is None:
        remarks += [] if remarks else [_unknown(old, new)]
    elif not len(sides.new):
        remarks += ["no test image is in both test sets"]
    compared = sides if sides is not None and len(sides.new) else None
    return ModelChange(
        task=task,
        n_old=was["split"]["n_test_images"],
        n_new=now["split"]["n_test_images"],
        against=_against(compared, old.rev, now.get("ledger"), p) if compared else None,
        differences=_differences(compared, p.evaluate.confidence),
        flips=_flips(wrong, [each.manifest for each in (old, new)]),
        remarks=tuple(remarks),
    )


def _against(sides: Sides, old: str, ledger: str | None, p: params.Params) -> Against:
    recorded, metric = registry.noise(p.paths.noise), against.metric_of(sides, p.register)
    seeds = noise.of(recorded, metric, recipe=_recipe(old), ledger=ledger, before=old)
    return against.against(sides, seeds, 1, p.register)


def _recipe(rev: str) -> str | None:
    """Return the hash of the recipe at a commit, None where params.yaml does not tell it."""
    try:
        content = yaml.safe_load(at_commit.content(rev, Path(params.FILE)) or b"")
    except yaml.YAMLError:
        return None
    return noise.recipe(content) if isinstance(content, dict) else None


def _remarks(was: dict[str, Any], now: dict[str, Any]) -> list[str]:
    found = []
    if was.get("task", "single_label") != now.get("task", "single_label"):
        found.append(f"one model is {was.get('task', 'single_label')}, the other {now.get('task', 'single_label')}")
    before, after = was.get("classes"), now.get("classes")
    if before and after and before != after:
        gone, come = sorted(set(before) - set(after)), sorted(set(after) - set(before))
        found.append(f"the classes differ (gone: {', '.join(gone) or 'none'}; new: {', '.join(come) or 'none'})")
    return found


def _unknown(old: Side, new: Side) -> str:
    """Return why no test image can be compared."""
    if unsaid := [each.rev for each in (old, new) if each.candidate["split"]["test"] is None]:
        return f"which images {' and '.join(unsaid)} was tested on is not known here (`dvc fetch`)"
    return "the test images differ and are not here to compare (`dvc fetch`)"


def _compared(old: Side, new: Side, paths: params.Paths) -> tuple[Sides | None, pd.DataFrame]:
    """Return both models on the shared test images, with the labels of now, and the new errors by sha256."""
    before, after = answers.of(old, new, paths)
    if before is None or after is None:
        return _of_errors(old.candidate, new.candidate), answers.new_errors(old, new, after)
    rows = after.join(before["predicted"].rename("old"), how="inner").rename(columns={"predicted": "new"})
    task: Task = new.candidate.get("task", "single_label")
    texts = {name for column in ("label", "old", "new") for name in rows[column]}
    classes = tuple(sorted({name for text in texts for name in labels.names(text, task)}))
    actual, was, now = (tested.marks(rows[column], classes, task) for column in ("label", "old", "new"))
    sides = Sides(
        actual=actual,
        old=was,
        old_right=(was == actual).all(axis=1),
        new=now,
        groups=_groups(rows, new, paths),
        classes=classes,
        task=task,
    )
    return sides, rows[sides.old_right & ~sides.new_right]


def _groups(rows: pd.DataFrame, side: Side, paths: params.Paths) -> np.ndarray:
    known = side.manifest
    if known is None or "group" not in known:
        return np.arange(len(rows))
    return groups.of_rows(known.reindex(rows.index), at_commit.pairs(side.rev, paths))


def _of_errors(was: dict[str, Any], now: dict[str, Any]) -> Sides | None:
    """Return what the lists of errors say where the test split is the same: which images are right, and no more."""
    if not answers.is_same_split(was, now):
        return None
    n, wrong = now["split"]["n_test_images"], sorted({*was["errors"], *now["errors"]})
    right = [np.r_[np.isin(wrong, each["errors"], invert=True), np.ones(n - len(wrong), bool)] for each in (was, now)]
    return Sides(
        actual=np.ones((n, 1), bool),
        old=None,
        old_right=right[0],
        new=right[1][:, None],
        groups=np.arange(n),
        classes=("",),
        task="single_label",
    )


def _differences(sides: Sides | None, confidence: float) -> dict[str, Estimate]:
    if sides is None or sides.old is None:
        return {}
    return {name: against.difference(sides, name, confidence)[0] for name in MEASURES}


def _flips(wrong: pd.DataFrame, manifests: Sequence[pd.DataFrame | None]) -> tuple[Flip, ...]:
    """Return the new errors, those of which the model is surest first; `wrong`: see `answers.new_errors`."""
    path: dict[str, str] = {}
    for known in manifests:
        path |= {} if known is None else known["path"].reindex(wrong.index).dropna().to_dict()
    rows = wrong.sort_index().sort_values("probability", ascending=False, kind="stable", na_position="last")
    told = rows[["label", "old", "new", "probability"]].astype(object)
    return tuple(
        Flip(sha256=str(key), path=path.get(str(key), ""), **row)
        for key, row in zip(told.index, told.where(told.notna(), None).to_dict("records"), strict=True)
    )


def lines(change: ModelChange, accuracies: tuple[float, float] | None) -> list[str]:
    """Return the change as Markdown; `accuracies`: those of metrics/eval.json, each on its own test images."""
    head = f"**{ACCURACY[change.task].capitalize()} {accuracies[0]:.4f} → {accuracies[1]:.4f}**" if accuracies else ""
    told = [f"Not comparable: {remark}." for remark in change.remarks]
    found = change.against
    if found is None:
        return [f"{head}: {'; '.join(change.remarks)}."] if head else told
    paired = found.paired
    which = "the same" if change.n_old == change.n_new == paired.n else "the common"
    told.insert(
        0,
        f"{head}, on {which} {paired.n:,} test images {paired.difference:+.4f}, between {paired.low:+.4f} and "
        f"{paired.high:+.4f}.",
    )
    told += [f"- this model: {found.model_verdict}", f"- this change: {found.change_verdict}"]
    told.append(f"- these images show no difference below {100 * found.detectable:.1f} points")
    told += [
        f"- {name}: {value.value:+.4f}, between {value.low:+.4f} and {value.high:+.4f}"
        for name, value in change.differences.items()
        if value.low is not None
    ]
    told += [_told(flip) for flip in change.flips[:SHOWN]]
    return told + (
        [f"- and {counted(len(change.flips) - SHOWN, 'more new error')}"] if len(change.flips) > SHOWN else []
    )


def _told(flip: Flip) -> str:
    label = "of a label that is not known here" if flip.label is None else markdown(flip.label) or "nothing"
    new = "something else" if flip.new is None else markdown(flip.new) or "nothing"
    sure = "" if flip.probability is None else f" ({flip.probability:.4f})"
    return f"- new error: {code(flip.path or flip.sha256[:12])}, {label} taken for {new}{sure}"
