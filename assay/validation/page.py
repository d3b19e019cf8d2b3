"""The page that `validate` leaves for people: what was found, what is set aside, how classes and images are spread."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from assay import labels, pages
from assay.dataset.originals import Originals
from assay.labels import Task
from assay.validation import curves, findings, gate, rules, samples, sizes
from assay.validation.profile import comparison
from assay.validation.profile.approved import Profile

CLASSES = 100  # shown, the largest
ASIDE = 100  # images shown that are set aside


def of_data(
    results: Mapping[str, Any],
    failures: pd.DataFrame,
    images: pd.DataFrame,
    pairs: pd.DataFrame,
    counts: pd.DataFrame,
    raw: Originals,
    approved: Profile | None,
    task: Task = "single_label",
) -> str:
    """Return the page, the same for the same data.

    `results` and `failures` as tasks/validate.py writes them, `images` the manifest, `pairs` its near-duplicates,
    `counts` the table `classes` of the suites, `raw` where the bytes of the images lie. Where images came after the
    approval, these are what is compared with it.
    """
    images = images.assign(split=images["split"].where(~images["path"].isin(results["quarantine"]["paths"])))
    used = images[images["split"].notna()]
    new = used.head(0) if approved is None else comparison.new_images(approved, used)
    return pages.render(
        "validation/validation.html",
        findings=findings.findings(results["expectations"], failures, images, pairs, raw),
        aside=aside(images, failures, results["expectations"]),
        steps=steps(results, has_approved=approved is not None),
        first=[rule for name in rules.FIRST for rule in results["expectations"] if rule["expectation"] == name],
        samples=samples.of_classes(used, task, raw),
        sizes=sizes.histograms(used),
        n_classes=len(counts),
        balance=balance(counts, approved),
        curves=curves.curves(new if len(new) else used, approved),
        n_new=len(new),
        has_approved=approved is not None,
        **results,
    )


def steps(results: Mapping[str, Any], *, has_approved: bool) -> list[str]:
    """Return what a person does next, one thing after the other; text between backticks is a command."""
    if not results["passed"]:
        return [gate.next_step(dict(results))]
    n_warnings = sum(not rule["success"] and rule["severity"] == "warning" for rule in results["expectations"])
    found = ["Look through the images of each class below: is each what its class says?"]
    found += ["Look at the warnings: they stop nothing, and each names what may be wrong."] * (n_warnings > 0)
    approve = "Run `assay approve` when all is as it should be: later images are held against these from then on."
    found += [approve] * (not has_approved)
    return [*found, "Go on with `dvc repro`, which prepares the images, trains and measures."]


def aside(images: pd.DataFrame, failures: pd.DataFrame, rules: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return `n_images` that are set aside, or would be were they fewer, and the first of them as `path` and `why`."""
    quarantining = [rule["expectation"] for rule in rules if rule["quarantine"]]
    is_broken = failures["expectation"].isin(quarantining) & failures["status"].isin(["set aside", "failed"])
    broken = failures[is_broken].drop_duplicates("path")
    why = dict(zip(broken["path"], broken["expectation"] + ": " + broken["value"], strict=True))
    unused = images[images["reason"] != ""]
    why |= dict(zip(unused["path"], unused["reason"], strict=True))
    first = sorted(why)[:ASIDE]
    return {"n_images": len(why), "rows": [{"path": path, "why": why[path]} for path in first]}


def balance(counts: pd.DataFrame, approved: Profile | None) -> Sequence[Mapping[str, Any]]:
    """Return label, images of each split, share and approved share (None: none is) of the largest classes, by name."""
    largest = counts.nlargest(CLASSES, "n_images").sort_values("label")
    rows = largest[["label", *labels.SPLITS, "share"]].to_dict("records")
    return [row | {"approved": _share(row["label"], approved)} for row in rows]


def _share(label: str, approved: Profile | None) -> float | None:
    return approved.classes.get(label, 0) / approved.n_images if approved else None
