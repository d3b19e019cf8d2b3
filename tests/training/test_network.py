import dataclasses
import random
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from learners import answers

from assay import params
from assay.dataset.records import contents
from assay.errors import AssayError
from assay.labels import Task
from assay.training import catalogue, keras_file, network
from assay.training.normalisation import BatchNormalization
from assay.training.tensors import keras, set_up

set_up(threads=2)  # here, because it must come before the first operation of any test

ROOT = Path(__file__).parents[2]
P = dataclasses.replace(params.load(ROOT / "params.yaml").train, filters=(4, 8), dropout=0.5, epochs=1)
NOWHERE = Path("nowhere")

OWN = """
from assay.training.tensors import keras
def build(input_shape, outputs, p):
    pixels = keras.Input(input_shape)
    x = keras.layers.Dense(4, name="embedding")(keras.layers.Flatten()(pixels))
    return keras.Model(pixels, keras.layers.Dense(outputs, {more} name="logits")(x))
"""


def index_of(
    *, side_px: int = 8, channels: int = 1, classes: tuple[str, ...] = ("ant", "bee"), task: Task = "single_label"
) -> contents.Index:
    train = contents.Split(n_images=8, class_counts=(4, 4), shards=())
    size = {"height_px": side_px, "width_px": side_px, "channels": channels}
    return contents.Index(classes=classes, splits={"train": train}, task=task, **size)


def built(**changes: object) -> keras.Model:
    set_up(threads=2, seed=3)
    return network.build(index_of(), dataclasses.replace(P, **changes), own=NOWHERE)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8)


@pytest.mark.parametrize("name", ["cnn", "resnet", "two_branch"])
@pytest.mark.parametrize("task", ["single_label", "multi_label"])
def test_every_network_keeps_to_the_contract_also_after_it_was_read(
    tmp_path: Path, images: np.ndarray, name: str, task: Task
) -> None:
    whole = network.build(index_of(task=task), dataclasses.replace(P, network=name), own=NOWHERE)
    keras_file.write(tmp_path / "m.keras", whole, ("ant", "bee"), task)
    again = keras_file.read(tmp_path / "m.keras")
    assert (again.input.name, again.input.dtype, again.input.shape) == ("image", "uint8", (None, 8, 8, 1))
    parts = keras.Model(again.input, [again.get_layer(part).output for part in ("embedding", "logits")])
    embedding, logits = parts(images, training=False)
    probabilities = answers(again, images)
    assert (len(again.get_layer("embedding").input.shape), embedding.shape[0], logits.shape) == (4, 5, (5, 2))
    expected = keras.activations.softmax if task == "single_label" else keras.activations.sigmoid
    np.testing.assert_allclose(probabilities, expected(logits), rtol=1e-5)
    np.testing.assert_array_equal(probabilities, answers(whole, images))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cnn", "resnet", "two_branch"])
def test_every_network_learns_what_it_is_shown(name: str) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(32) % 2
    images = (rng.integers(0, 99, (32, 8, 8, 1)) + 120 * labels[:, None, None, None]).astype(np.uint8)
    whole = built(network=name, filters=(8,), dropout=0.0)
    whole.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss="sparse_categorical_crossentropy")
    whole.fit(images, labels, epochs=12, batch_size=8, shuffle=False, verbose=0)
    assert (answers(whole, images).argmax(axis=1) == labels).mean() > 0.9


def test_probabilities_of_two_classes_are_two_outputs_that_sum_to_one(images: np.ndarray) -> None:
    probabilities = answers(built(), images)
    assert probabilities.shape == (5, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("scale", "scaled"),
    [
        ("unit", lambda images: images / 255),
        ("symmetric", lambda images: images / 127.5 - 1),
        ("standard", lambda images: (images - images.mean()) / images.std()),
    ],
)
def test_the_model_scales_uint8_itself(
    images: np.ndarray, scale: str, scaled: Callable[[np.ndarray], np.ndarray]
) -> None:
    of_images = network.Statistics(mean=(float(images.mean()),), deviation=(float(images.std()),))
    whole = network.build(index_of(), dataclasses.replace(P, scale=scale), of_images, own=NOWHERE)
    front = keras.Model(whole.input, whole.get_layer("scale").output)
    np.testing.assert_allclose(answers(front, images), scaled(images.astype(np.float64)), atol=1e-5)


def test_a_channel_that_never_changes_is_scaled_to_zero() -> None:
    flat = network.Statistics(mean=(7.0,), deviation=(0.0,))
    whole = network.build(index_of(), dataclasses.replace(P, scale="standard"), flat, own=NOWHERE)
    front = keras.Model(whole.input, whole.get_layer("scale").output)
    assert abs(answers(front, np.full((1, 8, 8, 1), 7, np.uint8))).max() < 1e-6


