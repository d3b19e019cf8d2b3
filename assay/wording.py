"""How the rules and what breaks them are said to people."""

import difflib
import unicodedata
from collections.abc import Collection
from numbers import Integral, Real
from typing import Any

import pandas as pd

from assay.suites import TABLES, Rule

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
    return rule.columns[-1] if rule.type == AGREE else " and ".join(rule.columns)


def first(rule: Rule, failing: pd.DataFrame) -> str:
    """Return the first five failures, and dots if there are more."""
    named = [_one(rule, *row) for row in failing.head(5).itertuples(index=False, name=None)]
    return ", ".join(named + ["..."] * (len(failing) > 5))


def _one(rule: Rule, name: str, value: str, partner: str) -> str:
    shown = name if TABLES[rule.table].named == ("path",) else repr(name)
    seen = "; ".join(filter(None, [value, f"{TABLES[rule.table].beside} {partner}" if partner else ""]))
    return f"{shown} ({seen})" if seen else shown


def measure(rule: Rule) -> str:
    """Return what a rule about the whole table measures: `row count`, `max of width_px`."""
    measure = rule.type.removeprefix("expect_").partition("_to_")[0].removeprefix("table_").removeprefix("column_")
    return measure.replace("_", " ") + (f" of {rule.column}" if rule.columns else "")


def demand(rule: Rule) -> str:
    """Return what must be, as a verb: `be at least 8`."""
    verb = rule.type.partition("_to_")[2].replace("_", " ")
    mostly = rule.arguments.get("mostly", 1)
    suffix = "" if mostly == 1 else f" in at least {percent(mostly)} of the {TABLES[rule.table].rows}"
    if rule.type in OURS:
        return OURS[rule.type].format_map(rule.arguments) + suffix
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


def counted(n: int, noun: str) -> str:
    """Return `1 row`, `1,240 rows`."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


def percent(share: float) -> str:
    return f"{100 * share:.4g}%"


def spelling(name: str) -> str:
    """Return what is left of a name without case and white space, each letter in one form.

    A Mac writes the accents of file names as letters of their own, which look the same and are another text.
    """
    return unicodedata.normalize("NFKC", "".join(name.split())).casefold()


def nearest(name: Any, known: Collection[str]) -> str | None:
    """Return the known name that is spelt alike, or else is nearest; None: none is near."""
    if not isinstance(name, str):
        return None
    alike = [each for each in known if spelling(each) == spelling(name)]
    return next(iter(alike or difflib.get_close_matches(name, known, n=1)), None)


def usual_spelling(names: "pd.Series[str]") -> dict[str, str]:
    """Return for each name the commonest of those that differ from it in case and white space alone.

    Of equally common ones the first in the alphabet.
    """
    counts = names.value_counts().sort_index(ascending=False).sort_values(kind="stable")
    usual = {spelling(name): name for name in counts.index}
    return {name: usual[spelling(name)] for name in counts.index}
