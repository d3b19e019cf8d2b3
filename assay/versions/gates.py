"""Which metrics must not change by less than so much between two commits, and which of them are not kept."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from assay.errors import AssayError
from assay.versions.changes import EVAL, OF_THE_MODEL, Change, Changes, next_step

TEST = "test."  # a gate may call the metrics of the test split either way
ROUNDING = 1e-9  # 0.94 - 0.95 is a little below -0.01
EXAMPLE = "such as test.f1_macro:-0.01"


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A metric that must not change by less than `least`, which is mostly below 0."""

    asked: str  # METRIC:CHANGE, as a person gave it; empty for the margin of params.yaml
    metric: str  # as in metrics/, e.g. eval.f1_macro
    least: float


def parse(text: str) -> Gate:
    """Return the gate that a text names, such as `test.f1_macro:-0.01`; raises `AssayError` for another form."""
    metric, _, change = text.rpartition(":")
    try:
        least = float(change)
    except ValueError:
        least = None
    if not metric or least is None:
        raise AssayError(f"compare: --gate {text!r} must be METRIC:CHANGE, {EXAMPLE}")
    if not math.isfinite(least):
        raise AssayError(f"compare: --gate {text!r}: a change of {change} holds nothing; give a number, {EXAMPLE}")
    return Gate(asked=text, metric=EVAL + metric.removeprefix(TEST) if metric.startswith(TEST) else metric, least=least)


def usual(margin: float) -> Gate:
    """Return the gate of who asks for none: the accuracy must not drop by more than the margin of `register`."""
    return Gate(asked="", metric="eval.accuracy", least=-margin)


def fallen(found: Changes, gates: Sequence[Gate]) -> list[str]:
    """Return a sentence for each gate that is not kept.

    Raises `AssayError` for a gate that was asked for and cannot be held. The usual one is then passed over: the page
    says what is missing.
    """
    told, unheld = [], []
    for each in gates:
        difference = _difference_of(found, each.metric)
        if difference is not None:
            told += [_broken(found, each, difference)] if difference < each.least - ROUNDING else []
        elif each.asked:
            unheld.append(f"--gate {each.asked} cannot be held: {_obstacle(found, each.metric)}")
    if unheld:
        raise AssayError(f"compare: {'; '.join([*unheld, *told])}")
    return told


def _difference_of(found: Changes, metric: str) -> float | None:
    """Return the change on the shared images where the metric is compared there, else that of metrics/."""
    if not found.is_open and _is_of_the_model(metric):
        return None
    name = metric.removeprefix(EVAL)
    if found.model and found.model.against and metric.startswith(EVAL):
        if name == "accuracy":
            return found.model.against.paired.difference
        if name in found.model.differences:
            return found.model.differences[name].value
    difference = next((each.difference for each in found.metrics if each.name == metric), None)
    return difference if difference is not None and math.isfinite(difference) else None


def _is_of_the_model(metric: str) -> bool:
    return metric.partition(".")[0] in OF_THE_MODEL


def _obstacle(found: Changes, metric: str) -> str:
    """Return why the metric cannot be compared, and what to do."""
    if not found.is_open and _is_of_the_model(metric):
        return (
            f"the gate of the data is closed at {found.new}, so no model was made of them; reports/validation/ says why"
        )
    change = next((each for each in found.metrics if each.name == metric), Change(name=metric, old=None, new=None))
    values = {found.old: change.old, found.new: change.new}
    missing = [rev for rev, value in values.items() if value is None]
    if len(missing) == len(values) and found.metrics:
        return f"no metric {metric!r} at either; metrics/ has those that there are"
    if missing:
        has = "has" if len(missing) == 1 else "have"
        return f"{' and '.join(missing)} {has} no {metric}; {next_step(missing)}"
    return f"{metric} is no number: {', '.join(f'{value} at {rev}' for rev, value in values.items())}"


def _broken(found: Changes, gate: Gate, difference: float) -> str:
    name = gate.metric.removeprefix(EVAL)
    way = f"drops by {_amount(-difference)}" if difference < 0 else f"rises by {_amount(difference)}"
    limit = f"it must rise by {gate.least:g} or more" if gate.least > 0 else f"the limit is {max(0.0, -gate.least):g}"
    return f"{name} {way if difference else 'does not change'} from {found.old} to {found.new}, {limit}"


def _amount(difference: float) -> str:
    """Return a count, or four decimals, or more where they would all be 0."""
    if isinstance(difference, int):
        return f"{difference:,}"
    return f"{difference:.4f}" if difference >= 0.00005 else f"{difference:.1g}"
