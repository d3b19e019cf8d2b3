"""What Prefect's UI shows of a run: its metrics as a table, the verdicts on data and records as pages."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from assay import files, pages, params
from assay.words import printable
from flows.running import dag
from flows.running.stages import Ends, is_done

FAILURES_SHOWN = 10  # images of each failed expectation
TABLE = "| severity | rule | seen | allowed | failing images |\n| --- | --- | --- | --- | --- |"


def metrics(stages: list[dag.Stage], ends: Ends) -> None:
    """Leave the metrics as a table; the files of a stage that did not end well are those of another run."""
    rows = []
    for each in (each for each in stages if each.metrics):
        if is_done(each, ends):
            for file in each.metrics:
                rows += [{"stage": each.name, "metric": k, "value": v} for k, v in _leaves(files.read_json(file))]
        else:
            rows.append({"stage": each.name, "metric": "", "value": "failed" if each.name in ends else "not run"})
    create_table_artifact(key="metrics", table=rows, description="What the stages of this run measured.")


def _leaves(content: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(content, dict):
        yield name, content
        return
    for key, value in content.items():
        yield from _leaves(value, f"{name}.{key}" if name else key)


def verdicts(stages: list[dag.Stage], ends: Ends, folder: Path, kept: Path | None = None) -> None:
    """Leave the verdicts on data and records as pages; `kept`: where the reports stay, if not in the checkout."""
    paths = params.load(folder / params.FILE).paths
    for key, report, of in (("gate", paths.validation, "data"), ("records", paths.verification, "records")):
        if makers := [each for each in stages if (folder / report).absolute() in each.outs]:
            page = f"The {of} were not validated."
            if any(_is_measured(each, ends) for each in makers) and (folder / report / "results.json").exists():
                page = _page(key, files.read_json(folder / report / "results.json"))
                page += _link((kept / report.name if kept else folder / report) / "index.html")
            create_markdown_artifact(key=key, markdown=page, description=f"Whether the {of} may be trained on.")


def diagnosis(stages: list[dag.Stage], ends: Ends, folder: Path) -> None:
    """Leave why the model is as it is as a page, if this run evaluated one."""
    report = (folder / params.load(folder / params.FILE).paths.evaluation).absolute()
    found = report / "diagnosis.json"
    if found.exists() and any(report in each.outs and is_done(each, ends) for each in stages):
        lines = [f"    {printable(line)}" for line in files.read_json(found)["lines"]]
        page = "\n".join(["# Why it is as it is\n", *lines])
        create_markdown_artifact(key="diagnosis", markdown=page, description="What may be wrong, the surest first.")


def _is_measured(each: dag.Stage, ends: Ends) -> bool:
    """Say whether the stage left results in this run: a rejection is one."""
    return each.name in ends and (ends[each.name].is_completed() or ends[each.name].name == "Rejected")


def _page(key: str, results: dict[str, Any]) -> str:
    failed = [each for each in results["expectations"] if not each["success"]]
    words = {
        "gate": ("The gate is open", "The gate is closed"),
        "records": ("The records are right", "Records are wrong"),
    }
    verdict = words[key][0 if results["passed"] else 1]
    n = f"{len(failed)} failed expectation{'s' * (len(failed) != 1)}"
    head = f"# {verdict}\n\n{results['n_images']:,} images, {n}"
    return head + (f"\n\n{TABLE}\n" + "\n".join(map(_row, failed)) if failed else "")


def _link(report: Path) -> str:
    """Return where the report is: browsers do not follow such a link from a page of a server, but copy it."""
    return f"\n\nReport: [{report.absolute()}]({report.absolute().as_uri()})" if report.exists() else ""


def _row(failed: dict[str, Any]) -> str:
    names = ", ".join(failed["failures"][:FAILURES_SHOWN])
    cells = [failed["severity"], failed["message"], failed["observed"], failed["limit"], names]
    return f"| {' | '.join(pages.markdown(str(cell)) for cell in cells)} |"
