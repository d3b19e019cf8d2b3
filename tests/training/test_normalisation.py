from pathlib import Path

import numpy as np
import pytest
from graphs import kinds_of
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.python.eager import context

from assay.training.normalisation import BatchNormalization
from assay.training.tensors import keras, set_up, tf

set_up(threads=2)  # here, because it must come before the first operation of any test

APPROXIMATE = {"Rsqrt", "RsqrtGrad", "Reciprocal", "ReciprocalGrad", "Inv", "InvGrad"}


def layers(shape: tuple[int, ...], **options: object) -> tuple[keras.Layer, keras.Layer]:
    """Our layer and Keras', with the same weights."""
    rng = np.random.default_rng(5)
    ours, theirs = BatchNormalization(**options), keras.layers.BatchNormalization(**options)
    for layer in (ours, theirs):
        layer.build(shape)
    theirs.set_weights([rng.uniform(0.5, 2, weight.shape) for weight in theirs.get_weights()])
    ours.set_weights(theirs.get_weights())
    return ours, theirs


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([(7, 3), (2, 5, 3), (4, 3, 5, 3), (1, 1, 1, 3)]),
    st.booleans(),
    st.booleans(),
    st.floats(0, 50),
    st.integers(0, 99),
)
def test_it_is_keras_layer_to_rounding(
    shape: tuple[int, ...], scale: bool, center: bool, offset: float, seed: int
) -> None:
    ours, theirs = layers(shape, scale=scale, center=center, momentum=0.9)
    x = np.random.default_rng(seed).normal(offset, 2, shape).astype(np.float32)
    for training in (True, False):
        close = {"rtol": 2e-4, "atol": 2e-3}
        np.testing.assert_allclose(ours(x, training=training), theirs(x, training=training), **close)
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-4, atol=1e-4)


def test_gradients_are_those_of_keras() -> None:
    ours, theirs = layers((4, 3, 5, 3))
    x = tf.constant(np.random.default_rng(1).normal(0, 1, (4, 3, 5, 3)).astype(np.float32))
    weights = tf.constant(np.random.default_rng(2).normal(0, 1, (4, 3, 5, 3)).astype(np.float32))
    found = []
    for layer in (ours, theirs):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x, training=True) * weights)
        found.append(tape.gradient(loss, [x, *[weight.value for weight in layer.trainable_weights]]))
    for mine, other in zip(*found, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-4)


def test_a_frozen_layer_keeps_its_statistics_and_answers_with_them() -> None:
    ours, _ = layers((4, 3, 5, 3))
    ours.trainable = False
    before = ours.get_weights()
    x = np.random.default_rng(1).normal(9, 1, (4, 3, 5, 3)).astype(np.float32)
    np.testing.assert_array_equal(ours(x, training=True), ours(x, training=False))
    for old, new in zip(before, ours.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_half_precision_comes_out_as_it_went_in() -> None:
    layer = BatchNormalization(dtype="mixed_float16")
    y = layer(np.random.default_rng(1).normal(0, 1, (4, 2, 2, 3)).astype(np.float16), training=True)
    assert y.dtype == tf.float16
    assert layer.moving_mean.dtype == "float32"


def test_what_it_cannot_do_is_said() -> None:
    for options in ({"axis": 1}, {"synchronized": True}, {"renorm": True}):
        with pytest.raises(ValueError, match="only the last axis"):
            BatchNormalization(**options).build((2, 4, 4, 3))


def test_roots_and_quotients_are_exact_where_keras_approximates_them() -> None:
    variance = np.random.default_rng(0).uniform(0.01, 10, 4096).astype(np.float32)
    exact = np.float32(1) / np.sqrt(variance + np.float32(1e-3))
    shares = []
    for kind in (BatchNormalization, keras.layers.BatchNormalization):
        layer = kind(epsilon=1e-3)
        layer.build((1, 4096))
        ones, zeros = np.ones_like(variance), np.zeros_like(variance)
        layer.set_weights([ones, zeros, zeros, variance])
        answer = tf.function(
            lambda x, layer=layer: layer(x, training=False)
        )  # a graph is optimised, and may approximate
        shares.append(np.mean(answer(tf.ones([1, 4096])).numpy() == exact))
    assert shares[0] == 1
    assert shares[1] < 1


@pytest.mark.slow
def test_no_approximation_is_left_in_the_graphs_of_training_and_prediction() -> None:
    pixels = keras.Input((8, 8, 1))
    x = BatchNormalization()(keras.layers.Conv2D(4, 3, use_bias=False)(pixels))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))
    model = keras.Model(
        pixels, keras.layers.Dense(2, activation="softmax")(keras.layers.Dropout(0.5)(x)), name="watched"
    )
    model.compile(keras.optimizers.AdamW(1e-3, clipnorm=1.0), loss="sparse_categorical_crossentropy")
    images, labels = np.zeros((4, 8, 8, 1), np.float32), np.array([0, 1, 0, 1])
    context.context().enable_run_metadata()
    model.train_on_batch(images, labels)
    model.predict_on_batch(images)
    graphs = context.context().export_run_metadata().function_graphs
    context.context().disable_run_metadata()
    kinds = kinds_of(graphs, "watched")
    assert any("FusedBatchNorm" in kind for kind in kinds)
    assert not kinds & APPROXIMATE


def test_it_is_read_back_by_its_fixed_name(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4, 4, 3)), BatchNormalization(name="normalize")])
    model.save(tmp_path / "m.keras")
    layer = keras.saving.load_model(tmp_path / "m.keras").get_layer("normalize")
    assert type(layer) is BatchNormalization
    assert keras.saving.get_registered_name(BatchNormalization) == "assay>BatchNormalization"
