"""Contracts of the data: they need no training, and most of them no model. Pure: evidence in."""

import numpy as np
import pandas as pd

from assay import words
from assay.evaluation.diagnosis import borders
from assay.evaluation.diagnosis.evidence import Evidence, Run
from assay.evaluation.diagnosis.finding import SHOWN, Finding, contract

CONFLICTS, LEAKED = 0.01, 0.02  # shares of the train images; of the test images
CROP = "crop or mask it, or take images without it"
SHORTCUTS = ("shortcuts", "borders", "associations")  # tables of rules about what gives a class away


def conflicting_labels(evidence: Evidence) -> Finding | None:
    """Pictures of the same pixels under several labels."""
    rows = evidence.rows[evidence.rows["split"].notna()]
    labels = rows.groupby("pixels")["label"].transform("nunique").to_numpy()
    train = (rows["split"] == "train").to_numpy()
    share = float((labels[train] > 1).mean()) if train.any() else 0.0
    if share <= CONFLICTS:
        return None
    of = rows[labels > 1].sort_values(["pixels", "label", "sha256"])
    return contract(
        "conflicting_labels",
        seen=(
            f"{words.counted(int((labels > 1)[train].sum()), 'train image')}, {share:.1%}, show the very pixels of "
            f"another image with another label; the limit is {CONFLICTS:.0%}. No network can answer both ways"
        ),
        look="the pairs: reports/validation/index.html, rule 'one label per picture'; `assay relabel` corrects them",
        images=tuple(dict.fromkeys(of["sha256"]))[:SHOWN],
    )


def leakage(evidence: Evidence) -> Finding | None:
    """Test images that train has too, as the same pixels or as a near-duplicate."""
    rows = evidence.rows[evidence.rows["split"].notna()]
    leaked = _leaked(rows, evidence.pairs)
    n_test = int((rows["split"] == "test").sum())
    if not n_test or len(leaked) <= LEAKED * n_test:
        return None
    real = _of_others(evidence.run, set(leaked)) if evidence.run else None
    shown = float(evidence.run.test.right.mean()) if evidence.run else 0.0
    said = f"; on the others the accuracy is {real:.1%}, and {shown:.1%} is shown" if real is not None else ""
    return contract(
        "leakage",
        seen=(
            f"{len(leaked):,} of {words.counted(n_test, 'test image')}, {len(leaked) / n_test:.1%}, are in train too, "
            f"or nearly so; the limit is {LEAKED:.0%}{said}"
        ),
        cost=None if real is None else max(0.0, shown - real),
        look=(
            "the pairs: reports/validation/index.html, rule 'near-duplicates across splits'; a column that says which "
            "images belong together (`assay snapshot --group COLUMN`), or splits drawn anew, keep them apart"
        ),
        images=tuple(leaked[:SHOWN]),
    )


def _leaked(rows: pd.DataFrame, pairs: pd.DataFrame) -> list[str]:
    in_train, in_test = (rows[rows["split"] == split] for split in ("train", "test"))
    same = set(in_test[in_test["pixels"].isin(set(in_train["pixels"].dropna()))]["sha256"])
    both = pd.concat([pairs, pairs.rename(columns={"path": "partner", "partner": "path"})])
    near = in_test.merge(both[both["partner"].isin(set(in_train["path"]))], on="path")
    return sorted(same | set(near["sha256"]))


def _of_others(run: Run, leaked: set[str]) -> float | None:
    """Return the accuracy on the other test images; None: there are no others."""
    others = np.array([name not in leaked for name in run.test.sha256])
    return float(run.test.right[others].mean()) if others.any() else None


def shortcut(evidence: Evidence) -> Finding | None:
    """A border that tells the class on val and not on test, or what `validate` says of what gives a class away."""
    by_border = borders.told(evidence)
    if by_border and by_border.is_broken:
        (val, test), (centre, other) = by_border.border, by_border.centre
        return contract(
            "shortcut",
            seen=(
                f"by the border of the picture alone the nearest train images name {val:.0%} of the val images rightly "
                f"and {test:.0%} of the test images, by the centre {centre:.0%} and {other:.0%}: the border gives the "
                "class away in train and val, and not in test"
            ),
            look=f"the border of the images: {CROP}",
        )
    told = [each for each in evidence.failed if each["table"] in SHORTCUTS]
    if not told:
        return None
    said = "; ".join(f"{each['expectation']}: {each['observed']}, must {each['must']}" for each in told[:3])
    return contract(
        "shortcut",
        certainty="likely",
        seen=f"{said}. A network takes the easiest way, and new images will not have it",
        look=f"reports/validation/index.html, the rules of shortcuts: {CROP}",
    )


def gate(evidence: Evidence) -> Finding | None:
    """A gate that is closed, and why; another contract may name a reason more exactly."""
    if not evidence.closed:
        return None
    return contract(
        "gate", evidence.closed.replace("\n", "; "), look="reports/validation/index.html, with the images of each rule"
    )
