"""What Prefect's UI shows of a run: its metrics as a table, the gate's verdict as a page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from assay import files
from flows import dag
from flows.stages import Ends, is_done

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


def gate(stages: list[dag.Stage], ends: Ends, validation: Path) -> None:
    """Leave the verdict on the data as a page."""
    results = validation / "results.json"
    done = any(is_done(each, ends) for each in stages if validation.absolute() in each.outs)
    page = _gate_page(files.read_json(results)) if done and results.exists() else "The data were not validated."
    create_markdown_artifact(key="gate", markdown=page, description="Whether the data may be trained on.")


def _gate_page(results: dict[str, Any]) -> str:
    failed = [each for each in results["expectations"] if not each["success"]]
    verdict = "open" if results["passed"] else "closed"
    head = f"# The gate is {verdict}\n\n{results['n_images']:,} images, {len(failed)} failed expectations"
    return head + (f"\n\n{TABLE}\n" + "\n".join(map(_row, failed)) if failed else "")


def _row(failed: dict[str, Any]) -> str:
    names = ", ".join(failed["failures"][:FAILURES_SHOWN])
    cells = [failed["severity"], failed["message"], failed["observed"], failed["limit"], names]
    return f"| {' | '.join(' '.join(str(cell).replace('|', ' ').split()) for cell in cells)} |"
