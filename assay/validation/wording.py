"""How the rules and what breaks them are said to people."""

from numbers import Integral, Real
from typing import Any

import pandas as pd

from assay.validation.rules import TABLES, Rule
from assay.words import percent, spelling

SHARES = ("share", "mode_share")  # shown in per cent
AGREE = "expect_column_pair_values_to_agree"
SPELT = "expect_column_values_to_be_spelt_one_way"
OURS = {  # what a rule demands whose type does not say it, or not well
    AGREE: "be the same for equal {column_A}",
    SPELT: "be spelt in one way, case and white space included",
    "expect_column_values_to_give_margin": (
        "be enough images to know a recall of {recall} to within {max_margin} ({confidence} confidence)"
    ),
}


# What a column of yes and no, or of reasons, asks for: whom it is about, and what that must do.
SAID: dict[str, tuple[Any, str, str]] = {
    "listed": (True, "the file", "be listed by the table"),
    "has_file": (True, "the row", "have a file that can be read"),
    "decodable": (True, "the image", "decode to its end"),
    "in_one_split": (False, "two of one split", "not show the same"),
    "across_splits": (False, "two of different splits", "not show the same"),
    "same_label": (True, "two that show the same", "have one label"),
    "gone": (False, "the test image", "still be there"),
    "whole": (True, "the shard", "be whole"),
    "refused": ("", "the split that is given", "be one that the image can have"),
    "levels": ("", "the image", "use the levels of its depth"),
    "frames": ("", "the file", "hold one frame or page"),
    "inverted": ("", "the image", "be as light and dark as the others are"),
    "exchanged": ("", "the image", "have red and blue where the others have them"),
    "unapproved": ("", "mode, depth and range", "be as approved"),
    "reason": ("", "the image", "not show what is in another split"),
}


def limit(rule: Rule) -> str:
    """Return what is allowed, for people: `at least 8`."""
    return demand(rule).replace("be ", "", 1)


def rows_message(rule: Rule, rows: pd.DataFrame, failing: pd.DataFrame) -> str:
    if rule.column == "share":
        held = ", ".join(f"{row.name!r} holds {row.value}" for row in failing.head(5).itertuples(index=False))
        n_images = round(rows["n_images"].iloc[0] / rows["share"].iloc[0])
        most = limit(rule).removeprefix("at most ")
        return f"{rule.rule}: {held} of {n_images:,} images, the limit is {most} ({rule.where})"
    counted = f"{len(failing):,} of {len(rows):,} {TABLES[rule.table].rows}"
    return f"{rule.rule}: {counted}: {subject(rule)} must {demand(rule)}: {first(rule, failing)} ({rule.where})"


def subject(rule: Rule) -> str:
    if said := _said(rule):
        return said[0]
    return rule.columns[-1] if rule.type == AGREE else " and ".join(rule.columns)


def first(rule: Rule, failing: pd.DataFrame) -> str:
    """Return the first five failures, and dots if there are more."""
    named = [_one(rule, *row) for row in failing.head(5).itertuples(index=False, name=None)]
    return ", ".join(named + ["..."] * (len(failing) > 5))


def _one(rule: Rule, name: str, value: str, partner: str) -> str:
    shown = name if TABLES[rule.table].named == ("path",) else repr(name)
    value = "" if _said(rule) and value in ("True", "False") else value
    seen = "; ".join(filter(None, [value, f"{TABLES[rule.table].beside} {partner}" if partner else ""]))
    return f"{shown} ({seen})" if seen else shown


def _said(rule: Rule) -> tuple[str, str] | None:
    """Return whom a rule is about and what they must do, where its column says neither to people."""
    value, who, what = SAID.get(rule.column, (None, "", ""))
    is_so = rule.type.endswith("_to_be_in_set") and rule.arguments.get("value_set") == [value]
    return (who, what) if who and is_so else None


def measure(rule: Rule) -> str:
    """Return what a rule about the whole table measures: `row count`, `max of width_px`."""
    measure = rule.type.removeprefix("expect_").partition("_to_")[0].removeprefix("table_").removeprefix("column_")
    return measure.replace("_", " ") + (f" of {rule.column}" if rule.columns else "")


def demand(rule: Rule) -> str:
    """Return what must be, as a verb: `be at least 8`."""
    verb = rule.type.partition("_to_")[2].replace("_", " ")
    mostly = rule.arguments.get("mostly", 1)
    suffix = "" if mostly == 1 else f" in at least {percent(mostly)} of the {TABLES[rule.table].rows}"
    suffix += f" in all but {rule.allowed:,} of the {TABLES[rule.table].rows}" if rule.allowed else ""
    if rule.type in OURS:
        return OURS[rule.type].format_map(rule.arguments) + suffix
    if said := _said(rule):
        return said[1] + suffix
    if "min_value" in rule.arguments or "max_value" in rule.arguments:
        return f"be {_bounds(rule)}{suffix}"
    of_rows = ("column", "column_A", "column_B", "column_list", "ignore_row_if", "mostly")
    values = ", ".join(text(value) for key, value in rule.arguments.items() if key not in of_rows)
    if verb.endswith(" in set"):
        verb = verb.removesuffix("in set") + ("one of" if len(rule.arguments.get("value_set", ())) > 1 else "")
    verb = verb.removesuffix(" set").rstrip()
    return f"{verb} {values}".rstrip() + suffix


def _bounds(rule: Rule) -> str:
    number = percent if rule.column in SHARES else text
    low, high = rule.arguments.get("min_value"), rule.arguments.get("max_value")
    least = "more than" if rule.arguments.get("strict_min") else "at least"
    most = "less than" if rule.arguments.get("strict_max") else "at most"
    ends = [f"{least} {number(low)}" if low is not None else "", f"{most} {number(high)}" if high is not None else ""]
    return " and ".join(filter(None, ends))


def span(values: pd.Series) -> str:
    """Return the smallest and the largest number; nothing for what is not a number."""
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values) or values.isna().all():
        return ""
    show = percent if values.name in SHARES else text
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


def usual_spelling(names: "pd.Series[str]") -> dict[str, str]:
    """Return for each name the commonest of those that differ from it in case and white space alone.

    Of equally common ones the first in the alphabet.
    """
    counts = names.value_counts().sort_index(ascending=False).sort_values(kind="stable")
    usual = {spelling(name): name for name in counts.index}
    return {name: usual[spelling(name)] for name in counts.index}
