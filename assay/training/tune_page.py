"""The page of a study: its trials, the best first."""

from collections.abc import Mapping
from typing import Any

import optuna

from assay import pages
from assay.params import Search

STATES = {"COMPLETE": "to its end", "PRUNED": "given up", "FAIL": "failed"}


def page(study: optuna.Study, space: Mapping[str, Search]) -> str:
    """Return the page as HTML."""
    ended = [trial for trial in study.trials if trial.state.name in STATES]
    ended.sort(key=lambda trial: (trial.state.name != "COMPLETE", trial.value or 0, trial.number))
    return pages.render("training/tune.html", keys=list(space), trials=[_row(trial, space) for trial in ended])


def _row(trial: optuna.trial.FrozenTrial, space: Mapping[str, Search]) -> dict[str, Any]:
    is_complete = trial.state.name == "COMPLETE"
    return {
        "number": trial.number,
        "state": STATES[trial.state.name],
        "loss": f"{trial.value:.4f}" if is_complete else "",
        "accuracy": f"{trial.user_attrs['val_accuracy']:.4f}" if is_complete else "",
        "epochs": trial.last_step or 0,
        "values": [_said(trial.params.get(key)) for key in space],
    }


def _said(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
