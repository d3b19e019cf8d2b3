"""Print the CPU time of the shipped suites on a million images beside plain pandas: `python -m benchmarks.rules`.

Both check the same rules on the same tables, in turns in one process, on a clean manifest and on some in which a share
of the images is too small. Plain pandas only counts the rows that break a rule; ours also names each, with value and
partner. rules.md beside this says what came out.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from assay import labels
from assay.dataset import manifest
from assay.validation import data_tables, rules, run, suites, wording
from assay.validation.custom_expectations import margin
from assay.validation.rules import Rule

CLASSES = [str(digit) for digit in range(10)]
TURNS = 3


def made(n_images: int, bad_share: float) -> pd.DataFrame:
    """Return a manifest of images without fault but for those that are too small."""
    rng = np.random.default_rng(0)
    hashes = pd.util.hash_array(np.arange(n_images))
    names = pd.Series([f"{number:064x}" for number in hashes], dtype="str")
    whole, real = ("width_px", "height_px", "maximum", "p1", "p5", "p50"), ("brightness", "contrast", "sharpness")
    numbers: dict[str, np.ndarray] = {name: rng.integers(40, 200, n_images) for name in whole}
    numbers |= {name: rng.uniform(2, 90, n_images).round(4) for name in real}
    rows = pd.DataFrame(
        {
            "path": pd.Series([f"class/{number:07d}.jpg" for number in range(n_images)], dtype="str"),
            "label": pd.Series(rng.choice(CLASSES, n_images), dtype="str"),
            "split": pd.Series(rng.choice(labels.SPLITS, n_images, p=(0.7, 0.1, 0.2)), dtype="str"),
            "group": names.str[:16],
            "sha256": names,
            "pixels": names,
            "decodable": True,
            "reason": pd.Series("", index=range(n_images), dtype="str"),
            "named_format": pd.Series("JPEG", index=range(n_images), dtype="str"),
            "format": pd.Series("JPEG", index=range(n_images), dtype="str"),
            "mode": pd.Series("RGB", index=range(n_images), dtype="str"),
            "orientation": 1,
            "flat_share": 0.0,
            **numbers,
        }
    )
    rows.loc[rng.random(n_images) < bad_share, "width_px"] = 4
    nullable = dict.fromkeys(rows.select_dtypes("int64").columns, "Int64")
    return rows.reindex(columns=rules.MEASURED).astype(nullable)


def plain(rule: Rule, rows: pd.DataFrame) -> Any:
    """Return how many rows break the rule, as somebody would count them who knows pandas."""
    wanted, columns = rule.arguments, [rows[column] for column in rule.columns]
    match rule.type:
        case "expect_table_row_count_to_be_between":
            return len(rows) < wanted["min_value"]
        case "expect_column_values_to_be_between":
            low, high = wanted.get("min_value", -np.inf), wanted.get("max_value", np.inf)
            return (~columns[0].between(low, high)).sum()
        case "expect_column_values_to_be_in_set":
            return (~columns[0].isin(wanted["value_set"])).sum()
        case "expect_column_values_to_not_be_null":
            return columns[0].isna().sum()
        case "expect_column_values_to_be_unique":
            return columns[0].duplicated(keep=False).sum()
        case "expect_column_distinct_values_to_contain_set":
            return set(wanted["value_set"]) - set(columns[0].unique())
        case "expect_column_pair_values_to_be_equal":
            both = columns[0].notna() & columns[1].notna()
            return (both & (columns[0] != columns[1])).sum()
        case wording.AGREE:
            both = rows.dropna(subset=rule.columns)
            return (both.groupby(rule.columns[0])[rule.columns[1]].nunique() > 1).sum()
        case wording.SPELT:
            return columns[0].nunique() - columns[0].str.replace(r"\s", "", regex=True).str.casefold().nunique()
        case "expect_column_values_to_give_margin":
            margins = columns[0].map(lambda n: margin(n, wanted["recall"], wanted["confidence"]))
            return (margins > wanted["max_margin"]).sum()
    raise SystemExit(f"{rule.rule}: no plain pandas for {rule.type}; write it here")


def cpu_s(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def turn(bad_share: float, n_images: int, rules: list[Rule]) -> tuple[float, float, float]:
    """Return the CPU seconds of plain pandas, of ours, and of building the tables for both."""
    rows, pairs = made(n_images, bad_share), pd.DataFrame(columns=manifest.PAIRS.names)
    before = time.process_time()
    built = data_tables.build(rows, pairs, classes=CLASSES)
    building = time.process_time() - before
    known = [rule for rule in rules if set(rule.columns) <= set(built[rule.table])]
    ways = (lambda: [plain(rule, built[rule.table]) for rule in known], lambda: run.check(known, built))
    times = [[cpu_s(way) for way in ways] for _ in range(TURNS)]
    theirs, ours = (statistics.median(each) for each in zip(*times, strict=True))
    return theirs, ours, building


def main() -> None:
    n_images = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rules = suites.read(Path("expectations"), ("images", "labels", "classes", "splits"))
    print(f"{n_images:,} images, {len(rules)} rules, CPU seconds, the median of {TURNS} turns\n")
    print("| too small | plain pandas | ours | ours / plain | tables |", "|---|---|---|---|---|", sep="\n")
    for bad_share in map(float, sys.argv[2:] or (0, 0.001, 0.1)):
        theirs, ours, building = turn(bad_share, n_images, rules)
        print(f"| {bad_share:.1%} | {theirs:.2f} | {ours:.2f} | {ours / theirs:.1f} | {building:.2f} |", flush=True)


if __name__ == "__main__":
    main()
