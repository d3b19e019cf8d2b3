"""Looking for better parameters by trying them, on the validation split alone: Optuna's study of trials.

Each trial is a whole training with other values; one that is behind the median of the others at the same epoch is given
up. The first trial has the values of params.yaml. A study goes on where it was left, as long as nothing else changed.
"""

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.storages.journal import JournalFileBackend

from assay import params
from assay.dataset.records.contents import Index
from assay.errors import AssayError
from assay.params import Search
from assay.training import checkpoints, fit, job, network, phases, tensors

STARTUP, SPARED = 4, 0.3  # trials before one is given up, and the share of epochs that none is given up in
LAST_S = 10  # seconds, in which no further trial is begun


def with_values(p: params.Train, values: Mapping[str, Any]) -> params.Train:
    """Return the section with other values; `augment.preset` is the key of what stands within `augment`."""
    for key, value in values.items():
        section, _, inner = key.rpartition(".")
        changed = {inner: value}
        if section:
            changed = {section: dataclasses.replace(getattr(p, section), **changed)}
        p = dataclasses.replace(p, **changed)
    return p


def current(p: params.Train, keys: Mapping[str, Search]) -> dict[str, Any]:
    """Return the values that `with_values` would change; raises `AssayError` for a key that `train` does not have."""
    found = {}
    for key in keys:
        value: Any = p
        for part in key.split("."):
            if not hasattr(value, part):
                raise AssayError(f"tune: {key!r} is no key of train (params.yaml: tune)")
            value = getattr(value, part)
        found[key] = value
    return found


def suggested(trial: optuna.Trial, space: Mapping[str, Search]) -> dict[str, Any]:
    """Return the values that the study proposes next."""
    return {key: _suggested(trial, key, search) for key, search in space.items()}


def _suggested(trial: optuna.Trial, key: str, search: Search) -> Any:
    if search.choices is not None:
        return trial.suggest_categorical(key, search.choices)
    assert search.low is not None
    assert search.high is not None
    return float(f"{trial.suggest_float(key, search.low, search.high, log=search.log):.3g}")


def study(folder: Path, index: Path, p: params.Params) -> optuna.Study:
    """Return the study of these data, parameters and code; the first trial waits, with the values of params.yaml."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    run = checkpoints.identity(index, p.paths.networks, p.train, seed=p.seed, threads=p.threads)
    of = json.dumps([run, _listed(p.tune)])
    name = hashlib.sha256(of.encode()).hexdigest()[:16]
    found = optuna.create_study(
        study_name=name,
        storage=optuna.storages.JournalStorage(JournalFileBackend(str(folder / "trials.log"))),
        sampler=optuna.samplers.TPESampler(seed=p.seed),
        pruner=optuna.pruners.MedianPruner(STARTUP, n_warmup_steps=round(SPARED * p.train.epochs)),
        load_if_exists=True,
    )
    if not found.trials:
        found.enqueue_trial(current(p.train, p.tune))
    return found


def _listed(space: Mapping[str, Search]) -> dict[str, Any]:
    return {key: dataclasses.asdict(search) for key, search in space.items()}


def run(found: optuna.Study, p: params.Params, index: Index, *, minutes: float, told: Callable[[str], object]) -> None:
    """Try further values for so many minutes; `told` is given a line about each trial."""
    ends = time.monotonic() + 60 * minutes

    def objective(trial: optuna.Trial) -> float:
        left = (ends - time.monotonic()) / 60
        train = with_values(p.train, suggested(trial, p.tune) | {"max_minutes": max(left, 0.01)})
        return _val_loss(trial, p, train, index)

    while time.monotonic() < ends - LAST_S:
        found.optimize(objective, n_trials=1, catch=(AssayError,))
        told(line(found.trials[-1]))


def _val_loss(trial: optuna.Trial, p: params.Params, train: params.Train, index: Index) -> float:
    """Return the loss on val of the epoch that is kept, lower than which no other is; the test split is not read."""
    tensors.set_up(threads=p.threads, seed=p.seed, portable=train.portable)
    scale = job.statistics(p.paths.records, index, train)
    built = network.build(index, train, scale, own=p.paths.networks)
    made = job.build(built, p.paths.records, index, p=train, seed=p.seed)

    by = "val_loss" if "imbalance" in p.tune else "val_objective"  # of different ways only the plain one compares

    def after(row: Mapping[str, Any]) -> None:
        trial.report(row[by], row["epoch"])
        if trial.should_prune():
            raise optuna.TrialPruned

    place = p.paths.memo.training / "tune"
    found = fit.fit(made, phases.phases(built, train), place=place, of={"trial": str(trial.number)}, after=after)
    if found.ended and "minutes" in found.ended:
        raise optuna.TrialPruned  # it had no time to show what it can
    kept = found.rows[found.kept_epoch - 1]
    trial.set_user_attr("val_accuracy", kept["val_accuracy"])
    trial.set_user_attr("epoch", found.kept_epoch)
    return float(kept[by])


def line(trial: optuna.trial.FrozenTrial) -> str:
    """Return one line about a trial that ended."""
    said = {key: f"{value:.3g}" if isinstance(value, float) else value for key, value in trial.params.items()}
    values = ", ".join(f"{key} {value}" for key, value in said.items())
    match trial.state:
        case optuna.trial.TrialState.COMPLETE:
            accuracy = trial.user_attrs["val_accuracy"]
            return f"trial {trial.number}: val loss {trial.value:.4f}, accuracy {accuracy:.4f} ({values})"
        case optuna.trial.TrialState.PRUNED:
            return f"trial {trial.number}: given up after epoch {trial.last_step or 0} ({values})"
    return f"trial {trial.number}: failed ({values})"


def best(found: optuna.Study) -> dict[str, Any]:
    """Return the values of the best trial; raises `AssayError` where none came to its end."""
    complete = [trial for trial in found.trials if trial.state == optuna.trial.TrialState.COMPLETE]
    if not complete:
        raise AssayError("tune: no trial came to its end; give it more minutes (assay tune --minutes)")
    values = min(complete, key=lambda trial: trial.values[0]).params
    return {key: float(f"{value:.3g}") if isinstance(value, float) else value for key, value in values.items()}
