import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax

from assay.labels import Task
from assay.training import losses, measure, tensors
from assay.training.tensors import keras, tf

tensors.set_up(threads=2)  # here, because it must come before the first operation of any test
RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(0, 2, (40, 3)).astype(np.float32)
LABELS = RANDOM.integers(0, 3, 40)
MARKS = RANDOM.integers(0, 2, (40, 3))


def loss_of(task: Task, **changes: object) -> np.ndarray:
    plain = {"method": "none", "weights": None, "smoothing": 0.0}
    labels = LABELS if task == "single_label" else MARKS
    return np.asarray(losses.build(task, **plain | changes)(tf.constant(labels), tf.constant(LOGITS)))


def test_plain_losses_are_those_of_scikit_learn() -> None:
    assert loss_of("single_label").mean() == pytest.approx(sklearn.metrics.log_loss(LABELS, softmax(LOGITS, axis=1)))
    by_class = [sklearn.metrics.log_loss(MARKS[:, k], expit(LOGITS[:, k])) for k in range(3)]
    np.testing.assert_allclose(loss_of("multi_label").mean(axis=0), by_class, rtol=1e-5)


def test_smoothed_losses_are_those_of_keras() -> None:
    one = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1, reduction=None)
    np.testing.assert_allclose(loss_of("single_label", smoothing=0.1), one(np.eye(3)[LABELS], LOGITS), rtol=1e-5)
    several = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1, reduction=None)
    np.testing.assert_allclose(loss_of("multi_label", smoothing=0.1).mean(axis=1), several(MARKS, LOGITS), rtol=1e-5)


def test_focal_losses_are_those_of_keras() -> None:
    one = keras.losses.CategoricalFocalCrossentropy(from_logits=True, alpha=1.0, gamma=2.0, reduction=None)
    np.testing.assert_allclose(loss_of("single_label", method="focal"), one(np.eye(3)[LABELS], LOGITS), rtol=1e-4)
    several = keras.losses.BinaryFocalCrossentropy(from_logits=True, gamma=2.0, reduction=None)
    found = loss_of("multi_label", method="focal").mean(axis=1)
    np.testing.assert_allclose(found, several(MARKS.astype(np.float32), LOGITS), rtol=1e-4)


def test_weights_are_those_of_the_class_or_of_the_decision() -> None:
    weights = np.array([0.5, 1, 2])
    np.testing.assert_allclose(loss_of("single_label", weights=weights), loss_of("single_label") * weights[LABELS])
    each = np.array([[0.5, 1, 2], [3, 4, 5]])
    weighing = np.where(MARKS > 0, each[1], each[0])
    np.testing.assert_allclose(loss_of("multi_label", weights=each), loss_of("multi_label") * weighing)


def test_adjusted_losses_are_those_of_logits_to_which_the_offsets_were_added() -> None:
    offsets = np.log([0.7, 0.2, 0.1])
    expected = sklearn.metrics.log_loss(LABELS, softmax(LOGITS + offsets, axis=1))
    assert loss_of("single_label", offsets=offsets).mean() == pytest.approx(expected)
    by_class = [sklearn.metrics.log_loss(MARKS[:, k], expit(LOGITS[:, k] + offsets[k])) for k in range(3)]
    np.testing.assert_allclose(loss_of("multi_label", offsets=offsets).mean(axis=0), by_class, rtol=1e-5)


def test_right_is_what_scikit_learn_counts() -> None:
    one = losses.right(tf.constant(LABELS), tf.constant(LOGITS), task="single_label")
    assert float(tf.reduce_mean(one)) == pytest.approx(sklearn.metrics.accuracy_score(LABELS, LOGITS.argmax(axis=1)))
    all_right = losses.right(tf.constant(MARKS), tf.constant(LOGITS), task="multi_label")
    assert float(tf.reduce_mean(all_right)) == pytest.approx(sklearn.metrics.accuracy_score(MARKS, LOGITS >= 0))


def test_the_margin_is_the_logit_of_the_label_minus_the_largest_other() -> None:
    found = losses.margins(tf.constant(LABELS), tf.constant(LOGITS), task="single_label")
    by_hand = [row[label] - max(np.delete(row, label)) for row, label in zip(LOGITS, LABELS, strict=True)]
    np.testing.assert_allclose(found, by_hand, rtol=1e-6)
    several = losses.margins(tf.constant(MARKS), tf.constant(LOGITS), task="multi_label")
    np.testing.assert_allclose(several, ((2 * MARKS - 1) * LOGITS).min(axis=1), rtol=1e-6)


def test_sizes_cost_the_sum_of_kernels_or_of_their_squares() -> None:
    kernels = [tf.Variable([[1.0, -2.0]]), tf.Variable([[3.0]])]
    assert float(losses.of_sizes(kernels, l1=0.1, l2=0)) == pytest.approx(0.6)
    assert float(losses.of_sizes(kernels, l1=0, l2=0.01)) == pytest.approx(0.14)
    assert float(losses.of_sizes(kernels, l1=0, l2=0)) == 0


@pytest.mark.parametrize("task", ["single_label", "multi_label"])
def test_what_is_measured_is_the_plain_loss_and_the_share_that_is_right(task: Task) -> None:
    labels = LABELS if task == "single_label" else MARKS
    found = measure.measured(labels, LOGITS, task)
    assert found.loss == pytest.approx(loss_of(task).mean(), rel=1e-5)
    right = losses.right(tf.constant(labels), tf.constant(LOGITS), task=task)
    assert found.accuracy == pytest.approx(float(tf.reduce_mean(right)))


@given(st.lists(st.floats(-1e4, 1e4, width=16), min_size=2, max_size=6), st.data())  # TensorFlow takes 1e-38 for 0
def test_the_margin_is_positive_just_where_the_image_is_right(logits: list[float], data: st.DataObject) -> None:
    label = data.draw(st.integers(0, len(logits) - 1))
    margin = float(losses.margins(tf.constant([label]), tf.constant([logits]), task="single_label")[0])
    others = max(value for number, value in enumerate(logits) if number != label)
    assert (margin > 0) == (logits[label] > others)
    assert np.isfinite(measure.losses(np.array([label]), np.array([logits], np.float32), "single_label")).all()
