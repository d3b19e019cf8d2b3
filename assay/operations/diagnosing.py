"""The diagnosis of this checkout: what the stages left, looked at as it is now, and what to do about it."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from assay import files, params, passes
from assay.dataset import splits
from assay.errors import AssayError, GateClosed
from assay.evaluation import registry
from assay.evaluation.diagnosis import causes, diagnose, evidence, finding, probe
from assay.evaluation.diagnosis.diagnose import Diagnosis
from assay.evaluation.diagnosis.finding import Finding
from assay.evaluation.diagnosis.probe import Arm
from assay.operations import params_lines
from assay.training import left
from assay.validation import gate
from assay.versions import dvc_repo, probing

APPLIED = "`git diff params.yaml` shows it; then `dvc repro`"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A diagnosis, and what could tell apart what looks the same."""

    found: Diagnosis
    arms: tuple[Arm, ...]  # the recipe as it is first; empty: there is no whole run


def now(p: params.Params, of_export: Callable[[params.Paths], Finding | None]) -> Seen:
    """Return why the classifier of this checkout is poor, by its data alone where it was not trained on them.

    `of_export`: what is asked of the export of a whole run. Short trainings that were done before have their say.
    Raises `AssayError` where nothing was validated yet, or params.yaml is not what the training had.
    """
    _check_validated(p)
    what = _there_is(p)
    closed = _closed(p) if what == "data" else ""
    seen = replace(evidence.read(p, what), closed=closed, n_looks=_n_looks(p))
    if seen.record:
        check_recipe(seen.record["recipe"], p)
        _check_run(what)
    found = diagnose.diagnose(seen, {"prepared_otherwise": of_export(p.paths)} if what == "run" else {})
    if what == "data":
        return Seen(found=found, arms=())
    arms = tuple(probe.arms(seen, found))
    return Seen(found=decided(found, arms, p), arms=arms)


def decided(found: Diagnosis, arms: Sequence[Arm], p: params.Params) -> Diagnosis:
    """Return the diagnosis with what the short trainings that are kept say."""
    return probe.decided(found, probing.outcomes(arms, p))


def probed(seen: Seen, p: params.Params, minutes: float | None) -> Iterator[str]:
    """Yield a line for each short training, and at the end what they decided; raises `AssayError` without a run."""
    if not seen.arms:
        raise AssayError(
            "diagnose: --probe trains again with one change each, and nothing was trained yet; run `dvc repro`"
        )
    n, begun, done = probe.SEEDS * len(seen.arms), time.monotonic(), 0
    yield f"{n} trainings {probe.length(seen.arms[0])}: {'; '.join(', '.join(probe.said(arm)) for arm in seen.arms)}"
    for arm, seed, accuracy in probing.run(seen.arms, p, minutes=minutes):
        done, n = done + 1, probing.n_wanted(seen.arms, p)
        whole = " in whole" if arm.share > seen.arms[0].share else ""
        said = "stopped, nothing was learnt" if accuracy is None else f"{accuracy:.4f} on val"
        left_s = (time.monotonic() - begun) / done * (n - done)
        more = f", about {left_s / 60:.0f} min left" if left_s >= 60 else ""
        yield f"{done}/{n} {', '.join(probe.said(arm))}{whole}, seed {p.seed + seed}: {said}{more}"
    if done < n:
        yield f"{n - done} trainings were not begun: {minutes:g} minutes were up (--minutes); the same again goes on"
    yield from lines(decided(seen.found, seen.arms, p))


def _there_is(p: params.Params) -> evidence.What:
    if not _is_open(p):
        return "data"
    if (p.paths.memo.training / left.STOPPED).exists():
        return "stopped"
    return "run" if p.paths.answering.exists() and (p.paths.training / left.RECORD).exists() else "data"


def _closed(p: params.Params) -> str:
    """Return why the gate would be closed today, a line for each reason."""
    results = files.read_json(p.paths.validation / "results.json")
    try:
        gate.judge(results, results["manifest"], passes.today())
    except GateClosed as error:
        return str(error)
    return ""


def _n_looks(p: params.Params) -> int:
    """Return how many models were measured on the test images of now."""
    looks, ledger = registry.looks(p.paths.looks), splits.identity(splits.read(p.paths.ledger))
    of = [each for each in looks if each["ledger"] == ledger]
    last = max((each["last_batch"] for each in of), default=0)
    return len({each["model"] for each in of if each["last_batch"] == last})


def _check_validated(p: params.Params) -> None:
    results = p.paths.validation / "results.json"
    for file in (results, p.paths.manifest):
        if not file.exists():
            raise AssayError(f"diagnose: {file} is missing, so there is nothing to look at; run `dvc repro` first")
    if files.read_json(results)["manifest"] != files.sha256(p.paths.manifest):
        raise AssayError(f"diagnose: {results} is of another {p.paths.manifest}; run `dvc repro` first")


def _is_open(p: params.Params) -> bool:
    if not p.paths.passed.exists():
        return False
    return bool(files.read_json(p.paths.passed)["manifest"] == files.sha256(p.paths.manifest))


def _check_run(what: evidence.What) -> None:
    """Raise `AssayError` unless what lies here of a model is what these images and this recipe give."""
    due = dvc_repo.due(Path(), here=True)
    if due and due[0] not in {"run": ("register",), "stopped": ("train",)}[what]:
        raise AssayError(
            f"diagnose: {due[0]} has to run: what lies here of a model is an earlier run's; run `dvc repro`"
        )


def check_recipe(trained: dict[str, Any], p: params.Params) -> None:
    """Raise `AssayError` unless the recipe is that of params.yaml: it would be blamed for what another one did."""
    asked = json.loads(json.dumps(asdict(p.train)))  # lists for tuples, as the record has them
    if differ := sorted(name for name in asked if trained.get(name) != asked[name]):
        name = differ[0]
        raise AssayError(
            f"diagnose: params.yaml has train.{name}: {asked[name]}, and the training had {trained.get(name)}; run "
            "`dvc repro` first"
        )


def apply(found: Diagnosis, number: int) -> list[str]:
    """Return what was written, after params.yaml has the change of the cause of that number, from 1."""
    if number > len(found.findings):
        raise AssayError(f"diagnose: --apply {number}, and there are {len(found.findings)} causes")
    chosen = found.findings[number - 1]
    if not chosen.change:
        raise AssayError(f"diagnose: {causes.TITLES[chosen.cause]}: no parameter mends it; look at {chosen.look}")
    before = params.FILE.read_text()
    text = params_lines.changed(before, chosen.change)
    files.write_text(params.FILE, text)
    try:
        params.load()
    except AssayError:
        files.write_text(params.FILE, before)
        raise
    return [*(f"params.yaml: {line}" for line in finding.changes(chosen.change)), f"next: {APPLIED}"]


def lines(found: Diagnosis) -> list[str]:
    """Return the diagnosis for people, and the one thing to do next."""
    return [*diagnose.lines(found), f"next: {next_step(found)}"]


def next_step(found: Diagnosis) -> str:
    """Return the command, or what to look at, that the first cause asks for."""
    if not found.findings:
        return "reports/evaluation/index.html: the commonest errors and the weakest slices say what images are missing"
    first = found.findings[0]
    if not first.is_confident:
        return "`assay diagnose --probe` tells apart what looks the same, by short trainings"
    if first.change:
        return "`assay diagnose --apply 1` writes it to params.yaml; then `dvc repro` and `dvc metrics diff`"
    return f"look at {first.look}"
