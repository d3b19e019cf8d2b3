"""Great Expectations' own pages, its Data Docs, of what `validate` found: an option for people who know them.

Nothing is checked again: each result is the one of results.json, so these pages say what the report and the gate say,
also where Great Expectations alone would let something pass. They are for no stage and hold its random ids. Its pages
ask six servers for styles and scripts; here all that is replaced by our style sheet, so that they work without network.
"""

import datetime
import html
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from assay import files, report, suites, wording
from assay.errors import AssayError
from assay.suites import Rule

Found = tuple[Rule, Mapping[str, Any], list[str]]  # a rule, its entry of results.json, and the rows that break it
SHOWN = 20  # rows of one rule, as in Great Expectations
SECTION = "validation"
# Great Expectations makes folders of the time of a run, and these pages are of the data and not of a time.
NO_TIME = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
REMOTE = re.compile(
    r"""<link\b[^>]*\bhref="https?://[^>]*>
    |<script\b[^>]*\bsrc="https?://[^>]*></script>
    |url\([^)]*\)
    |<img\b[^>]*\bsrc="https?://[^>]*>
    |<(p|div)\b[^>]*>[^<]*<a\b[^>]*\bhref="https?://[^>]*>[^<]*</a>[^<]*</\1>""",
    re.VERBOSE,
)


def build(expectations: Path, validation: Path, to: Path) -> Path:
    """Return the first page of those written into the folder `to`, which are put in the place of earlier ones.

    Raises `AssayError` if nothing was validated yet, or other expectations than those in the folder.
    """
    results, found = read(expectations, validation)
    beside = Path(os.path.relpath(validation / "index.html", to)).as_posix()
    with tempfile.TemporaryDirectory() as made:
        pages = _write(found, Path(made))
        for page in pages:
            page.write_text(without_network(page.read_text()))
        (Path(made) / "index.html").write_text(_index(results, found, Path(made), beside))
        shutil.rmtree(Path(made) / "static")
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(made, to)
    return to / "index.html"


def read(expectations: Path, validation: Path) -> tuple[dict[str, Any], list[Found]]:
    """Return results.json, and each rule beside what was found."""
    file = validation / "results.json"
    if not file.exists():
        raise AssayError(f"{file} is missing: nothing was validated yet; run `dvc repro validate`")
    results = files.read_json(file)
    rules = {(rule.suite, rule.rule): rule for rule in suites.read(expectations, suites.OF_DATA)}
    entries = {(each["suite"], each["expectation"]): each for each in results["expectations"]}
    if stale := sorted(rules.keys() ^ entries.keys()):
        raise AssayError(
            f"{file}: is of other expectations than {expectations}: {', '.join(map(': '.join, stale[:5]))};"
            " run `dvc repro validate`"
        )
    rows = pd.read_csv(validation / "failures.csv", dtype="str", keep_default_na=False)
    named = {key: _named(broken) for key, broken in rows.groupby(["suite", "expectation"])}
    return results, [(rules[key], entries[key], named.get(key, [])) for key in entries]


def _named(broken: pd.DataFrame) -> list[str]:
    """Return the first rows that break a rule, each with what was seen, for people."""
    first = broken.head(SHOWN)
    beside = ["; ".join(filter(None, each)) for each in zip(first["value"], first["partner"].map(_like), strict=True)]
    return [f"{path} ({seen})" if seen else str(path) for path, seen in zip(first["path"], beside, strict=True)]


def _like(partner: str) -> str:
    return f"like {partner}" if partner else ""


def _write(found: Iterable[Found], to: Path) -> list[Path]:
    """Return the pages that Great Expectations makes: of each suite what it expects, and what was found."""
    gx = suites.great_expectations()
    context = gx.get_context(mode="ephemeral")
    context.delete_data_docs_site("local_site")
    context.add_data_docs_site(
        SECTION,
        {
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(to)},
        },
    )
    by_suite: dict[str, list[Found]] = {}
    for each in found:
        by_suite.setdefault(each[0].suite, []).append(each)
    for name, own in by_suite.items():
        _add(context, gx, name, own)
    context.build_data_docs()
    pages = sorted(page for page in to.rglob("*.html") if page.name != "index.html")
    if len(pages) != 2 * len(by_suite):  # it only logs what it could not show
        raise AssayError(
            f"{to}: Great Expectations made {len(pages)} pages of {len(by_suite)} suites, must be two of each"
        )
    return pages


