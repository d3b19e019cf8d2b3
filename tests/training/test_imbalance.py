import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from assay.training import imbalance

COUNTS = (10, 30, 60)
LABELS = np.repeat(np.arange(3), COUNTS)
MARKS = np.array([[1, 0, 1]] * 3 + [[0, 1, 1]] * 4 + [[0, 0, 1]] * 5)


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    np.testing.assert_allclose(imbalance.weights(LABELS, 3, "balanced"), expected)


def test_balanced_decisions_weigh_as_scikit_learn_says() -> None:
    found = imbalance.weights(MARKS, 3, "balanced")
    assert found is not None
    for of_class, weights in zip(MARKS[:, :2].T, found.T, strict=False):
        expected = compute_class_weight("balanced", classes=np.array([0, 1]), y=of_class)
        np.testing.assert_allclose(weights, expected)
    assert np.isfinite(found).all()


def test_effective_numbers_lie_between_none_and_balanced() -> None:
    labels = np.repeat(np.arange(3), (10, 1000, 10_000))
    found, balanced = (imbalance.weights(labels, 3, name) for name in ("effective_number", "balanced"))
    assert found is not None
    assert balanced is not None
    # By hand: (1 - .999^10) / .001 = 9.955, (1 - .999^1000) / .001 = 632.3, (1 - .999^10000) / .001 = 999.95
    np.testing.assert_allclose(found / found[2], [999.95 / 9.955, 999.95 / 632.3, 1], rtol=1e-3)
    assert 1 < found[0] / found[2] < balanced[0] / balanced[2]


@pytest.mark.parametrize("method", ["balanced", "effective_number"])
def test_the_mean_weight_of_the_images_is_one(method: imbalance.Imbalance) -> None:
    found = imbalance.weights(LABELS, 3, method)
    assert found is not None
    assert found[LABELS].mean() == pytest.approx(1)
    of_decisions = imbalance.weights(MARKS[:, :2], 2, method)
    assert of_decisions is not None
    np.testing.assert_allclose(np.where(MARKS[:, :2] > 0, of_decisions[1], of_decisions[0]).mean(axis=0), 1)


@pytest.mark.parametrize("method", ["none", "logit_adjustment", "oversample", "undersample", "focal"])
def test_the_others_weigh_all_the_same(method: imbalance.Imbalance) -> None:
    assert imbalance.weights(LABELS, 3, method) is None


@pytest.mark.parametrize(("method", "each"), [("oversample", 60), ("undersample", 10)])
def test_every_class_is_shown_as_often_as_the_commonest_or_the_rarest(method: imbalance.Imbalance, each: int) -> None:
    rates = imbalance.rates(LABELS, 3, method)
    np.testing.assert_allclose(np.bincount(LABELS, weights=rates), each)


@pytest.mark.parametrize("method", ["none", "balanced", "effective_number", "logit_adjustment", "focal"])
def test_the_others_show_each_image_once(method: imbalance.Imbalance) -> None:
    assert (imbalance.rates(LABELS, 3, method) == 1).all()


def test_an_image_of_many_classes_is_shown_as_often_as_its_rarest_asks_for() -> None:
    marks = np.array([[1, 0]] * 16 + [[1, 1]] * 4 + [[0, 0]])
    over, under = (imbalance.rates(marks, 2, name) for name in ("oversample", "undersample"))
    np.testing.assert_allclose(over, np.sqrt([20 / 20] * 16 + [20 / 4] * 4 + [20 / 1]))
    np.testing.assert_allclose(under, np.sqrt([1 / 20] * 16 + [1 / 4] * 4 + [1]))


def test_logits_are_adjusted_by_how_common_each_class_is() -> None:
    found = imbalance.offsets(LABELS, 3, "logit_adjustment")
    assert found is not None
    np.testing.assert_allclose(np.exp(found), [0.1, 0.3, 0.6])
    of_decisions = imbalance.offsets(MARKS[:, :2], 2, "logit_adjustment")
    assert of_decisions is not None
    np.testing.assert_allclose(np.exp(of_decisions), [3 / 9, 4 / 8])  # the odds of each label
    assert imbalance.offsets(LABELS, 3, "balanced") is None


def test_images_of_val_are_shown_as_often_as_those_of_train() -> None:
    found = imbalance.rates(np.array([0, 2]), 3, "oversample", train=LABELS)
    np.testing.assert_allclose(found, [60 / 10, 1])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.booleans())
def test_rates_and_weights_are_positive_numbers(labels: list[int], several: bool) -> None:
    found = np.array(labels)
    known = np.eye(5, dtype=np.int64)[found][:, :4] if several else found
    for method in ("oversample", "undersample", "balanced", "effective_number"):
        rates, weights = (each(known, known.shape[1] if several else 5, method) for each in (
            imbalance.rates, imbalance.weights))  # fmt: skip
        assert rates is not None
        assert (rates > 0).all()
        assert weights is None or (np.isfinite(weights).all() and (weights > 0).all())
