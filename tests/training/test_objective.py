import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from assay.labels import Task
from assay.training import imbalance
from assay.training.objective import Objective

TRAIN = np.repeat([0, 1], [130, 10])
MARKS = np.array([[1, 0]] * 16 + [[0, 1]] * 4)


def aim(method: imbalance.Imbalance, *, task: Task = "single_label", train: np.ndarray = TRAIN) -> Objective:
    return Objective(task=task, method=method, train=train, n_classes=2)


def unsure(labels: np.ndarray) -> np.ndarray:
    """Return logits that are right and less sure of it than they might be."""
    noise = np.random.default_rng(0).normal(scale=0.1, size=(len(labels), 2))
    return np.float32(0.5 * (labels[:, None] == [0, 1]) + noise)


def probabilities(logits: np.ndarray) -> np.ndarray:
    found = np.exp(logits.astype(np.float64))
    return np.asarray(found / found.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("method", ["balanced", "oversample", "undersample"])
def test_all_classes_count_the_same_however_few_images_some_have(method: imbalance.Imbalance) -> None:
    val = np.repeat([0, 1], [26, 2])
    logits = unsure(val)
    of_class = [log_loss(val[val == name], probabilities(logits)[val == name], labels=[0, 1]) for name in (0, 1)]
    assert aim(method).of(val, logits) == pytest.approx(np.mean(of_class), rel=1e-5)


def test_nothing_done_is_the_plain_loss() -> None:
    val = np.repeat([0, 1], [26, 2])
    logits = unsure(val)
    assert aim("none").of(val, logits) == pytest.approx(log_loss(val, probabilities(logits)), rel=1e-5)


def test_of_answers_that_take_all_images_for_the_common_class_others_are_better() -> None:
    """By the plain loss they are the best of the two: that epoch was kept, and the model found no rare image."""
    val = np.repeat([0, 1], [26, 2])
    common = np.tile(np.float32([2.5, 0]), (28, 1))
    learnt = np.where((val == 1)[:, None], np.float32([0, 1]), np.float32([0.5, 0]))
    assert aim("none").of(val, common) < aim("none").of(val, learnt)
    for method in ("balanced", "oversample", "undersample", "logit_adjustment"):
        assert aim(method).of(val, learnt) < aim(method).of(val, common)


def test_answers_that_are_right_and_too_sure_are_better_than_none() -> None:
    """By the plain loss the epoch before anything was learnt is the best: ln 2, and more for four right of five."""
    val = np.array([0, 1] * 50)
    sure = np.where(np.arange(100) < 80, 1.0, -1.0)[:, None] * np.where(val[:, None] == [0, 1], 20.0, 0.0)
    found = aim("none").of(val, np.float32(sure))
    assert log_loss(val, probabilities(sure)) > np.log(2)
    assert found == pytest.approx(-(0.8 * np.log(0.8) + 0.2 * np.log(0.2)), rel=1e-4)  # said as often as it is right
    assert aim("none").of(val, np.zeros((100, 2), np.float32)) == pytest.approx(np.log(2))


def test_answers_are_made_no_surer() -> None:
    val = np.array([0, 1] * 50)
    logits = np.float32(np.where(val[:, None] == [0, 1], 0.1, 0.0))
    assert aim("none").of(val, logits) == pytest.approx(log_loss(val, probabilities(logits)), rel=1e-5)


def test_adjusted_logits_that_say_nothing_cost_what_guessing_by_the_shares_costs() -> None:
    shares = np.array([130, 10]) / 140
    found = aim("logit_adjustment").of(TRAIN, np.zeros((140, 2), np.float32))
    assert found == pytest.approx(-np.sum(shares * np.log(shares)), rel=1e-5)


def test_each_label_of_several_counts_on_its_own() -> None:
    val = MARKS[[0, 1, 2, 3, 16]]
    found = aim("balanced", task="multi_label", train=MARKS).weights(val)
    # By scikit-learn's rule: 20 / (2 * 16) of the commoner decision, 20 / (2 * 4) of the rarer, in both labels.
    np.testing.assert_allclose(found, [[0.625, 0.625]] * 4 + [[2.5, 2.5]])
    over = aim("oversample", task="multi_label", train=MARKS).weights(val)
    np.testing.assert_allclose(over, [[1, 1]] * 4 + [[2, 2]])  # the root of 16 / 4


def test_few_images_of_a_rare_class_tell_as_much_as_few_of_all() -> None:
    val = np.repeat([0, 1], [97, 3])
    found = aim("balanced", train=val).n_alike(val)
    assert found == pytest.approx(4 / (1 / 97 + 1 / 3))  # 11.6 of 100
    assert aim("none").n_alike(val) == aim("logit_adjustment").n_alike(val) == 100


@given(st.lists(st.integers(0, 1), min_size=1, max_size=50), st.sampled_from(imbalance.METHODS))
def test_images_tell_no_more_than_they_are_and_the_loss_is_a_number(
    labels: list[int], method: imbalance.Imbalance
) -> None:
    val = np.array(labels)
    assert 1 - 1e-9 <= aim(method).n_alike(val) <= len(val) + 1e-9
    assert aim(method).of(val, unsure(val)) >= 0
