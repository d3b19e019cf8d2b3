"""How often the diagnosis was right: `python -m benchmarks.diagnosis.score OUT`, of what run.py and follow.py kept.

The rules of now are asked. A fault counts where it costs `run.COSTS` or is silent by nature; the others are listed as
harmless, and leaks that `ingest` has set aside as prevented. Right is the cause that was put in, or one whose repair is
the same (`faults.ALSO`). A healthy run is accused by a cause with confidence; that the test set is small is said of
some and is no accusation. Restored is what following the first advice gives back of what the fault cost, of the median
of the healthy runs; a training that stopped itself has the accuracy of guessing.
"""

import sys
from pathlib import Path
from typing import Any

from assay.evaluation.diagnosis import diagnose, finding, probe
from assay.evaluation.diagnosis.diagnose import Diagnosis
from benchmarks.diagnosis import follow, run
from benchmarks.diagnosis.faults import ALSO
from benchmarks.diagnosis.stages import Left

HALF = 0.5  # restored, of what a fault cost
SILENT = {"leakage", "shortcut", "small_test", "scaling", "conflicting_labels"}  # cost nothing here, or look better
LIMITS = {"small_test", "used_test"}
HEAD = "| fault | strength | balanced | first | | after the probe | | followed | then | restored |"


def main(out: Path) -> None:
    runs, then = run.read(out), {(each["fault"], each["strength"]): each for each in follow.read(out)}
    healthy, rows = run.usual(runs), []
    print(HEAD, "|---" * (HEAD.count("|") - 1) + "|", sep="\n")
    for (fault, strength), kept in runs.items():
        if strength:
            rows.append(row(fault, kept, then.get((fault, strength)), healthy))
            shown = "stopped" if kept.balanced is None else f"{kept.balanced:.3f}"
            print(f"| {fault.replace('_', ' ')} | {strength} | {shown} | {' | '.join(rows[-1]['shown'])} |")
    for name, key in (("before the probe", "before"), ("after it", "after")):
        told = [each[key] for each in rows if each["counts"]]
        wrong = [each["fault"] for each in rows if each["counts"] and each[f"{key}_confident"] and not each[key]]
        print(f"\n{name}: {sum(told)} of {len(told)} first; confidently wrong: {len(wrong)} {wrong}")
    shares = [each["restored"] for each in rows if each["restored"] is not None]
    if shares:
        print(f"\nhalf or more restored: {sum(share >= HALF for share in shares)} of {len(shares)}")
    accused = [name for (name, strength), kept in runs.items() if not strength and accuses(kept)]
    print(f"\n{len(accused)} of {sum(not strength for _, strength in runs)} healthy accused {accused}")


def row(fault: str, kept: Left, then: dict[str, Any] | None, healthy: float) -> dict[str, Any]:
    """Return what is counted of a case, and the cells that are shown of it."""
    before = diagnose.diagnose(kept.evidence)
    tried = then["outcomes"] if then and follow.is_open(before) else None
    after = before if tried is None else probe.decided(before, follow.outcomes(tried))
    counts = (fault in SILENT or run.costs(kept, healthy)) and not is_prevented(fault, kept)
    restored = None if not then or then["applied"] == "nothing" else share(kept, then["balanced"], healthy)
    stale = " (other rules)" if then and then["named"] != first(after) else ""
    harmless = "" if counts else "prevented" if is_prevented(fault, kept) else "harmless"
    said = ["right" if is_right(fault, found) else "**wrong**" for found in (before, after)]
    return {
        "fault": fault,
        "counts": counts,
        "before": is_right(fault, before),
        "after": is_right(fault, after),
        "before_confident": confident(before),
        "after_confident": confident(after),
        "restored": restored,
        "shown": [
            told(before),
            harmless or said[0],
            "" if tried is None else told(after),
            "" if tried is None else harmless or said[1],
            "" if not then else change(then["applied"]) + stale,
            ""
            if restored is None or not then
            else "stopped"
            if then["balanced"] is None
            else f"{then['balanced']:.3f}",
            "" if restored is None else f"{restored:.0%}",
        ],
    }


def change(applied: Any) -> str:
    lines = finding.changes(applied) if isinstance(applied, dict) else [applied]
    return ", ".join(line.removeprefix("train.") for line in lines)


def share(kept: Left, then: float | None, healthy: float) -> float:
    """Return what is restored of what was lost."""
    chance = 1 / kept.evidence.rows["label"].nunique()
    was, now = (chance if each is None else each for each in (kept.balanced, then))
    return (now - was) / (healthy - was)


def is_prevented(fault: str, kept: Left) -> bool:
    failed = [each["expectation"] for each in kept.evidence.failed]
    return fault == "leakage" and "shown in one split only" in failed


def first(found: Diagnosis) -> str:
    return found.findings[0].cause if found.findings else "nothing"


def told(found: Diagnosis) -> str:
    unsure = " (possible)" if found.findings and not confident(found) else ""
    return first(found).replace("_", " ") + unsure


def confident(found: Diagnosis) -> bool:
    return bool(found.findings) and found.findings[0].is_confident


def is_right(fault: str, found: Diagnosis) -> bool:
    return first(found) in (fault, *ALSO.get(fault, ()))


def accuses(kept: Left) -> bool:
    return any(each.is_confident and each.cause not in LIMITS for each in diagnose.diagnose(kept.evidence).findings)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
