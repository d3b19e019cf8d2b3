"""The rows that break a rule, named for people: a frame with `COLUMNS`, its index that of the table."""

import unicodedata
from typing import Any

import pandas as pd

from assay import words
from assay.validation import wording
from assay.validation.rules import STEPS, TABLES, Rule

COLUMNS = ("name", "value", "partner")  # all text; partner: the image that it clashes with, empty if there is none
NONE = pd.DataFrame({column: pd.Series(dtype="str") for column in COLUMNS})
UNIQUE = "expect_column_values_to_be_unique"
HASHES = ("pixels", "sha256", "phash")  # say nothing to people


def named(rule: Rule, rows: pd.DataFrame, wrong: pd.Index) -> pd.DataFrame:
    """Return the rows of the table with these indices; those that clash with each other stand together."""
    if wrong.empty:
        return NONE
    broken = rows.loc[wrong]
    name = names(rule.table, broken)
    found = pd.DataFrame({"name": name, "value": _values(rule, rows, wrong), "partner": ""}, index=broken.index)
    if rule.type in (wording.AGREE, UNIQUE):
        found["partner"] = _partners(name, broken[rule.columns[0]], broken[rule.columns[-1]])
        order = pd.DataFrame({"together": broken[rule.columns[0]], "name": name}).sort_values(["together", "name"])
        found = found.loc[order.index]
    elif "partner" in broken:
        found["partner"] = broken["partner"]
    return found.astype("str")


def names(table: str, rows: pd.DataFrame) -> "pd.Series[str]":
    """Return what people call the rows of a table: a path, a class, split/class."""
    first, *others = TABLES[table].named
    return rows[first].str.cat([rows[column] for column in others], sep="/") if others else rows[first]


def n_of_set(rule: Rule, rows: pd.DataFrame) -> int:
    """Return how many values a rule on a set of values is about: those seen and those wanted; 0 for other rules."""
    if not rule.type.startswith("expect_column_distinct_values_"):
        return 0
    return len({*rows[rule.column].dropna(), *rule.arguments["value_set"]})


def of_set(rule: Rule, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the values by which a rule on a set of values is broken, with what is wrong about them."""
    if not rule.type.startswith("expect_column_distinct_values_"):
        return NONE
    seen, wanted = set(rows[rule.column].dropna()), set(rule.arguments["value_set"])
    absent = [] if rule.type.endswith("be_in_set") else sorted(map(str, wanted - seen))
    extra = [] if rule.type.endswith("contain_set") else sorted(map(str, seen - wanted))
    found = [(value, "absent", "") for value in absent] + [(value, "unknown", "") for value in extra]
    return pd.DataFrame(found, columns=list(COLUMNS)).astype("str")


def _values(rule: Rule, rows: pd.DataFrame, wrong: pd.Index) -> "pd.Series[str]":
    """Return what was seen; of an image that is no image the reason, of a strange label the one that may be meant."""
    broken = rows.loc[wrong]
    if rule.column in (*STEPS, "whole"):
        return broken["reason"]
    if rule.table == "pairs" and rule.column in ("in_one_split", "across_splits", "same_label"):
        return broken["turned"]
    if rule.column == "label" and rule.type == wording.SPELT:
        usual = wording.usual_spelling(rows["label"])
        return broken["label"].map(lambda label: wording.text(label) + _ask(label, usual.get(label)))
    if rule.column == "label" and rule.type == "expect_column_values_to_be_in_set":
        known = rule.arguments["value_set"]
        return broken["label"].map(lambda label: wording.text(label) + _ask(label, words.nearest(label, known)))
    columns = [column for column in rule.columns if column not in HASHES]
    columns = columns[-1:] if rule.type == wording.AGREE else columns
    columns = ["mode", *columns] if rule.column == "mode_share" else columns
    shown = [broken[c].map(words.percent if c in wording.SHARES else wording.text).astype("str") for c in columns]
    return shown[0].str.cat(shown[1:], sep=", ") if shown else pd.Series("", index=wrong)


def _ask(label: str, meant: str | None) -> str:
    if not isinstance(meant, str):
        return ""
    if unicodedata.normalize("NFC", label) == unicodedata.normalize("NFC", meant):
        return f", did you mean {meant!a}, the same in another Unicode form?"
    return f", did you mean {meant!r}?"


def _partners(name: "pd.Series[str]", key: "pd.Series[Any]", value: "pd.Series[Any]") -> "pd.Series[str]":
    """Return for each row the first that has its key and another value; another row where key and value are one."""
    other = name if key is value or key.name == value.name else value
    rows = pd.DataFrame({"name": name, "key": key, "other": other}).sort_values("name")
    first = rows.groupby("key")[["name", "other"]].transform("first")
    is_other = rows["other"] != first["other"]
    second = rows[is_other].groupby("key")["name"].first()
    partner = first["name"].where(is_other, rows["key"].map(second))
    return partner.fillna("").reindex(name.index)