def test_activation_and_normalisation_are_parameters() -> None:
    whole = built(activation="gelu", normalisation="none")
    assert not [layer for layer in whole.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert whole.get_layer("activate_1a").activation is keras.activations.gelu
    assert whole.get_layer("convolve_1a").use_bias
    plain = built()
    assert type(plain.get_layer("normalize_1a")) is BatchNormalization
    assert not plain.get_layer("convolve_1a").use_bias


def test_every_block_but_the_first_halves_the_picture() -> None:
    for name, layers in (("cnn", ("activate_1b", "activate_2b")), ("resnet", ("activate_1b", "activate_2b"))):
        whole = built(network=name)
        assert [whole.get_layer(layer).output.shape[1:] for layer in layers] == [(8, 8, 4), (4, 4, 8)]


def test_too_many_blocks_for_the_picture_names_the_parameters() -> None:
    message = r"5 blocks halve the picture 4 times, a side of 8 px allows 3 .*train\.filters"
    with pytest.raises(AssayError, match=message):
        built(filters=(4,) * 5)
    network.build(index_of(side_px=16), dataclasses.replace(P, filters=(4,) * 5), own=NOWHERE)


def test_one_class_is_too_few_unless_an_image_may_be_in_none(images: np.ndarray) -> None:
    with pytest.raises(AssayError, match="classes: ant; a classifier needs at least 2"):
        network.build(index_of(classes=("ant",)), P, own=NOWHERE)
    with pytest.raises(AssayError, match="classes: none; a classifier needs at least 1"):
        network.build(index_of(classes=(), task="multi_label"), P, own=NOWHERE)
    one = network.build(index_of(classes=("ant",), task="multi_label"), P, own=NOWHERE)
    assert answers(one, images).shape == (5, 1)


@pytest.mark.parametrize(
    ("name", "said"),
    [("mobilenetv2", "did you mean 'MobileNetV2'"), ("resnett", "did you mean 'resnet'"), ("qqq", "not one of cnn,")],
)
def test_an_unknown_network_is_told_what_is_near(name: str, said: str) -> None:
    with pytest.raises(AssayError, match=f"network: '{name}' is unknown.*{said}.*params.yaml: train.network"):
        built(network=name)


def test_a_file_of_ones_own_is_found_by_its_name(tmp_path: Path, images: np.ndarray) -> None:
    (tmp_path / "mine.py").write_text(OWN.format(more=""))
    whole = network.build(index_of(), dataclasses.replace(P, network="mine"), own=tmp_path)
    keras_file.write(tmp_path / "m.keras", whole, ("ant", "bee"))
    again = answers(keras_file.read(tmp_path / "m.keras"), images)
    np.testing.assert_array_equal(again, answers(whole, images))
    assert catalogue.files(tmp_path) == ["mine"]
    assert catalogue.networks() == ["cnn", "resnet", "two_branch"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("build = 3", "no function build"),
        ("import nothing_of_this_name", "ModuleNotFoundError: No module named"),
        (OWN.format(more="'softmax',"), "has an activation"),
        (OWN.format(more="").replace('"embedding"', '"features"'), "'embedding' is missing"),
        (OWN.format(more="").replace("Dense(outputs,", "Dense(outputs + 1,"), r"must be that of its layer 'logits'"),
        (OWN.format(more="").replace("(pixels))", "(keras.layers.Lambda(abs)(pixels)))"), "is a Lambda"),
        (OWN.format(more="").replace("keras.layers.Flatten()(pixels)", "pixels + 'x'"), "mine.py: "),
    ],
)
def test_a_file_that_cannot_work_is_refused_before_anything_is_trained(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(AssayError, match=said):
        network.build(index_of(), dataclasses.replace(P, network="mine"), own=tmp_path)


def test_equal_seeds_give_equal_weights_and_names() -> None:
    one, two = built(network="two_branch"), built(network="two_branch")
    assert [layer.name for layer in one.layers] == [layer.name for layer in two.layers]
    for mine, other in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_thread_that_draws_random_numbers_changes_no_weight() -> None:
    """Keras takes the seeds of its layers from Python's generator, and a process has other users of that."""
    alone = [weight.numpy().tobytes() for weight in built().weights]
    is_over = threading.Event()

    def draw() -> None:
        while not is_over.is_set():
            random.random()

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        beside = [weight.numpy().tobytes() for weight in built().weights]
    finally:
        is_over.set()
        thread.join()
    assert beside == alone
