import numpy as np
import pytest
from graphs import kinds_of
from learners import IMAGES, LABELS, ROWS, learner_of, small
from scipy.special import log_softmax
from tensorflow.python.eager import context

from assay.labels import Task
from assay.training import optimizers, steps, tensors
from assay.training.tensors import keras, tf

tensors.set_up(threads=2)  # here, because it must come before the first operation of any test


def step(learner: steps.Learner) -> dict[str, float]:
    data = tuple(tf.constant(part) for part in (IMAGES, LABELS, ROWS))
    return {name: float(value) for name, value in learner.train_step(data).items()}


def test_a_step_goes_down_the_gradient_of_the_loss_and_the_network_has_the_weights() -> None:
    network = small()
    learner = learner_of(network)
    with tf.GradientTape() as tape:
        loss = keras.losses.SparseCategoricalCrossentropy()(LABELS, network(IMAGES))
    gradients = tape.gradient(loss, network.trainable_weights)
    wanted = [weight - 0.5 * gradient for weight, gradient in zip(network.trainable_weights, gradients, strict=True)]
    step(learner)
    for weight, value in zip(network.trainable_weights, wanted, strict=True):
        np.testing.assert_allclose(weight, value, atol=1e-6)


def test_what_is_measured_is_that_of_the_weights_before_the_step() -> None:
    network = small()
    learner = learner_of(network)
    logits = np.asarray(learner(IMAGES))
    kernels = [np.array(kernel) for kernel in steps.kernels_of(learner)]
    found = step(learner)
    chosen = -log_softmax(logits.astype(float), axis=1)[np.arange(6), LABELS]
    assert found["loss"] == pytest.approx(chosen.mean(), rel=1e-5)
    assert found["cross_entropy"] == pytest.approx(chosen.mean(), rel=1e-5)
    assert found["accuracy"] == pytest.approx((logits.argmax(axis=1) == LABELS).mean())
    changes = [
        np.log(np.linalg.norm(np.array(now) - old) / np.linalg.norm(old))
        for old, now in zip(kernels, steps.kernels_of(learner), strict=True)
    ]
    assert len(changes) == 2
    assert found["update"] == pytest.approx(np.mean(changes), rel=1e-4)


def test_margins_stand_in_the_rows_of_their_images_until_they_are_taken() -> None:
    learner = learner_of(small())
    assert learner.margins
    logits = np.asarray(learner(IMAGES))
    step(learner)
    found = learner.margins.taken()
    assert np.isnan(found[[1, 6, 8]]).all()
    for row, label, image in zip(logits, LABELS, ROWS, strict=True):
        assert found[image] == pytest.approx(row[label] - np.delete(row, label).max(), rel=1e-4)
    assert np.isnan(learner.margins.taken()).all()


def test_the_margin_of_an_image_that_is_shown_twice_is_the_mean() -> None:
    margins = steps.Margins(2)
    margins.see(tf.constant([1, 1]), tf.constant([1.0, 4.0]))
    found = margins.taken()
    assert np.isnan(found[0])
    assert found[1] == 2.5


def test_sizes_and_losses_of_layers_are_part_of_what_is_made_small() -> None:
    network = small()
    plain = step(learner_of(network))["loss"]
    kernels = [np.array(kernel) for kernel in steps.kernels_of(small())]
    assert step(learner_of(small(), l2=0.5))["loss"] == pytest.approx(
        plain + 0.5 * sum((k**2).sum() for k in kernels), rel=1e-5
    )


@pytest.mark.parametrize("task", ["single_label", "multi_label"])
def test_fit_of_keras_runs_the_step(task: Task) -> None:
    learner = learner_of(small(task), task)
    labels = LABELS if task == "single_label" else np.eye(3, dtype=np.int64)[LABELS]
    data = tf.data.Dataset.from_tensor_slices((IMAGES, labels, ROWS)).batch(4).repeat(30)
    history = learner.fit(data, epochs=30, steps_per_epoch=2, shuffle=False, verbose=0).history
    assert set(history) == {"loss", "cross_entropy", "accuracy", "update"}
    assert all(np.isfinite(values).all() for values in history.values())
    assert history["loss"][29] < history["loss"][0]


@pytest.mark.slow
def test_oversight_of_the_step_changes_no_weight() -> None:
    """A plain Keras model of the same network ends in the same bits."""
    plain = small(dropout=0.5)
    plain_learner = keras.Model(plain.input, plain.get_layer("logits").output)
    plain_learner.compile(keras.optimizers.AdamW(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    learner = learner_of(small(dropout=0.5))
    learner.compile(keras.optimizers.AdamW(0.01))
    data = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS, ROWS)).batch(4).repeat(3)
    learner.fit(data, epochs=3, steps_per_epoch=2, shuffle=False, verbose=0)
    pairs = data.map(lambda images, labels, rows: (images, labels))
    plain_learner.fit(pairs, epochs=3, steps_per_epoch=2, shuffle=False, verbose=0)
    for one, other in zip(learner.trainable_weights, plain_learner.trainable_weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_no_approximation_is_left_in_the_graph_of_a_step(name: optimizers.Name) -> None:
    """What `rsqrtps` and `rcpps` approximate differs between Intel and AMD; clipping divides by a root."""
    learner = learner_of(small(dropout=0.5), l2=0.001)
    learner.name = "watched"
    learner.compile(optimizers.build(name, 0.1, weight_decay=0.01, momentum=0.9, clip_norm=1.0))
    data = tf.data.Dataset.from_tensors((IMAGES, LABELS, ROWS)).repeat()
    context.context().enable_run_metadata()
    learner.fit(data, steps_per_epoch=1, shuffle=False, verbose=0)
    graphs = context.context().export_run_metadata().function_graphs
    context.context().disable_run_metadata()
    kinds = kinds_of(graphs, "watched")
    assert "Sqrt" in kinds
    assert not kinds & {"Rsqrt", "RsqrtGrad", "Reciprocal", "ReciprocalGrad", "Inv", "InvGrad"}
