"""Suites for data that have none yet: those of suggested/, their limits fitted to the manifest.

A limit follows from what was seen only where images differ from set to set: sizes, classes, counts, shares. Its note
says so. No rule loses its severity. What breaks a critical rule today is excused: image by image and for a time where
that is a list that people read, else by a number, `allowed`, which is as many as now and no more. Either is told.
"""

import datetime
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from assay import files, params, words
from assay.errors import AssayError
from assay.labels import Task
from assay.validation import data_tables, judgement, quarantine, rules, run, suites, weaker, wording
from assay.validation.custom_expectations import margin

SIDE_PX = 32  # below there is hardly anything to learn from a photo
MOST_PX = 20_000
ROOM = 0.1  # for the share of the largest class: in one of 100 draws of 25 modules of solar cells it is 0.09 more
TRAIN, TEST = 20, 10  # images of a class: fewer are too few to learn from, or to guess at its recall
NEEDED = (*rules.STEPS, "label")  # columns without which an image cannot be used at all
NAMED = 50  # rows that a waiver names; nobody reads a longer list
EXCUSED = datetime.timedelta(days=30)
HEADER = "# Written by `assay expectations suggest` for the data of its day; yours to change. No run writes it again.\n"
Tables = Mapping[str, pd.DataFrame]


class Quoted(str):
    """A text that YAML must not read as a number, a date or a truth."""


class Dumper(yaml.SafeDumper):
    pass


