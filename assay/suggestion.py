"""Suites for data that have none yet: those of templates/expectations, their limits fitted to the manifest.

A limit follows from what was seen only where images differ from set to set: sizes, classes, shares. Its note says so. A
critical rule that the data break beyond what may be set aside becomes a warning that names its first rows, for a gate
that never opens is soon switched off; a person mends the data and makes it critical again.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from assay import expectations, files, quarantine, suites, tables, wording
from assay.custom_expectations import margin
from assay.errors import AssayError
from assay.labels import Task

TEMPLATES = Path(__file__).parent / "templates" / "expectations"
SIDE_PX = 32  # below there is hardly anything to learn from a photo
ROOM = 0.1  # for the share of the largest class: in one of 100 draws of 25 modules of solar cells it is 0.09 more
HEADER = "# Written by `assay expectations suggest` for the data of its day; yours to change. No run writes it again.\n"


class Quoted(str):
    """A text that YAML must not read as a number, a date or a truth."""


class Dumper(yaml.SafeDumper):
    pass


Dumper.add_representer(list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, True))
Dumper.add_representer(Quoted, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def write(folder: Path, suggested: Mapping[str, dict[str, Any]], *, overwrite: bool = False) -> list[Path]:
    """Write each suite, and return its file; raises `AssayError` if one is there already, unless it may be replaced."""
    written = [folder / f"{name}.yaml" for name in suggested]
    if (there := [file for file in written if file.exists()]) and not overwrite:
        named = ", ".join(map(str, there))
        raise AssayError(f"{named} exist{'s' * (len(there) == 1)}; --overwrite replaces, --to FOLDER writes elsewhere")
    for file, suite in zip(written, suggested.values(), strict=True):
        head = {"table": suite["table"]}
        text = yaml.dump(head, Dumper=Dumper) + "expectations:\n"
        files.write_text(file, HEADER + text + "\n".join(map(_entry, suite["expectations"])))
    return written


def _entry(entry: dict[str, Any]) -> str:
    lines = yaml.dump(entry, Dumper=Dumper, sort_keys=False, width=110, allow_unicode=True).splitlines()
    return "".join(f"  {'- ' if number == 0 else '  '}{line}\n" for number, line in enumerate(lines))


def suites_for(
    rows: pd.DataFrame, pairs: pd.DataFrame, task: Task, max_quarantined_share: float
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the suites by name, and what a person should know: rules that the data break.

    `rows`, `pairs` and `task` as in `tables.build`.
    """
    suggested = {file.stem: yaml.safe_load(file.read_text()) for file in sorted(TEMPLATES.glob("*.yaml"))}
    entries = {entry["rule"]: entry for suite in suggested.values() for entry in suite["expectations"]}
    labels = tables.build(rows, pairs, task)["labels"]["label"].dropna()
    classes = sorted(set(labels) - _misspelt(labels, max_quarantined_share))
    if not classes:
        raise AssayError("the manifest holds no image with a label; nothing can be suggested")
    built = tables.build(rows, pairs, task, classes)
    for rule in ("known class", "every known class"):
        entries[rule]["value_set"] = [Quoted(name) for name in classes]
    for rule, fit in FITS.items():
        limits, note = fit(built, max_quarantined_share)
        entries[rule] |= limits | {"note": note}
    return suggested, _lower(suggested, rows, built, max_quarantined_share)


def _misspelt(labels: "pd.Series[str]", most: float) -> set[str]:
    """Return the names that differ from a commoner one in case and white space alone, and are rare."""
    usual, counts = wording.usual_spelling(labels), labels.value_counts()
    return {name for name in counts.index if usual[name] != name and counts[name] <= most * len(labels)}


def _side(column: str) -> Callable[[Mapping[str, pd.DataFrame], float], tuple[dict[str, Any], str]]:
    def fit(built: Mapping[str, pd.DataFrame], most: float) -> tuple[dict[str, Any], str]:
        seen = built["images"][column].dropna().astype("int64")
        if seen.empty:
            raise AssayError("no image can be decoded; nothing can be suggested")
        least = SIDE_PX if (seen < SIDE_PX).mean() <= most else int(seen.min())
        limits = {"min_value": least, "max_value": max(20_000, int(seen.max()))}
        note = "smaller images hold hardly anything to learn, larger ones are scans or mistakes"
        said = f"{note}; now {seen.min():,} to {seen.max():,} px"
        return limits, said if least == SIDE_PX else f"{said}, where {SIDE_PX} would be a better least"

    return fit


def _share(built: Mapping[str, pd.DataFrame], _: float) -> tuple[dict[str, Any], str]:
    seen = float(built["classes"]["share"].max())
    limit = max(0.6, math.ceil(100 * (seen + min(ROOM, (1 - seen) / 2))) / 100)
    return {"max_value": limit}, f"the largest class holds {seen:.1%} now; a model that always names it looks that good"


def _imbalance(built: Mapping[str, pd.DataFrame], _: float) -> tuple[dict[str, Any], str]:
    seen = float(built["classes"]["imbalance"].max())
    limit = max(10, math.ceil(1.5 * seen))
    return {"max_value": limit}, f"the largest class has {seen:.3g} times the images of the smallest now; weights help"


def _margin(built: Mapping[str, pd.DataFrame], _: float) -> tuple[dict[str, Any], str]:
    least = int(built["classes"]["test"].min())
    wide = 100 * margin(least, 0.9, 0.95)
    note = f"of the smallest class with {least:,} test images a recall of 90% is known to {wide:.0f} points; 139 give 5"
    return {"max_margin": 0.1}, note


FITS: dict[str, Callable[[Mapping[str, pd.DataFrame], float], tuple[dict[str, Any], str]]] = {
    "image width": _side("width_px"),
    "image height": _side("height_px"),
    "class balance": _share,
    "class imbalance": _imbalance,
    "test images enough": _margin,
}


def _lower(
    suggested: Mapping[str, dict[str, Any]], rows: pd.DataFrame, built: dict[str, pd.DataFrame], most: float
) -> list[str]:
    """Make warnings of the critical rules that the data break, and return what each names."""
    entries = {(name, each["rule"]): each for name, suite in suggested.items() for each in suite["expectations"]}
    rules = [
        suites.rule(Path(f"{name}.yaml"), suite["table"], entry)
        for name, suite in suggested.items()
        for entry in suite["expectations"]
    ]
    of_data = suites.related([rule for rule in rules if rule.table in suites.OF_DATA])
    checked = expectations.check(of_data, built)
    aside = [result for result in checked if result.rule.quarantine]
    _, settled = quarantine.settle(rows, aside, quarantine.broken(rows, aside), most)
    broken = [r for r in [*settled, *(r for r in checked if not r.rule.quarantine)] if not r.success]
    lowered = [result for result in broken if result.severity == "critical"]
    for result in lowered:
        entry = entries[result.rule.suite, result.rule.rule]
        entry["severity"] = "warning"
        entry.pop("quarantine", None)
        entry["note"] = (
            f"{entry['note']} (critical, but for {wording.counted(len(result.failing), 'row')} that break it now)"
        )
    return [result.message.rpartition(" (")[0] for result in lowered]
