"""Waivers: rows that break an expectation and may, for a time, by the word of a person.

`expectations/waivers.yaml` is a list of {suite, rule, names, why, until}: `names` are those of failures.csv (paths of
images, or classes), one by one; `until` is the last day on which they hold. Reading them takes no clock, for what DVC
has recorded it does not run again; the gate, and each stage behind it, looks at the day it runs on (gate.py).
"""

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from assay import files, words
from assay.errors import AssayError
from assay.validation import failing, gx
from assay.validation.rules import NOTHING_NEW, TABLES, WAIVERS, Rule

KEYS = ("suite", "rule", "names", "why", "until")
WARN = datetime.timedelta(days=7)  # a gate that closes tomorrow is better known today


@dataclass(frozen=True, kw_only=True)
class Waiver:
    suite: str
    rule: str
    names: tuple[str, ...]
    why: str
    until: datetime.date
    where: str  # file and number: where to change it


def read(folder: Path, rules: Iterable[Rule]) -> list[Waiver]:
    """Return the waivers beside the suites; without the file there are none.

    Raises `AssayError` for a mistake in one, and for a rule that is not there or is not about single rows.
    """
    file = folder / WAIVERS
    if not file.exists():
        return []
    entries = files.read_yaml(file)
    if not isinstance(entries, list):
        raise AssayError(f"{file}: {entries!r}, must be a list of waivers; delete the file if there are none")
    by_name = {(rule.suite, rule.rule): rule for rule in rules}
    return [_read(file, number, entry, by_name) for number, entry in enumerate(entries, start=1)]


def _read(file: Path, number: int, entry: Any, rules: dict[tuple[str, str], Rule]) -> Waiver:
    where = f"{file}: waiver {number}"
    if not isinstance(entry, dict):
        raise AssayError(f"{where}: {entry!r}, must hold keys: {', '.join(KEYS)}")
    for key in entry:
        words.check_known(f"{where}: key", key, KEYS)
    for key in ("suite", "rule", "why"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise AssayError(f"{where}: {key}: {entry.get(key, 'missing')!r}, must be a text")
    names = entry.get("names")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise AssayError(f"{where}: names: {names!r}, must be a list of texts, as failures.csv has them")
    if type(entry.get("until")) is not datetime.date:
        raise AssayError(f"{where}: until: {entry.get('until', 'missing')!r}, must be a day like 2030-12-31")
    words.check_known(f"{where}: suite", entry["suite"], sorted({suite for suite, _ in rules}))
    own = [rule for suite, rule in rules if suite == entry["suite"]]
    words.check_known(f"{where}: rule", entry["rule"], own)
    if not hasattr(gx.implementation(rules[entry["suite"], entry["rule"]]), "map_metric"):
        raise AssayError(f"{where}: rule: {entry['rule']!r} is not about single rows; change its limit instead")
    return Waiver(**{**entry, "names": tuple(names)}, where=where)


def check_names(waivers: Iterable[Waiver], rules: Iterable[Rule], tables: Mapping[str, pd.DataFrame]) -> None:
    """Raise `AssayError` for a name that is in no row of the rule's table, unless nothing is new since an approval."""
    by_name = {(rule.suite, rule.rule): rule for rule in rules}
    for waiver in waivers:
        table = by_name[waiver.suite, waiver.rule].table
        if tables[table].empty and TABLES[table].empty == NOTHING_NEW:
            continue  # the property comes back with the next images
        known = set(failing.names(table, tables[table]))
        for name in waiver.names:
            if name not in known:
                raise AssayError(f"{waiver.where}: names: {name!r} is none of the {TABLES[table].rows} any more")


def names(waivers: Iterable[Waiver]) -> dict[tuple[str, str], set[str]]:
    """Return the names that are excused, by suite and rule."""
    excused: dict[tuple[str, str], set[str]] = {}
    for waiver in waivers:
        excused.setdefault((waiver.suite, waiver.rule), set()).update(waiver.names)
    return excused


def ending_soon(results: Path, today: datetime.date) -> list[tuple[str, str, str]]:
    """Return (what is excused, last day, where it stands) of the waivers that end within a week, soonest first.

    `results` is what `validate` left; none if it left nothing.
    """
    try:
        waivers: list[dict[str, Any]] = files.read_json(results).get("waivers", [])
    except (OSError, AssayError):
        return []
    found = [(str(each["expectation"]), str(each["until"]), str(each["where"])) for each in waivers]
    return sorted(
        (each for each in found if datetime.date.fromisoformat(each[1]) <= today + WARN), key=lambda each: each[1]
    )