Dumper.add_representer(list, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, True))
Dumper.add_representer(Quoted, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


@dataclass(frozen=True, kw_only=True)
class Suggested:
    suites: dict[str, dict[str, Any]]  # by name, as their files hold them
    waivers: list[dict[str, Any]]  # as waivers.yaml holds them
    said: list[str]  # what was excused or lowered, and why


def write(folder: Path, suggested: Suggested, *, overwrite: bool = False) -> list[Path]:
    """Write each suite, and return its file; raises `AssayError` if one is there already, unless it may be replaced."""
    written = [folder / f"{name}.yaml" for name in suggested.suites]
    excused = folder / rules.WAIVERS
    if (there := [file for file in (*written, excused) if file.exists()]) and not overwrite:
        named = ", ".join(map(str, there))
        raise AssayError(f"{named} exist{'s' * (len(there) == 1)}; --overwrite replaces, --to FOLDER writes elsewhere")
    for file, suite in zip(written, suggested.suites.values(), strict=True):
        head = {"table": suite["table"]}
        text = yaml.dump(head, Dumper=Dumper) + "expectations:\n"
        files.write_text(file, HEADER + text + "\n".join(map(_entry, suite["expectations"])))
    excused.unlink(missing_ok=True)
    if suggested.waivers:
        files.write_text(excused, HEADER + "\n".join(_entry(each, "") for each in suggested.waivers))
    return [*written, *([excused] if suggested.waivers else [])]


def _entry(entry: dict[str, Any], indent: str = "  ") -> str:
    lines = yaml.dump(entry, Dumper=Dumper, sort_keys=False, width=110, allow_unicode=True).splitlines()
    return "".join(f"{indent}{'- ' if number == 0 else '  '}{line}\n" for number, line in enumerate(lines))


def suites_for(
    rows: pd.DataFrame, pairs: pd.DataFrame, task: Task, p: params.Params, today: datetime.date
) -> Suggested:
    """Return suites by which the gate opens on these data, and what had to be excused or lowered for that.

    `rows`, `pairs` and `task` as in `data_tables.build`. Raises `AssayError` if no image can be used.
    """
    labels = data_tables.build(rows, pairs, task)["labels"].dropna(subset=["label", "split"])["label"]
    classes = sorted(set(labels) - _misspelt(labels, p.gate.max_quarantined_share))
    while True:  # a class of which nothing is left makes place for another look, without it
        if not classes:
            raise AssayError("the manifest holds no image with a label that can be used; nothing can be suggested")
        fitting = Fitting(judgement.Data(rows=rows, pairs=pairs, task=task, classes=classes), p, today)
        left = fitting.set_aside()
        if (there := sorted(left["classes"]["label"])) == classes:
            return fitting.fitted(left)
        classes = there


def _misspelt(labels: "pd.Series[str]", most: float) -> set[str]:
    """Return the names that differ from a commoner one in case and white space alone, and are rare."""
    usual, counts = wording.usual_spelling(labels), labels.value_counts()
    return {name for name in counts.index if usual[name] != name and counts[name] <= most * len(labels)}


class Fitting:
    """The shipped suites on their way to those of the data: first what is about single images, then all else."""

    def __init__(self, data: judgement.Data, p: params.Params, today: datetime.date) -> None:
        self._data, self._p, self._today = data, p, today
        self._suites = {file.stem: yaml.safe_load(file.read_text()) for file in sorted(weaker.SHIPPED.glob("*.yaml"))}
        self._entries = {
            (name, entry["rule"]): entry for name, suite in self._suites.items() for entry in suite["expectations"]
        }
        self._waivers: list[dict[str, Any]] = []
        self._said: list[str] = []
        self._whole = data.tables()
        for name in ("known class", "every known class"):
            self._entries["labels", name]["value_set"] = [Quoted(each) for each in data.classes]

    def set_aside(self) -> dict[str, pd.DataFrame]:
        """Fit the rules that set images aside, and return the tables without these images."""
        self._fit(OF_IMAGES, self._whole)
        while True:
            checked = run.check([rule for rule in self._rules() if rule.quarantine], self._whole)
            found, _ = quarantine.settle(self._data.rows, checked, (), self._p.gate.max_quarantined_share)
            if found.is_open:
                return self._data.tables(quarantine.broken(self._data.rows, checked))
            self._allow(max(checked, key=lambda each: len(each.failing) - each.rule.allowed))

    def fitted(self, left: dict[str, pd.DataFrame]) -> Suggested:
        """Return the suites after all that is about what is left was fitted too."""
        self._fit(OF_CLASSES, left)
        written = [rule for rule in self._rules() if rule.table in left and not rule.quarantine]
        for result in run.check(written, left):
            if not result.success and result.severity == "critical":
                (self._waive if len(result.failing) <= NAMED else self._allow)(result)
        return Suggested(suites=self._suites, waivers=self._waivers, said=self._said)

    def _rules(self) -> list[rules.Rule]:
        written = [
            suites.rule(Path(f"{name}.yaml"), suite["table"], entry)
            for name, suite in self._suites.items()
            for entry in suite["expectations"]
        ]
        return rules.related([rule for rule in written if rule.table in rules.OF_DATA])

    def _fit(self, fits: "Mapping[tuple[str, str], Fit]", tables: Tables) -> None:
        for key, fit in fits.items():
            limits, note = fit(tables, self._p)
            entry = self._entries[key]
            for name, value in limits.items():
                if (value < entry[name]) is (name == "min_value") and value != entry[name] and key in LOWERED:
                    self._said.append(f"limit as now: {key[1]}: {name} {value:,}, shipped {entry[name]:,}: {note}")
            entry |= limits | {"note": note}

    def _allow(self, result: run.Result) -> None:
        """Let as many rows break the rule as do now, and no more."""
        rule, n = result.rule, len(result.failing)
        entry = self._entries[rule.suite, rule.rule]
        entry["allowed"] = n
        if rule.column not in NEEDED and 2 * n > result.n_rows:  # else hardly anything would be left to use
            entry.pop("quarantine", None)
        entry["note"] = f"{entry['note']} ({n:,} of {result.n_rows:,} break it now; fewer are better: lower `allowed`)"
        self._said.append(f"allowed, as many as now and no more: {_without_place(result)}")

    def _waive(self, result: run.Result) -> None:
        """Excuse the rows that break the rule now, by name and for a time."""
        until = self._today + EXCUSED
        names = list(dict.fromkeys(result.failing["name"]))
        why = f"so it was on {self._today} when the suites were suggested; mend it until then"
        entry = {"suite": result.rule.suite, "rule": result.rule.rule, "names": [Quoted(name) for name in names]}
        self._waivers.append(entry | {"why": why, "until": until})
        self._said.append(f"excused by name until {until}, then the gate closes: {_without_place(result)}")


def _without_place(result: run.Result) -> str:
    """Return the message without the file, which is not written yet."""
    return result.message.rpartition(" (")[0]


Fit = Callable[[Tables, params.Params], tuple[dict[str, Any], str]]


def _side(column: str) -> Fit:
    def fit(built: Tables, p: params.Params) -> tuple[dict[str, Any], str]:
        seen = built["images"][column].dropna().astype("int64")
        if seen.empty:
            raise AssayError("no image can be decoded; nothing can be suggested")
        most = p.gate.max_quarantined_share
        least = SIDE_PX if (seen < SIDE_PX).mean() <= most else _least(seen, most)
        limits = {"min_value": least, "max_value": MOST_PX if (seen > MOST_PX).mean() <= most else int(seen.max())}
        note = "smaller images hold hardly anything to learn, larger ones are scans or mistakes"
        said = f"{note}; now {seen.min():,} to {seen.max():,} px"
        return limits, said if least == SIDE_PX else f"{said}, where {SIDE_PX} would be a better least"

    return fit


def _least(seen: "pd.Series[int]", most: float) -> int:
    """Return the smallest, unless that is an outlier: less than half of what all but a share `most` reach."""
    usual = int(seen.sort_values().iloc[math.floor(most * len(seen))])
    return int(seen.min()) if 2 * seen.min() >= usual else usual


def _share(built: Tables, p: params.Params) -> tuple[dict[str, Any], str]:
    largest = built["classes"].nlargest(1, "share").iloc[0]
    seen, n_all = float(largest["share"]), round(largest["n_images"] / largest["share"])
    by_chance = margin(n_all, seen, p.evaluate.confidence)  # what the share of few images may be off
    limit = max(0.6, math.ceil(100 * (seen + min(max(ROOM, by_chance), (1 - seen) / 2))) / 100)
    return {"max_value": limit}, f"the largest class holds {seen:.1%} now; a model that always names it looks that good"


def _imbalance(built: Tables, _: params.Params) -> tuple[dict[str, Any], str]:
    seen = float(built["classes"]["imbalance"].max())
    limit = max(10, math.ceil(1.5 * seen))
    return {"max_value": limit}, f"the largest class has {seen:.3g} times the images of the smallest now; weights help"


def _train(built: Tables, _: params.Params) -> tuple[dict[str, Any], str]:
    seen = int(built["classes"]["train"].min())
    few = f"; the smallest class has {seen:,} now, and {TRAIN} is a better least" * (seen < TRAIN)
    return {"min_value": max(1, min(TRAIN, seen))}, f"too few to learn from{few}"


def _test(built: Tables, p: params.Params) -> tuple[dict[str, Any], str]:
    """So many that a class without a mistake can be shown to reach the recall that a release asks for."""
    seen, recall = int(built["classes"]["test"].min()), p.register.min_class_recall
    enough = max(TEST, _shows(recall, p.evaluate.confidence))
    note = f"with {enough:,} and no mistake a recall of {words.percent(recall)} is shown (register.min_class_recall)"
    if seen < enough:
        surest = max(0.0, 1 - 2 * margin(seen, 1.0, p.evaluate.confidence))
        note += f"; the smallest class has {seen:,} now, which can show {surest:.0%} at best"
    return {"min_value": max(1, min(enough, seen))}, note


def _shows(recall: float, confidence: float) -> int:
    """Return the fewest images by which, all of them right, the interval of the share lies at or above `recall`."""
    n = 1
    while 1 - 2 * margin(n, 1.0, confidence) < recall and n < 10_000:
        n += 1
    return n


def _margin(built: Tables, _: params.Params) -> tuple[dict[str, Any], str]:
    least = int(built["classes"]["test"].min())
    wide = 100 * margin(least, 0.9, 0.95)
    note = f"of the smallest class with {least:,} test images a recall of 90% is known to {wide:.0f} points; 139 give 5"
    return {"max_margin": 0.1}, note


OF_IMAGES: dict[tuple[str, str], Fit] = {
    ("images", "image width"): _side("width_px"),
    ("images", "image height"): _side("height_px"),
}
OF_CLASSES: dict[tuple[str, str], Fit] = {
    ("labels", "training images per class"): _train,
    ("labels", "class balance"): _share,
    ("labels", "class imbalance"): _imbalance,
    ("splits", "test images per class"): _test,
    ("splits", "test images enough"): _margin,
}
FITTED = {**OF_IMAGES, **OF_CLASSES}
LOWERED = (  # fits that may ask for less than what is shipped, which is told
    *(("labels", "training images per class"), ("labels", "class balance"), ("labels", "class imbalance")),
    ("splits", "test images per class"),
)


def first(suggested: Suggested) -> list[str]:
    """Return a line for each of the limits to look at before all others."""
    entries = {each["rule"]: each for suite in suggested.suites.values() for each in suite["expectations"]}
    lines = []
    for name in rules.FIRST:
        entry = entries[name]
        limit = wording.text(list(map(str, entry["value_set"]))) if "value_set" in entry else f"{entry['min_value']:,}"
        lines.append(f"  {name}: {'' if 'value_set' in entry else 'at least '}{limit}: {entry['note']}")
    return lines
