"""Which rules ask for less than the shipped ones: a gate that was disarmed says so at every run.

The shipped suites lie in suggested/. A rule is known again by its suite and its name. Read as they are written, without
Great Expectations, so that `assay doctor` can look.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay import files
from assay.validation.rules import SEVERITIES, WAIVERS
from assay.words import counted, percent

SHIPPED = Path(__file__).parent / "suggested"
SHARE = 0.01  # gate.max_quarantined_share of the params.yaml that is shipped; to compare with, and nowhere a default
OF_THE_DATA = "value_set"  # of a list of classes: it is of the data, and so neither weak nor strong
MOST = ("max_value", "max_margin")  # arguments that ask for less the higher they are


@dataclass(frozen=True, kw_only=True)
class Weaker:
    suite: str
    expectation: str
    why: str
    disarms: bool  # it stops less than the shipped one whatever the limit is, which no data ask for


def found(folder: Path, max_share: float) -> list[Weaker]:
    """Return what in the suites of the folder asks for less than the shipped ones, what disarms the gate first.

    `max_share`: of images that may be set aside, params.yaml: gate.max_quarantined_share.
    """
    own = {file.stem: _rules(file) for file in sorted(folder.glob("*.yaml")) if file.name != WAIVERS}
    weak = [each for file in sorted(SHIPPED.glob("*.yaml")) for each in _of_suite(file, own.get(file.stem, {}))]
    if max_share > SHARE:
        why = f"{percent(max_share)} of the images may be set aside, shipped is {percent(SHARE)}"
        weak.append(Weaker(suite="params.yaml", expectation="gate.max_quarantined_share", why=why, disarms=True))
    return sorted(weak, key=lambda each: not each.disarms)


def _rules(file: Path) -> dict[str, dict[str, Any]]:
    """Return the rules of a suite by name; none of what is no suite, for others say that."""
    try:
        entries = files.read_yaml(file)["expectations"]
        return {each["rule"]: each for each in entries}
    except (KeyError, TypeError):
        return {}


def _of_suite(shipped: Path, own: Mapping[str, dict[str, Any]]) -> Iterator[Weaker]:
    for name, entry in _rules(shipped).items():
        if name not in own:
            if entry["severity"] != "info":
                yield Weaker(
                    suite=shipped.stem, expectation=name, why=f"{entry['severity']}, and not there", disarms=True
                )
            continue
        teeth, limits = list(_teeth(entry, own[name])), list(_limits(entry, own[name]))
        if teeth or limits:
            why = ", ".join([*teeth, *limits])
            yield Weaker(suite=shipped.stem, expectation=name, why=why, disarms=bool(teeth))


def _teeth(shipped: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[str]:
    """Yield in which ways the rule stops less, whatever its limit."""
    severity = own.get("severity")
    if severity in SEVERITIES and SEVERITIES.index(severity) > SEVERITIES.index(shipped["severity"]):
        yield f"{severity}, shipped as {shipped['severity']}"
    for key in ("type", "table", "column", "column_A", "column_B"):
        if own.get(key) != shipped.get(key):
            yield f"{key} is {own.get(key)!r}, shipped as {shipped.get(key)!r}"
    if own.get("quarantine") and not shipped.get("quarantine"):
        yield "sets images aside, shipped it closes the gate"
    values = shipped.get(OF_THE_DATA, []) if shipped.get("column") != "label" else []
    if values and (more := [each for each in own.get(OF_THE_DATA, []) if each not in values]):
        yield f"also lets {', '.join(map(repr, more))} pass"
    if own.get("ignore_row_if") != shipped.get("ignore_row_if"):
        yield f"ignore_row_if is {own.get('ignore_row_if')!r}"
    if not own.get("mostly", 1) >= shipped.get("mostly", 1):
        yield f"of {percent(own['mostly'])}, shipped of {percent(shipped.get('mostly', 1))}"


def _limits(shipped: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[str]:
    """Yield which limits ask for less."""
    if own.get("allowed"):
        yield f"{counted(own['allowed'], 'row')} may break it"
    for key in ("min_value", *MOST):
        if key not in shipped or own.get(key) == shipped[key]:
            continue
        if key not in own:
            yield f"without {key}, shipped {_number(shipped[key])}"
        elif (own[key] > shipped[key]) is (key in MOST):
            yield f"{key} {_number(own[key])}, shipped {_number(shipped[key])}"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
