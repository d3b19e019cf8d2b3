"""How often the diagnosis was right: `python -m benchmarks.diagnosis.score OUT`, of what run.py wrote.

A fault counts where it costs `COSTS` or is silent by nature; the others are listed as harmless, and leaks that `ingest`
has set aside as prevented. Right is the cause that
was put in, or one whose repair is the same (`faults.ALSO`). A healthy run is accused by a cause with confidence; that
the test set is small is said of some and is no accusation.
"""

import sys
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.diagnosis.faults import ALSO
from benchmarks.diagnosis.run import read

COSTS = 0.01  # of accuracy, balanced, below the median of the healthy runs
SILENT = {"leakage", "shortcut", "small_test", "scaling", "conflicting_labels"}  # cost nothing here, or look better
LIMITS = {"small_test", "used_test"}


def main(out: Path) -> None:
    runs = read(out)
    healthy = [each for each in runs if not each["strength"]]
    usual = median(each["balanced"] for each in healthy)
    print("| fault | strength | accuracy | first | |\n|---|---|---|---|---|")
    counted = []
    for each in (each for each in runs if each["strength"]):
        counts = each["fault"] in SILENT or each["balanced"] is None or usual - each["balanced"] >= COSTS
        prevented = each["fault"] == "leakage" and "shown in one split only" in each["signals"]["failed"]
        said = "prevented" if prevented else "harmless" if not counts else "right" if is_right(each) else "WRONG"
        counted += [is_right(each)] if counts and not prevented else []
        first = each["causes"][0][0] if each["causes"] else "nothing"
        shown = "stopped" if each["accuracy"] is None else f"{each['accuracy']:.3f}"
        print(f"| {each['fault']} | {each['strength']} | {shown} | {first} | {said} |")
    accused = [each["fault"] for each in healthy if is_accused(each)]
    print(f"\n{sum(counted)} of {len(counted)} named first; {len(accused)} of {len(healthy)} healthy accused {accused}")


def is_right(run: dict[str, Any]) -> bool:
    return bool(run["causes"]) and run["causes"][0][0] in (run["fault"], *ALSO.get(run["fault"], ()))


def is_accused(run: dict[str, Any]) -> bool:
    return any(certainty != "possible" and cause not in LIMITS for cause, certainty in run["causes"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
