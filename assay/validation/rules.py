"""What a rule is, and what it can be about: the tables, with their columns and words."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from assay import labels
from assay.dataset import manifest
from assay.validation.profile import outliers

MEASURED = tuple(name for name in manifest.SCHEMA.names if name not in manifest.PIXELS)
WAIVERS = "waivers.yaml"  # lies beside the suites and is none; see assay/validation/waivers.py


@dataclass(frozen=True, kw_only=True)
class Table:
    """What a rule can be about. The first columns that are `named` say which row it is."""

    columns: tuple[str, ...]
    rows: str  # what a row is, for people
    named: tuple[str, ...] = ("path",)
    empty: str = ""  # what it means that there are no rows; without that it is a critical failure
    beside: str = "like"  # what is said before the `partner` of a row
    counts: str = ""  # the table whose sound rows it counts


DRIFT = ("property", "statistic", "limit", "excess", "approved", "present")
NOTHING_NEW = "nothing approved yet, or nothing new since: see `assay approve`"
# `images`: the manifest, and `listed` (a row of the source's table has it), `has_file`, `unapproved` (what of it was
# never approved, in words), `mode_share` (of the images, with its mode and bit depth), `refused` (which given split it
# cannot have, in words), `levels` and `frames` (what of the file is not used, in words), `inverted` and `exchanged`
# (what would make it like the others, in words) and the distances of profile/outliers.py, in spreads; 1, nothing and 0
# of images that were approved. `labels`: a row per image and name of a class; a null name for an image without a label.
# `classes` and `splits` count each class of an image that has a split, equal files once; `share` of the images, in
# (0, 1]. `pairs`: near-duplicates; `turned` says how the one lies beside the other; `in_one_split` is False too of a
# pair that the source puts in one group, for those are alike on purpose. `drift` and all to `test_set`:
# profile/comparison.py; the others: profile/shortcuts.py.
#
# Of the records: `shards` are those of the index; `counts` has a row per split and class, and one per split for all its
# images (`*`); `recorded` one per image that should be or is in a shard; `samples` one per image that was decoded again
# (`difference`: the greatest of all pixels, in levels of 255).
OF_IMAGES = ("listed", "has_file", "unapproved", "mode_share", "refused", "levels", "frames", "inverted", "exchanged")
TABLES = {
    "images": Table(columns=(*MEASURED, *OF_IMAGES, *outliers.NAMES), rows="images"),
    "labels": Table(columns=("path", "label", "split"), rows="labels"),
    "classes": Table(
        columns=("label", "n_images", "share", "imbalance", *labels.SPLITS),
        rows="classes",
        named=("label",),
        counts="labels",
    ),
    "splits": Table(
        columns=("split", "label", "n_images"), rows="class splits", named=("split", "label"), counts="labels"
    ),
    "pairs": Table(
        columns=("path", "partner", "distance", "turned", "in_one_split", "across_splits", "same_label"),
        rows="pairs",
        empty="no near-duplicates",
    ),
    "drift": Table(columns=DRIFT, rows="properties of pixels", named=("property",), empty=NOTHING_NEW),
    "label_drift": Table(columns=DRIFT, rows="shares of a class", named=("property",), empty=NOTHING_NEW),
    "file_drift": Table(columns=DRIFT, rows="properties of files", named=("property",), empty=NOTHING_NEW),
    "channel_order": Table(columns=DRIFT, rows="orders of channels", named=("property",), empty=NOTHING_NEW),
    "test_set": Table(
        columns=("sha256", "gone"), rows="test images", named=("sha256",), empty="as approved, or nothing approved yet"
    ),
    "shortcuts": Table(
        columns=("property", "label", "auc", "approved", "gain", "unapproved", "n_images"),
        rows="properties of a class",
        named=("property", "label"),
    ),
    "borders": Table(columns=("label", "auc", "centre", "lead", "place", "n_images"), rows="classes", named=("label",)),
    "associations": Table(columns=("property", "v", "n_values"), rows="facts about files", named=("property",)),
    "shards": Table(columns=("shard", "whole", "reason"), rows="shards", named=("shard",)),
    "counts": Table(
        columns=("split", "label", "n_images", "n_recorded"), rows="class splits", named=("split", "label")
    ),
    "recorded": Table(
        columns=("path", "partner", "split", "recorded_split", "label", "recorded_label"), rows="images", beside="in"
    ),
    "samples": Table(columns=("path", "partner", "difference"), rows="images decoded again", beside="in"),
}
OF_RECORDS = ("shards", "counts", "recorded", "samples")  # what `verify` knows of; the rest is for `validate`
OF_DATA = tuple(name for name in TABLES if name not in OF_RECORDS)
PER_IMAGE = ("images", "labels")  # tables whose rows are about one image
# What must hold before anything else can be said of an image: a rule on one of these sees the rows for which those
# before it hold, and any other rule sees those for which all of them do.
STEPS = ("listed", "has_file", "decodable")
NOT_NULL = "expect_column_values_to_not_be_null"
# The rules whose limits differ most from set to set, for a person to look at before all others.
FIRST = ("known class", "image width", "test images per class")
SEVERITIES = ("critical", "warning", "info")


@dataclass(frozen=True, kw_only=True)
class Rule:
    suite: str
    rule: str
    table: str
    type: str
    severity: str
    note: str
    quarantine: bool = False
    allowed: int = 0  # so many rows may break it
    where: str  # file and rule: where to change it
    not_null: frozenset[str] = frozenset()  # columns in which another critical rule forbids missing values
    arguments: dict[str, Any]

    @property
    def columns(self) -> list[str]:
        named = [self.arguments[key] for key in ("column", "column_A", "column_B") if key in self.arguments]
        return [*named, *self.arguments.get("column_list", [])]

    @property
    def column(self) -> str:
        return ", ".join(self.columns)


def related(rules: list[Rule]) -> list[Rule]:
    """Return the rules, each knowing of the others what concerns it."""
    return [replace(rule, not_null=_not_null(rule, rules)) for rule in rules]


def _not_null(rule: Rule, rules: list[Rule]) -> frozenset[str]:
    forbid = [r for r in rules if r.type == NOT_NULL and r.severity == "critical" and r.table == rule.table]
    return frozenset(r.column for r in forbid if r.rule != rule.rule)


def known_classes(rules: Iterable[Rule]) -> list[str]:
    """Return the classes that critical rules allow as `label`, sorted."""
    critical = [rule for rule in rules if rule.severity == "critical" and rule.columns == ["label"]]
    lists = [rule for rule in critical if rule.type == "expect_column_values_to_be_in_set"]
    return sorted({label for rule in lists for label in rule.arguments["value_set"]})
