"""The registry: may this model replace the champion, and what people are told of it.

`champions.json` is the list of all champions so far, oldest first; `assay release` appends to it.
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd
from scipy.stats import binomtest

from assay import params
from assay.labels import ACCURACY, Task
from assay.records import Index


@dataclass(frozen=True, kw_only=True)
class Check:
    """One reason for or against the model."""

    name: str
    passed: bool
    text: str


def absolute_checks(metrics: dict[str, Any], task: Task, p: params.Register) -> list[Check]:
    """Return whether the model is good enough by itself; `metrics` is what `evaluate` left, rates in [0, 1].

    The accuracy of a multi-label model is its exact match: an image counts when all its classes are right.
    """
    low, worst = metrics["accuracy_low"], metrics["min_class_recall"]
    return [
        Check(
            name="accuracy",
            passed=low >= p.min_accuracy,
            text=f"{ACCURACY[task]} {metrics['accuracy']:.4f} is at least {low:.4f} by its interval, the limit is "
            f"{p.min_accuracy} (params.yaml: register.min_accuracy)",
        ),
        Check(
            name="class recall",
            passed=worst >= p.min_class_recall,
            text=f"recall of the worst class is {worst:.4f}, the limit is {p.min_class_recall} "
            "(params.yaml: register.min_class_recall)",
        ),
    ]


def champion_of(champions: list[dict[str, Any]], model_sha256: str) -> dict[str, Any] | None:
    """Return the last champion that is not the model itself, so that a released model keeps the verdict it had."""
    others = [champion for champion in champions if champion["model"] != model_sha256]
    return others[-1] if others else None


def compare(champion: dict[str, Any], test: pd.DataFrame, index: Index, ledger_id: str, p: params.Register) -> Check:
    """Return whether the model is no worse than the champion on the test images that both were measured on.

    `test`: one row per test image with `sha256`, `batch` (the number of its batch) and `correct`. No image ever leaves
    the test split or joins an old batch, so the champion's test images are those up to its last batch, unless that is
    one of another ledger; `ledger_id`: `ledger.identity` of this one. The p-value is
    that of the exact one-sided McNemar test (doi.org/10.1007/BF02295996). It needs independent pairs: so of a
    multi-label set too it compares images (all classes right, or not) and not decisions, of which one image has many.
    """
    its_task, its_classes = champion.get("task", "single_label"), champion.get("classes", list(index.classes))
    if its_task != index.task:
        text = f"champion {champion['version']} was made for other labels: {its_task}, and this model for {index.task}"
        return Check(name="champion", passed=False, text=text)
    both = test[test["batch"] <= champion["last_batch"]]
    if champion.get("ledger") not in (None, ledger_id):
        text = f"champion {champion['version']} was tested on images of another ledger: none is known to be in common"
        return Check(name="champion", passed=False, text=text)
    if both.empty:
        return Check(name="champion", passed=False, text=f"no test image in common with champion {champion['version']}")
    champion_correct = ~both["sha256"].isin(champion["errors"])
    worse = int((champion_correct & ~both["correct"]).sum())
    better = int((~champion_correct & both["correct"]).sum())
    drop = (worse - better) / len(both)
    p_value = binomtest(worse, worse + better, alternative="greater").pvalue if worse + better else 1.0
    text = (
        f"{worse - better:+,} errors against champion {champion['version']} on the {len(both):,} test images that both "
        f"have seen: {ACCURACY[index.task]} drops by {drop:.4f}, the limit is {p.max_accuracy_drop} "
        f"(params.yaml: register.max_accuracy_drop); one-sided McNemar p = {p_value:.3f}"
    )
    if its_classes != list(index.classes):
        text += f"; the champion was made for other classes, and judged by the labels of then: {', '.join(its_classes)}"
    return Check(name="champion", passed=drop <= p.max_accuracy_drop, text=text)


def verdict(checks: list[Check]) -> str:
    return "promote" if all(check.passed for check in checks) else "hold"
