"""Our side: a scratch checkout in which the real commands and stages run on a variant, and what they said of it."""

import contextlib
import csv
import io
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import yaml

from assay import files, params
from assay.commands import main
from assay.errors import AssayError
from assay.validation import suggestion
from benchmarks.faults import inject
from tasks import ingest, validate

ROOT = Path(__file__).parents[2]
LEAST_PX = 32  # as the suite advises for photos; it says 8 for the digits that it comes with
LEFT = ("ledger", "near_limit", "manifest", "pairs")  # of the variant before: each is a new beginning


@dataclass(frozen=True)
class Named:
    """One line of failures.csv: that a rule names an image, or a class, and what else it mentions."""

    name: str
    suite: str
    rule: str
    severity: str
    mentions: str


@dataclass
class Said:
    lines: list[Named] = field(default_factory=list)
    failed: dict[tuple[str, str], str] = field(default_factory=dict)  # (suite, rule): severity
    error: str = ""  # instead of a verdict


def checkout(folder: Path, labels: Iterable[str]) -> None:
    """Make a checkout of params.yaml and the suites as they are, but for the classes, their balance and the least side.

    `labels`: of each image. The largest class may hold as much as `assay expectations suggest` would write.
    """
    counts = pd.Series(list(labels)).value_counts()
    classes = pd.DataFrame({"n_images": counts, "share": counts / counts.sum()})
    balance, _ = suggestion.FITTED["labels", "class balance"]({"classes": classes}, params.load(ROOT / "params.yaml"))
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "params.yaml", folder)
    shutil.copytree(ROOT / "expectations", folder / "expectations")
    for file in (folder / "expectations").glob("*.yaml"):
        suite = yaml.safe_load(file.read_text())
        rules = (suite or {}).get("expectations") or []
        for rule in rules:
            if rule.get("column") == "label" and "value_set" in rule:
                rule["value_set"] = sorted(counts.index)
            if rule.get("column") in ("width_px", "height_px"):
                rule["min_value"] = LEAST_PX
            if rule["rule"] == "class balance":
                rule |= balance
        if rules:
            file.write_text(yaml.safe_dump(suite, sort_keys=False))


def of_table(folder: Path, table: Path) -> tuple[Said, pd.DataFrame]:
    """Return what the stages say of the images of a table, and the near-duplicates that they found."""
    with inside(folder):
        _run(table)
        paths = params.load().paths
        return _said(paths), pq.read_table(paths.pairs).to_pandas()


def validated(folder: Path, variant: inject.Variant) -> Said:
    """Return what `snapshot`, `ingest` and `validate` say of the variant, after the part that is to be approved."""
    table = folder.parent / "images/table.csv"
    with inside(folder):
        paths = params.load().paths
        for name in LEFT:
            getattr(paths, name).unlink(missing_ok=True)
        shutil.rmtree(paths.raw, ignore_errors=True)
        getattr(paths, "approved", Path("data/approved.json")).unlink(missing_ok=True)
        if variant.has_batch:
            inject.write(folder.parent, variant, only_approved=True)
            _run(table)
            main.cli(["approve"], standalone_mode=False)
        inject.write(folder.parent, variant)
        try:
            _run(table)
        except AssayError as error:
            return Said(error=str(error))
        return _said(paths)


def measured(folder: Path, table: Path) -> Path:
    """Measure the images of a table, and return the folder of what is remembered of them."""
    with inside(folder):
        _ingest(table)
        return (folder / params.load().paths.memo.images).absolute()


def _ingest(table: Path) -> None:
    main.cli(["snapshot", f"table:{table}"], standalone_mode=False)
    ingest.main(params.load())


def _run(table: Path) -> None:
    _ingest(table)
    validate.main(params.load())


def _said(paths: params.Paths) -> Said:
    results = files.read_json(paths.validation / "results.json")
    failed = {(r["suite"], r["expectation"]): r["severity"] for r in results["expectations"] if not r["success"]}
    with (paths.validation / "failures.csv").open(newline="") as rows:
        lines = [_named(row) for row in csv.DictReader(rows) if row["status"] != "tolerated"]  # shown, not warned of
    return Said(lines, failed)


def _named(row: dict[str, str]) -> Named:
    mentions = f"{row['value']} {row['partner']}"
    return Named(row["path"], row["suite"], row["expectation"], row["severity"], mentions)


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in the folder, and say nothing."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        os.chdir(before)
