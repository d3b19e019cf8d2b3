"""How the rules and what breaks them are said to people."""

from numbers import Integral, Real
from typing import Any

import pandas as pd

from assay.suites import ROWS, Rule


def limit(rule: Rule) -> str:
    """Return what is allowed, for people: `at least 8`."""
    return demand(rule).replace("be ", "", 1)


def rows_message(rule: Rule, rows: pd.DataFrame, failing: list[tuple[str, str]]) -> str:
    if rule.column == "share":
        held = ", ".join(f"{name!r} holds {value}" for name, value in failing)
        allowed = limit(rule).removeprefix("at most ")
        return f"{rule.rule}: {held} of {rows['n_images'].sum():,} images, the limit is {allowed} ({rule.where})"
    counted = f"{len(failing):,} of {len(rows):,} {ROWS[rule.table]}"
    return f"{rule.rule}: {counted}: {rule.column} must {demand(rule)}: {first(rule, failing)} ({rule.where})"


def first(rule: Rule, failing: list[tuple[str, str]]) -> str:
    """Return the first five failures, and dots if there are more."""
    named = [f"{name if rule.table == 'images' else repr(name)} ({value})" for name, value in failing[:5]]
    return ", ".join(named + ["..."] * (len(failing) > 5))


def measure(rule: Rule) -> str:
    """Return what a rule about the whole table measures: `row count`, `max of width_px`."""
    measure = rule.type.removeprefix("expect_").partition("_to_")[0].removeprefix("table_").removeprefix("column_")
    return measure.replace("_", " ") + (f" of {rule.column}" if rule.columns else "")


def demand(rule: Rule) -> str:
    """Return what must be, as a verb: `be at least 8`."""
    verb = rule.type.partition("_to_")[2].replace("_", " ")
    mostly = rule.arguments.get("mostly", 1)
    suffix = "" if mostly == 1 else f" in at least {percent(mostly)} of the {ROWS[rule.table]}"
    if "min_value" in rule.arguments or "max_value" in rule.arguments:
        return f"be {_bounds(rule)}{suffix}"
    of_rows = ("column", "column_A", "column_B", "column_list", "mostly")
    values = ", ".join(text(value) for key, value in rule.arguments.items() if key not in of_rows)
    if verb.endswith(" in set"):
        verb = verb.removesuffix("in set") + ("one of" if len(rule.arguments["value_set"]) > 1 else "")
    verb = verb.removesuffix(" set").rstrip()
    return f"{verb} {values}".rstrip() + suffix


def _bounds(rule: Rule) -> str:
    number = percent if rule.column == "share" else text
    low, high = rule.arguments.get("min_value"), rule.arguments.get("max_value")
    least = "more than" if rule.arguments.get("strict_min") else "at least"
    most = "less than" if rule.arguments.get("strict_max") else "at most"
    ends = [f"{least} {number(low)}" if low is not None else "", f"{most} {number(high)}" if high is not None else ""]
    return " and ".join(filter(None, ends))


def span(values: pd.Series) -> str:
    """Return the smallest and the largest number; nothing for what is not a number."""
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values) or values.isna().all():
        return ""
    show = percent if values.name == "share" else text
    low, high = show(values.min()), show(values.max())
    return low if low == high else f"{low} to {high}"


def text(value: Any) -> str:
    """Return a value for people: texts in quotes, so that a space at the end is seen; lists cut after ten."""
    if isinstance(value, list | tuple | set):
        return ", ".join([text(each) for each in list(value)[:10]] + [f"... ({len(value):,})"] * (len(value) > 10))
    if isinstance(value, str | dict | bool):
        return repr(value)
    if pd.isna(value):
        return "missing"
    if isinstance(value, Integral):
        return f"{int(value):,}"
    return f"{float(value):.6g}" if isinstance(value, Real) else str(value)


def percent(share: float) -> str:
    return f"{100 * share:.4g}%"
