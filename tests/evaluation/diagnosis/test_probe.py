"""Short trainings decide: a real gain is found, an idle change is not, and what was not tried stays."""

import dataclasses
from typing import Any

import evidence_made as made
import numpy as np
import pytest
import yaml
from scipy.stats import t as student

from assay.evaluation.diagnosis import causes, diagnose, probe, recipes
from assay.evaluation.diagnosis.diagnose import Diagnosis
from assay.evaluation.diagnosis.finding import Finding
from assay.evaluation.diagnosis.probe import AS_IT_IS, Arm
from assay.training import catalogue

CONTENT = yaml.safe_load((made.ROOT / "params.yaml").read_text())
WIDER = Arm(cause="model_too_small", change={"train.filters": [32, 64, 128]})
STRONGER = Arm(cause="augmentation_too_weak", change={"train.augment.preset": "medium"})


def hint(cause: str, *alike: str) -> Diagnosis:
    found = Finding(cause=cause, kind="symptom", certainty="possible", seen="", alike=alike)
    return Diagnosis(findings=(found,), looked_at=())


def test_arms_are_those_of_the_cluster_without_twins() -> None:
    arms = probe.arms(made.sound(), hint("overfitting", "augmentation_too_weak", "model_too_large", "too_few_images"))
    assert arms[0] == AS_IT_IS
    assert [arm.cause for arm in arms[1:]] == ["augmentation_too_weak", "model_too_large", "too_few_images"]
    changes = [str(arm.change) for arm in arms]
    assert len(changes) == len(set(changes))


def overfitted() -> Diagnosis:
    alike = ("augmentation_too_weak", "model_too_large", "too_few_images")
    found = Finding(
        cause="overfitting",
        kind="symptom",
        certainty="possible",
        seen="",
        change={"train.augment.preset": "medium"},
        alike=alike,
    )
    return Diagnosis(findings=(found,), looked_at=())


def test_change_that_a_cause_shares_with_one_that_looks_the_same_is_tried_for_the_latter() -> None:
    """So that what it comes to says nothing of the rest: too few images look the same whatever augmentation gives."""
    arms = probe.arms(made.sound(), overfitted())
    assert [arm.cause for arm in arms[1:]] == ["augmentation_too_weak", "model_too_large", "too_few_images"]
    no_better = probe.outcomes([(arm, [0.8, 0.81]) for arm in arms], n_val=200)
    found = probe.decided(overfitted(), no_better)
    assert [each.cause for each in found.findings] == ["overfitting"]
    assert len(found.refuted) == 3


def test_named_strengths_are_what_weaker_augmentation_leaves_out() -> None:
    """A weaker preset alone would leave them as they are."""
    augment = dataclasses.replace(made.P.train.augment, preset="strong", rotate_deg=180.0)
    arms = probe.arms(made.trained(made.sound(), augment=augment), hint("augmentation_too_strong"))
    light = {"train.augment.preset": "light"}
    assert [arm.change for arm in arms[1:]] == [{"train.augment.rotate_deg": None} | light]
    few = dataclasses.replace(augment, preset="light")
    arms = probe.arms(made.trained(made.sound(), augment=few), hint("augmentation_too_strong"))
    assert [arm.change for arm in arms[1:]] == [{"train.augment.rotate_deg": None}]


def test_every_arm_is_tried_where_nothing_was_found() -> None:
    arms = probe.arms(made.sound(), Diagnosis(findings=(), looked_at=()))
    assert len(arms) > 6
    assert {arm.cause for arm in arms[1:]} <= set(causes.TITLES)


def test_arm_is_the_recipe_with_one_change_and_a_third_of_its_epochs() -> None:
    found = probe.content(CONTENT, STRONGER, 1)
    assert found["seed"] == CONTENT["seed"] + 1
    assert found["train"]["augment"]["preset"] == "medium"
    assert found["train"]["epochs"] == CONTENT["train"]["epochs"] / 3
    assert CONTENT["train"]["augment"]["preset"] == "light"  # the recipe itself is as it was
    longer = probe.content(CONTENT, Arm(cause="too_few_epochs", change={"train.epochs": 90}), 0)
    assert longer["train"]["epochs"] == 30


def test_more_epochs_are_tried_in_whole_and_only_where_the_kernels_have_hardly_moved() -> None:
    """In a third of the epochs three times as many would gain wherever a third is too few."""
    unfit = {"clean": 1.0, "augmented": 1.0, "dropout": 1.0}
    done = made.recorded(made.sound(), regularisation=unfit)
    cluster = hint("too_few_images", "too_few_epochs")
    assert {"too_few_epochs", "rate_too_low"}.isdisjoint(arm.cause for arm in probe.arms(done, cluster))
    early = probe.arms(made.recorded(done, path=0.3), cluster)
    assert [(arm.cause, arm.share) for arm in early] == [("", 1.0), ("too_few_epochs", 1.0), ("too_few_images", 1.0)]
    epochs = [probe.content(CONTENT, arm, 0)["train"]["epochs"] for arm in early]
    assert epochs == [CONTENT["train"]["epochs"], 3 * CONTENT["train"]["epochs"], CONTENT["train"]["epochs"]]


def test_backbone_is_tried_where_images_are_few_and_its_weights_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = hint("overfitting", "model_too_large", "too_few_images")
    assert [arm.cause for arm in probe.arms(made.sound(), cluster)[1:]] == ["model_too_large", "too_few_images"]
    many = made.recorded(made.sound(), n_images={"train": 5 * 500})
    assert [arm.cause for arm in probe.arms(many, cluster)[1:]] == ["model_too_large"]
    monkeypatch.setattr(catalogue, "is_here", lambda name: False)
    assert [arm.cause for arm in probe.arms(made.sound(), cluster)[1:]] == ["model_too_large"]


