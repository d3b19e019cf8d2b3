import dataclasses
from pathlib import Path
from typing import Any

import optuna
import pytest
from checkouts import ROOT
from shards_made import write_data

from assay import params
from assay.errors import AssayError
from assay.operations import params_lines
from assay.params import Search
from assay.training import objective, tensors, tune, tune_page

tensors.set_up(threads=2)  # here, because it must come before the first operation of any test

P = params.load(ROOT / "params.yaml")
SPACE = {"learning_rate": Search(low=0.001, high=0.01, log=True), "augment.preset": Search(choices=("none", "light"))}


def small(folder: Path) -> params.Params:
    changes = {"filters": (4, 8), "epochs": 2, "batch_images": 4, "keep": "best"}
    memo = dataclasses.replace(P.paths.memo, training=folder / "memo")
    paths = dataclasses.replace(
        P.paths,
        records=folder / "data/records",
        index=folder / "data/records.json",
        memo=memo,
        networks=folder / "networks",
    )
    return dataclasses.replace(P, paths=paths, train=dataclasses.replace(P.train, **changes), tune=SPACE)


def test_values_replace_those_of_the_section_and_what_stands_within_it() -> None:
    found = tune.with_values(P.train, {"learning_rate": 0.5, "augment.preset": "strong"})
    assert (found.learning_rate, found.augment.preset, found.augment.flip) == (0.5, "strong", P.train.augment.flip)
    assert tune.current(found, SPACE) == {"learning_rate": 0.5, "augment.preset": "strong"}
    with pytest.raises(AssayError, match=r"tune: 'rate' is no key of train \(params\.yaml: tune\)"):
        tune.current(P.train, {"rate": SPACE["learning_rate"]})


def test_what_is_tuned_in_this_project_stands_in_train() -> None:
    assert set(tune.current(P.train, P.tune)) == set(P.tune)
    text = (ROOT / "params.yaml").read_text()
    params_lines.changed(text, {f"train.{key}": 1 for key in P.tune})


@pytest.mark.slow
def test_a_study_begins_with_what_is_goes_on_and_is_of_these_data_alone(tmp_path: Path) -> None:
    index = write_data(tmp_path, counts={"train": (6, 6), "val": (4, 4)})
    p, told = small(tmp_path), []
    for _ in range(2):
        study = tune.study(p.paths.memo.training, p.paths.index, p)
        n_before = len([trial for trial in study.trials if trial.state.is_finished()])
        study.optimize(
            lambda trial: tune._val_loss(trial, p, tune.with_values(p.train, tune.suggested(trial, SPACE)), index), 1
        )
        told.append((n_before, tune.line(study.trials[-1])))
    assert [n for n, _ in told] == [0, 1]
    first = study.trials[0]
    assert first.params == tune.current(p.train, SPACE)
    assert first.value is not None
    assert f"val loss {first.value:.4f}" in told[0][1]
    best = tune.best(study)
    assert best.keys() == SPACE.keys()
    page = tune_page.page(study, SPACE)
    assert page.count("<tr>") == 3
    assert f"{first.value:.4f}" in page
    own = p.paths.networks / "own.py"
    own.parent.mkdir()
    own.write_text("")  # other code is another study, for it may judge otherwise
    assert not [t for t in tune.study(p.paths.memo.training, p.paths.index, p).trials if t.state.is_finished()]
    own.unlink()
    other = dataclasses.replace(p, seed=p.seed + 1)
    assert not [t for t in tune.study(p.paths.memo.training, p.paths.index, other).trials if t.state.is_finished()]


def test_without_a_trial_that_came_to_its_end_nothing_is_best() -> None:
    with pytest.raises(AssayError, match="no trial came to its end"):
        tune.best(optuna.create_study())


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ({}, "either choices, or low and high"),
        ({"low": 1}, "either choices, or low and high"),
        ({"low": 1, "high": 2, "choices": [1]}, "either choices, or low and high"),
        ({"low": 2, "high": 1}, r"low 2\.0 is not below high 1\.0"),
    ],
)
def test_a_search_is_between_two_or_among_some(search: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Search(**search)


@pytest.mark.slow
def test_a_trial_is_judged_by_what_training_makes_small_unless_that_is_what_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, p = write_data(tmp_path, counts={"train": (6, 6), "val": (4, 4)}), small(tmp_path)
    monkeypatch.setattr(objective.Objective, "of", lambda *_: 0.125)
    several = dataclasses.replace(p, tune={"imbalance": Search(choices=("none", "balanced"))})
    for asked, is_plain in ((p, False), (several, True)):
        study = tune.study(p.paths.memo.training, p.paths.index, asked)
        study.optimize(lambda trial, of=asked: tune._val_loss(trial, of, of.train, index), 1)
        assert (study.trials[0].value != 0.125) == is_plain
