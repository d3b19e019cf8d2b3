import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from assay.training import guards
from assay.training.guards import Signs, Symptoms

GUESSING = math.log(10)
NOTHING = Signs(cross_entropy=GUESSING * 1.01, val_loss=GUESSING * 1.2, above_chance=1.0)
WELL = Symptoms(grown=1.2, dead={"rectify": 0.1}, vanishing=0.5, n_predicted=10)


def test_the_loss_of_guessing_is_the_entropy_of_the_classes() -> None:
    labels = np.repeat([0, 1, 2], [10, 30, 60])
    assert guards.guessing(labels, 3) == pytest.approx(entropy([0.1, 0.3, 0.6]))
    assert guards.guessing(labels, 4) == pytest.approx(entropy([0.1, 0.3, 0.6]))
    shown = np.repeat([6.0, 2, 1], [10, 30, 60])
    assert guards.guessing(labels, 3, shown) == pytest.approx(math.log(3))
    marks = np.array([[1, 0], [0, 0], [0, 0], [0, 1]])
    assert guards.guessing(marks, 2) == pytest.approx(entropy([0.25, 0.75]))


def test_what_never_looks_at_the_images_is_not_above_chance() -> None:
    labels = np.repeat([0, 1], [950, 50])
    always_common = labels == 0  # accuracy 0.95, and nothing was learnt
    assert guards.above_chance(labels, always_common) == pytest.approx(0)
    random = np.random.default_rng(0)
    found = [guards.above_chance(labels, random.random(1000) < 0.5) for _ in range(500)]
    assert abs(np.mean(found)) < 0.2
    assert np.std(found) == pytest.approx(1, abs=0.1)  # it is in standard errors


def test_decisions_of_many_classes_are_held_against_a_coin() -> None:
    random = np.random.default_rng(0)
    marks = (random.random((1000, 3)) < [0.5, 0.1, 0.02]).astype(int)
    never = marks == 0
    assert guards.above_chance(marks, never) == pytest.approx(0)
    noisy = random.random(marks.shape) < 0.6
    assert guards.above_chance(marks, noisy) > guards.SURE
    assert guards.above_chance(marks[:, :1] * 0, never[:, :1]) == 0  # one class alone has no chance


def test_a_little_skill_on_many_images_is_above_chance() -> None:
    labels = np.repeat(np.arange(10), 200)
    right = np.random.default_rng(0).random(2000) < 0.15  # chance is 0.1
    assert guards.above_chance(labels, right) > guards.SURE


@pytest.mark.parametrize(
    "sign",
    [
        Signs(cross_entropy=GUESSING * 0.98, val_loss=99, above_chance=0),
        Signs(cross_entropy=99, val_loss=GUESSING * 0.98, above_chance=0),
        Signs(cross_entropy=99, val_loss=99, above_chance=4),
    ],
)
def test_one_sign_in_one_epoch_is_enough_to_go_on(sign: Signs) -> None:
    assert guards.learnt_nothing([NOTHING] * 6, guessing=GUESSING)
    assert not guards.learnt_nothing([NOTHING, sign, *[NOTHING] * 4], guessing=GUESSING)


def test_what_was_learnt_may_be_lost_for_a_few_epochs() -> None:
    once = Signs(cross_entropy=1.0, val_loss=1.0, above_chance=40)
    signs = [once, *[NOTHING] * 3]
    assert guards.learnt_nothing(guards.recent(signs, epochs=30), guessing=GUESSING)
    assert not guards.learnt_nothing(guards.recent(signs[:-1], epochs=30), guessing=GUESSING)
    assert not guards.learnt_nothing(guards.recent(signs, epochs=100), guessing=GUESSING)  # ten epochs are looked at


def test_nothing_is_said_before_a_run_could_have_learnt() -> None:
    assert guards.soonest(epochs=30, steps=45, warmup_share=0) == 7  # 300 steps
    assert guards.soonest(epochs=100, steps=1000, warmup_share=0.1) == 28
    assert guards.soonest(epochs=5, steps=10_000, warmup_share=0) == 3


@given(st.integers(1, 200), st.integers(1, 2000), st.sampled_from([0.0, 0.1, 0.5]))
def test_the_warm_up_is_over_before_a_run_is_stopped(epochs: int, steps: int, warmup_share: float) -> None:
    found = guards.soonest(epochs=epochs, steps=steps, warmup_share=warmup_share)
    assert found > warmup_share * epochs
    assert found * steps >= guards.SOONEST_STEPS


@pytest.mark.parametrize(
    ("symptoms", "said"),
    [
        (Symptoms(grown=12, dead={}, vanishing=1, n_predicted=1), r"grown 12-fold.*0\.2 is far too high.*try 0\.02"),
        (Symptoms(grown=math.nan, dead={}, vanishing=1, n_predicted=1), "far too high"),
        (Symptoms(grown=1, dead={"a": 0.2, "b": 0.95}, vanishing=1, n_predicted=1), "95% of the channels of layer b"),
        (Symptoms(grown=1, dead={"a": 0.2}, vanishing=1e-5, n_predicted=3), "gradients vanish: .* 1e-05"),
        (Symptoms(grown=1, dead={"a": 0.2}, vanishing=0.1, n_predicted=1), "every image is taken for the same class"),
        (WELL, "look whether the labels belong to the images, then try less augmentation"),
    ],
)  # fmt: skip
def test_the_likeliest_reason_is_said_with_what_to_try(symptoms: Symptoms, said: str) -> None:
    text = guards.reason(symptoms, n_classes=10, learning_rate=0.2)
    assert "params.yaml: train." in text
    assert re.search(said, text)
