"""The stages of dvc.yaml, in the order in which `dvc repro` runs them. Nothing else declares the pipeline."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro

from assay.errors import AssayError
from assay.operations.stage_run import PIPELINE
from assay.versions import dvc_repo

NUMBER = (int, float)
OPTIONS: dict[str, type | tuple[type, ...]] = {
    "retries": int,
    "retry_delay_seconds": NUMBER,
    "tags": list,
    "timeout_seconds": NUMBER,
}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage. `options` (its `meta: {prefect: ...}`) go to its Prefect task as they are."""

    name: str
    upstream: tuple[str, ...]
    deps: tuple[Path, ...]  # absolute
    outs: tuple[Path, ...]  # absolute, metrics among them
    metrics: tuple[Path, ...]
    options: dict[str, Any]


def stages(folder: Path = Path()) -> list[Stage]:
    """Return every stage of the checkout that a plain `dvc repro` would visit, each after all of its upstream.

    A `.dvc` file tracks data and runs nothing, so it is no stage. Raises `AssayError` for what DVC cannot read, and for
    an option of `meta.prefect` that is not known here.
    """
    try:
        with Repo(str(folder)) as repo:
            graph = get_active_graph(repo.index.graph)  # an edge goes from a stage to one that it needs
            plan = plan_repro(graph, collect_stages(repo, [str(folder / PIPELINE)]))
            return [_stage(stage, graph.successors(stage)) for stage in plan if stage.cmd]
    except DvcException as error:
        raise AssayError(f"{PIPELINE}: {dvc_repo.said(error)}") from error


def _stage(stage: Any, upstream: Any) -> Stage:
    options = (stage.meta or {}).get("prefect") or {}
    _check(stage.name, options)
    return Stage(
        name=stage.name,
        upstream=tuple(sorted(up.name for up in upstream if up.cmd)),
        deps=tuple(Path(dep.fs_path) for dep in stage.deps if dep.protocol == "local"),
        outs=tuple(Path(out.fs_path) for out in stage.outs),
        metrics=tuple(Path(out.fs_path) for out in stage.outs if out.is_metric),
        options=options,
    )


def _check(stage: str, options: dict[str, Any]) -> None:
    for key, value in options.items():
        where = f"{PIPELINE}: {stage}: meta.prefect.{key}"
        if key not in OPTIONS:
            raise AssayError(f"{where}: unknown key; known here: {', '.join(OPTIONS)}")
        if not isinstance(value, OPTIONS[key]) or isinstance(value, bool):
            wanted = "a list" if OPTIONS[key] is list else "a number"
            raise AssayError(f"{where}: {value!r} is not {wanted}")