def test_noise_is_students_t_over_the_spread_of_all_arms() -> None:
    measured = [(AS_IT_IS, [0.80, 0.82]), (WIDER, [0.90, 0.91]), (STRONGER, [0.79, 0.83])]
    best, other = probe.outcomes(measured, n_val=10_000)
    variance = np.mean([np.var(each, ddof=1) for _, each in measured])
    assert best.arm == WIDER
    assert best.gain == pytest.approx(0.095)
    assert best.noise == pytest.approx(student.ppf(0.975, 3) * np.sqrt(variance))
    assert other.gain == pytest.approx(0)


def test_idle_changes_are_called_better_in_no_more_than_one_of_twenty() -> None:
    rng = np.random.default_rng(0)
    arms = [AS_IT_IS, *(Arm(cause=str(n), change={"n": n}) for n in range(8))]
    called = 0
    for _ in range(400):
        found = probe.outcomes([(arm, rng.normal(0.8, 0.02, 2).tolist()) for arm in arms], n_val=10_000)
        called += any(each.gain > each.noise for each in found)
    assert called / 400 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_one_image_is_no_gain_where_seeds_agree() -> None:
    (found,) = probe.outcomes([(AS_IT_IS, [0.98, 0.98]), (WIDER, [0.99, 0.99])], n_val=100)
    assert found.noise == 0.02


def test_one_seed_alone_decides_nothing() -> None:
    (found,) = probe.outcomes([(AS_IT_IS, [0.5]), (WIDER, [0.9])], n_val=100)
    assert not found.gain > found.noise


def test_what_gained_is_likely_and_what_did_not_is_gone() -> None:
    leak = Finding(cause="leakage", kind="contract", certainty="certain", seen="")
    before = hint("overfitting", "augmentation_too_weak", "model_too_large")
    before = dataclasses.replace(before, findings=(leak, *before.findings))
    overfitting = Arm(cause="overfitting", change={"train.weight_decay": 0.01})
    measured = [(AS_IT_IS, [0.80, 0.81]), (STRONGER, [0.90, 0.91]), (overfitting, [0.80, 0.81])]
    short = probe.outcomes(measured, n_val=200)
    arms = probe.whole(short)
    found = probe.decided(before, short + probe.outcomes([(arms[0], [0.80, 0.81]), (arms[1], [0.90, 0.91])], 200))
    assert [(each.cause, each.certainty) for each in found.findings] == [
        ("leakage", "certain"),
        ("augmentation_too_weak", "likely"),
    ]
    assert found.findings[1].change == STRONGER.change
    said = diagnose.lines(found)
    assert any("+10.0 points on val" in line for line in said)
    assert said[-1].startswith("tried, and no better: train.weight_decay: 0.01 (+0.0 points on val")


def test_gain_of_a_short_training_is_not_believed_before_it_is_one_in_whole() -> None:
    """Less augmentation gains in any short training, for it costs only what it would have prevented later."""
    before = hint("model_too_small", "augmentation_too_strong")
    weaker = Arm(cause="augmentation_too_strong", change={"train.augment.preset": "none"})
    short = probe.outcomes([(AS_IT_IS, [0.60, 0.61]), (weaker, [0.70, 0.71])], n_val=200)
    assert probe.decided(before, short) == before
    arms = probe.whole(short)
    assert [(arm.change, arm.share) for arm in arms] == [({}, 1.0), (weaker.change, 1.0)]
    spread = [each.accuracies for each in short]
    no_better = probe.outcomes([(arms[0], [0.72, 0.73]), (arms[1], [0.70, 0.71])], 200, spread)
    found = probe.decided(before, short + no_better)
    assert [each.cause for each in found.findings] == ["model_too_small"]
    assert found.refuted[0].startswith("train.augment.preset: none (-2.0 points on val")
    assert probe.whole(no_better) == []


def test_spread_of_seeds_is_that_of_short_trainings_too() -> None:
    measured = [(AS_IT_IS, [0.80, 0.80]), (WIDER, [0.90, 0.90])]
    (found,) = probe.outcomes(measured, 10_000, [[0.5, 0.6], [0.5, 0.6]])
    assert found.noise == pytest.approx(student.ppf(0.95, 4) * np.sqrt(0.005 / 2))


def test_one_seed_refutes_nothing() -> None:
    before = hint("augmentation_too_weak")
    found = probe.decided(before, probe.outcomes([(AS_IT_IS, [0.8, 0.81]), (STRONGER, [0.7])], n_val=200))
    assert found == before


def test_nothing_that_was_not_tried_is_lost() -> None:
    before = hint("label_noise")
    assert probe.decided(before, []) == before


@pytest.mark.parametrize(("gain", "change"), [(0.0, {}), (0.3, recipes.backbone(made.P.train))])
def test_few_images_stay_few_where_a_backbone_gives_nothing(gain: float, change: dict[str, Any]) -> None:
    found = hint("too_few_images", "too_few_epochs")
    unfit = {"clean": 1.0, "augmented": 1.0, "dropout": 1.0}
    few = made.recorded(made.sound(), regularisation=unfit, path=0.3)
    more = {"": 0.5, "too_few_epochs": 0.5, "too_few_images": 0.5 + gain}
    measured = [(arm, [more[arm.cause], more[arm.cause] + 0.001]) for arm in probe.arms(few, found)]
    (first,) = probe.decided(found, probe.outcomes(measured, n_val=200)).findings
    assert (first.cause, dict(first.change)) == ("too_few_images", change)