def _add(context: Any, gx: Any, name: str, found: Sequence[Found]) -> None:
    """Add a suite and what was found of it to the context."""
    from great_expectations.core import ExpectationSuiteValidationResult, RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    results = [_result(*each) for each in found]
    kinds = [
        suites.implementation(rule)(
            **rule.arguments, description=described(rule, rule.severity), notes=html.escape(rule.note, quote=False)
        )
        for rule, *_ in found
    ]
    context.suites.add(gx.ExpectationSuite(name=name, expectations=kinds))
    held = sum(each.success for each in results)
    run = RunIdentifier(run_name=SECTION, run_time=NO_TIME)
    whole = ExpectationSuiteValidationResult(
        suite_name=name,
        success=held == len(results),
        results=results,
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": held,
            "unsuccessful_expectations": len(results) - held,
            "success_percent": 100 * held / len(results),
        },
        meta={"run_id": run, "batch_spec": {"data_asset_name": ", ".join(dict.fromkeys(r.table for r, *_ in found))}},
    )
    suite = ExpectationSuiteIdentifier(name=name)
    key = ValidationResultIdentifier(expectation_suite_identifier=suite, run_id=run, batch_identifier=name)
    context.validation_results_store.set(key, whole)


def _result(rule: Rule, entry: Mapping[str, Any], named: list[str]) -> Any:
    """Return one result as Great Expectations has them; it takes text for HTML."""
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    configuration = ExpectationConfiguration(
        type=rule.type, kwargs=rule.arguments, severity=rule.severity, description=described(rule, entry["severity"])
    )
    n_rows = entry["n_rows"]
    unmeasured = not entry["success"] and not entry["observed"] and not entry["n_failed"]
    return ExpectationValidationResult(
        success=entry["success"],
        expectation_config=configuration,
        result={
            "element_count": n_rows,
            "unexpected_count": entry["n_failed"],
            "unexpected_percent": 100 * entry["n_failed"] / max(n_rows, 1),
            "partial_unexpected_list": [html.escape(each, quote=False) for each in named],
            "observed_value": html.escape(entry["observed"], quote=False),
        },
        exception_info={
            "raised_exception": unmeasured,
            "exception_message": html.escape(entry["message"], quote=False) if unmeasured else None,
            "exception_traceback": "" if unmeasured else None,
        },
    )


def described(rule: Rule, severity: str) -> str:
    """Return the rule in our words; Great Expectations has none for expectations that are not its own."""
    said = f"{rule.rule} ({severity}): {wording.subject(rule) or wording.measure(rule)} must {wording.demand(rule)}"
    return html.escape(said, quote=False).replace("$", "$$")  # it is taken for a template


def _index(results: Mapping[str, Any], found: Iterable[Found], made: Path, validation: str) -> str:
    """Return the first page, ours: Great Expectations' own is empty without its scripts."""
    entries = [entry for _, entry, _ in found]
    rows = [
        {
            "name": page.stem,
            "found": page.relative_to(made).as_posix(),
            "expected": f"expectations/{page.name}",
            "rules": [entry for entry in entries if entry["suite"] == page.stem],
        }
        for page in sorted(made.glob("validations/**/*.html"))
    ]
    return report.render(
        "data_docs.html", suites=rows, passed=results["passed"], n_images=results["n_images"], report=validation
    )


def without_network(page: str) -> str:
    """Return the page with our style sheet in place of all that it asks other servers for."""
    style = (report.TEMPLATES / "data_docs.css").read_text()
    page = REMOTE.sub("", page).replace(f" / {SECTION} / {NO_TIME:%Y-%m-%dT%H:%M:%SZ}", "")
    return page.replace("</head>", f"<style>\n{style}</style>\n</head>", 1)
