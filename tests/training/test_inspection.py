import numpy as np
import pytest
from learners import IMAGES, LABELS, learner_of, small

from assay.training import inspection
from assay.training.tensors import keras, tf


def test_channels_that_are_never_above_zero_are_dead() -> None:
    network = small()
    kernel, bias = network.get_layer("convolve").get_weights()
    network.get_layer("convolve").set_weights([kernel * 0, np.array([-1, 2, -3, 4], np.float32)])
    found = inspection.activations(network, [IMAGES[:4], IMAGES[4:]])
    assert found == {"convolve": {"dead": 0.5, "constant": 1.0, "largest": 4.0}}
    network.get_layer("convolve").set_weights([kernel, bias + 5])
    assert inspection.activations(network, [IMAGES])["convolve"]["dead"] == 0
    assert inspection.activations(network, [IMAGES])["convolve"]["constant"] == 0


def test_gradients_do_not_depend_on_how_the_images_are_batched() -> None:
    learner = learner_of(small())
    pairs = (tf.constant(IMAGES), tf.constant(LABELS))
    whole = inspection.gradients(learner, [pairs], "single_label")
    parts = inspection.gradients(
        learner, [tuple(each[:2] for each in pairs), tuple(each[2:] for each in pairs)], "single_label"
    )
    assert list(whole) == ["convolve/kernel", "logits/kernel"]
    assert parts == pytest.approx(whole, rel=1e-4)
    with tf.GradientTape() as tape:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(LABELS, learner(IMAGES))
    kernel = learner.get_layer("logits").kernel
    by_hand = np.linalg.norm(tape.gradient(loss, [kernel])[0]) / np.linalg.norm(kernel)
    assert whole["logits/kernel"] == pytest.approx(by_hand, rel=1e-4)


def test_sizes_are_root_mean_squares_of_what_learns() -> None:
    network = small()
    network.get_layer("convolve").trainable = False
    kernel = np.array(network.get_layer("logits").kernel)
    assert inspection.sizes(learner_of(network)) == {"logits/kernel": pytest.approx(np.sqrt((kernel**2).mean()))}


def test_the_input_is_what_the_first_kernel_is_given() -> None:
    found = inspection.network_input(learner_of(small()), IMAGES)
    counts = np.histogram(IMAGES / 255, inspection.BINS)[0]
    shares = found.pop("shares")
    assert sum(shares) == pytest.approx(1)
    assert shares == pytest.approx(list(counts / IMAGES.size), abs=4 / IMAGES.size)  # some lie on an edge
    ends = {"low": IMAGES.min() / 255, "high": IMAGES.max() / 255}
    assert found == pytest.approx({"mean": IMAGES.mean() / 255, "deviation": IMAGES.std() / 255} | ends, rel=1e-4)


@pytest.mark.parametrize(("layer", "value"), [("convolve", np.nan), ("logits", np.inf)])
def test_the_layer_whose_output_is_no_number_is_named(layer: str, value: float) -> None:
    network = small()
    weights = network.get_layer(layer).get_weights()
    network.get_layer(layer).set_weights([weights[0], weights[1] + value])
    pair = tf.constant(IMAGES), tf.constant(LABELS)
    assert inspection.first_not_finite(learner_of(network), *pair, "single_label") == f"the output of layer {layer}"


def test_a_gradient_that_is_no_number_is_named() -> None:
    image = keras.Input((4, 4, 1), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.GlobalAveragePooling2D(name="embedding")(x)
    x = keras.layers.Dense(2, kernel_initializer="zeros", name="flat")(x)
    x = keras.ops.sqrt(keras.ops.abs(x))  # 0 has no slope here
    logits = keras.layers.Dense(3, name="logits")(x)
    network = keras.Model(image, keras.layers.Softmax(name="probabilities")(logits))
    found = inspection.first_not_finite(learner_of(network), tf.constant(IMAGES), tf.constant(LABELS), "single_label")
    assert found == "the gradient of flat/kernel"
