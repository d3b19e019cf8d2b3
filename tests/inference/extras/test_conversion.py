"""The files of other runtimes beside the Keras model that they were made of."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny
from checkouts import ROOT
from shards_made import write_data

from assay import params
from assay.errors import AssayError
from assay.inference import export
from assay.inference.extras import conversion
from assay.inference.extras.conversion import Ask
from assay.labels import Task
from assay.training import keras_file, network
from assay.training.tensors import keras, tf

IN_A_NEW_PROCESS = """
import sys
import numpy as np
import tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
answer = loaded.signatures["serving_default"](image=tf.constant(np.load(sys.argv[2])))
assert not any(name.startswith("assay") for name in sys.modules)
np.save(sys.argv[3], answer["probabilities"].numpy())
"""


def asked(kind: str, model: keras.Model, folder: Path) -> Ask:
    if kind == "savedmodel":
        conversion.write_saved_model(folder, model)
        return conversion.ask_saved_model(folder)
    return conversion.ask_litert(conversion.litert(model), threads=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["savedmodel", "litert"])
@pytest.mark.parametrize(("task", "channels"), [("single_label", 3), ("multi_label", 1)])
def test_floats_answer_as_keras_at_its_temperature(kind: str, task: Task, channels: int, tmp_path: Path) -> None:
    model, pixels = tiny.network(task=task, channels=channels), tiny.pixels(channels=channels)
    ask = asked(kind, conversion.answering(model, task=task, temperature=2.5), tmp_path)
    wanted = export.keras_probabilities(model, [pixels], task=task, temperature=2.5)
    np.testing.assert_allclose(ask(pixels), wanted, atol=1e-6)
    one_by_one = np.concatenate([ask(pixels[number : number + 1]) for number in range(len(pixels))])
    np.testing.assert_allclose(one_by_one, wanted, atol=1e-6)
    assert wanted.std(axis=0).max() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cnn", "resnet"])
def test_networks_of_ours_answer_alike_with_their_normalisation_and_without_their_dropout(
    name: str, tmp_path: Path
) -> None:
    index = write_data(tmp_path, counts={"train": (3, 3, 3), "val": (1, 1, 1), "test": (2, 2, 2)})
    p = dataclasses.replace(params.load(ROOT / "params.yaml").train, network=name, filters=(4, 8), dropout=0.5)
    built = network.build(index, p, own=tmp_path)
    for layer in built.layers:  # as if trained: another mean and variance than 0 and 1
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([value + 0.3 for value in layer.get_weights()])
    logits = built.get_layer("logits")  # far apart, as those of a trained one are
    logits.set_weights([200 * value for value in logits.get_weights()])
    keras_file.write(tmp_path / "model.keras", built, index.classes)
    model, pixels = keras_file.read(tmp_path / "model.keras"), tiny.pixels(channels=1)
    assert model.predict_on_batch(pixels).std(axis=0).max() > 0.001
    answering = conversion.answering(model, task="single_label", temperature=1.0)
    for kind in ("savedmodel", "litert"):
        found = asked(kind, answering, tmp_path / kind)(pixels)
        np.testing.assert_allclose(found, model.predict_on_batch(pixels), atol=1e-6)


@pytest.mark.slow
def test_saved_model_is_asked_by_a_process_that_has_no_code_of_ours(tmp_path: Path) -> None:
    model, pixels = tiny.network(), tiny.pixels(5)
    conversion.write_saved_model(tmp_path / "1", conversion.answering(model, task="single_label", temperature=1.0))
    np.save(tmp_path / "pixels.npy", pixels)
    places = [str(tmp_path / name) for name in ("1", "pixels.npy", "said.npy")]
    subprocess.run([sys.executable, "-c", IN_A_NEW_PROCESS, *places], check=True, capture_output=True, cwd=tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "said.npy"), model.predict_on_batch(pixels), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["single_label", "multi_label"])
def test_integers_are_nearly_the_floats(task: Task) -> None:
    model, pixels = tiny.network(task=task), tiny.pixels(200)
    answering = conversion.answering(model, task=task, temperature=1.0)
    content = conversion.litert_int8(answering, pixels)
    found, wanted = conversion.ask_litert(content, threads=1)(pixels), model.predict_on_batch(pixels)
    assert 1e-5 < np.abs(found - wanted).max() < 0.15
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.99


def test_integers_compute_all_between_pixels_and_probabilities() -> None:
    answering = conversion.answering(tiny.network(), task="single_label", temperature=1.0)
    content = conversion.litert_int8(answering, tiny.pixels(20))
    tensors = tf.lite.Interpreter(model_content=content).get_tensor_details()
    floats = [tuple(each["shape"].tolist()) for each in tensors if each["dtype"] is np.float32]
    assert sorted(floats) == [(1, len(tiny.CLASSES)), (1, tiny.SIDE_PX, tiny.SIDE_PX, 3)]
    assert sum(each["dtype"] is np.int8 for each in tensors) > 5


@pytest.mark.parametrize(
    ("compute", "said"),
    [
        (lambda x: tf.math.igamma(tf.cast(x, tf.float32), 1.0), "it has no operation for Igamma$"),
        (
            lambda x: tf.cast(tf.cast(x, tf.float16) ** 2, tf.float32),
            r"Pow in floats of 16 bits \(params\.yaml: train",
        ),
    ],
)
def test_network_that_litert_has_no_operation_for_is_refused_in_one_line(compute: Callable, said: str) -> None:
    image = keras.Input((4, 4, 3), dtype="uint8", name="image")
    x = keras.layers.Lambda(compute, output_shape=(4, 4, 3))(image)
    x = keras.layers.GlobalAveragePooling2D(name="embedding")(x)
    x = keras.layers.Dense(2, name="logits")(x)
    model = keras.Model(image, keras.layers.Activation("softmax", name="probabilities")(x))
    with pytest.raises(AssayError, match=f"export: LiteRT cannot hold this network: .*{said}"):
        conversion.litert(conversion.answering(model, task="single_label", temperature=1.0))
