"""Short trainings are kept: a probe that was killed goes on, and minutes end one between two trainings."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from checkouts import ROOT
from shards_made import write_data

from assay import params
from assay.errors import AssayError
from assay.evaluation.diagnosis.probe import AS_IT_IS, Arm
from assay.state import PROBE
from assay.versions import probing, scratch

ARMS = [AS_IT_IS, Arm(cause="model_too_small", change={"train.filters": [32, 64]})]


@pytest.fixture
def p(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> params.Params:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    write_data(tmp_path, counts={"train": (3, 3), "val": (20, 20)})
    return params.load()


def better_if_wider(content: dict[str, Any]) -> float:
    return 0.9 if len(content["train"]["filters"]) == 2 else 0.6 + content["seed"] / 1000


def test_killed_probe_goes_on_with_what_is_left(p: params.Params) -> None:
    trained: list[int] = []

    def killed(content: dict[str, Any]) -> float:
        if len(trained) == 3:
            raise KeyboardInterrupt
        trained.append(content["seed"])
        return better_if_wider(content)

    with pytest.raises(KeyboardInterrupt):
        list(probing.run(ARMS, p, minutes=None, train=killed))
    assert trained == [7, 7, 8]
    assert list(Path(PROBE).parent.iterdir()) == [PROBE]
    again: list[int] = []
    found = list(probing.run(ARMS, p, minutes=None, train=lambda each: again.append(each["seed"]) or 0.9))
    assert again == [8, 7, 7, 8, 8]  # the last, and in whole what gained
    assert len(found) == 8 == probing.n_wanted(ARMS, p)
    short, whole = probing.outcomes(ARMS, p)
    assert short.gain == pytest.approx(0.9 - 0.6075)
    assert (whole.arm.share, whole.gain) == (1.0, pytest.approx(0))


def test_nothing_is_trained_in_whole_where_nothing_gained(p: params.Params) -> None:
    assert len(list(probing.run(ARMS, p, minutes=None, train=lambda _: 0.9))) == 4 == probing.n_wanted(ARMS, p)


def test_minutes_end_it_before_the_next_training(p: params.Params, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 10.0, 70.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    found = list(probing.run(ARMS, p, minutes=1, train=better_if_wider))
    assert [arm.cause for arm, _, _ in found] == [""]


def test_failure_that_is_no_result_is_raised_and_not_remembered(
    p: params.Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_records(content: dict[str, Any], *_: Any, **__: Any) -> Any:
        raise error("probe: no records")

    monkeypatch.setattr(scratch, "run", no_records)
    error: type[AssayError] = AssayError
    with pytest.raises(AssayError, match="no records"):
        list(probing.run(ARMS, p, minutes=None))
    assert not PROBE.exists()
    error = scratch.Stopped
    assert {accuracy for _, _, accuracy in probing.run(ARMS, p, minutes=None)} == {None}


def test_other_data_or_another_recipe_are_other_trainings(p: params.Params, tmp_path: Path) -> None:
    content = yaml.safe_load(Path("params.yaml").read_text())
    one = probing.key(content, p.paths.index)
    assert probing.key(content | {"register": {}}, p.paths.index) == one
    assert probing.key(content | {"seed": 8}, p.paths.index) != one
    write_data(tmp_path, counts={"train": (4, 3), "val": (20, 20)})
    assert probing.key(content, p.paths.index) != one


def test_damaged_memory_costs_trainings_and_nothing_else(p: params.Params) -> None:
    PROBE.parent.mkdir()
    PROBE.write_text("cut off {")
    assert probing.outcomes(ARMS, p) == []
    assert len(list(probing.run(ARMS, p, minutes=None, train=lambda _: 0.9))) == 4
