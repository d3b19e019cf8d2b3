"""The export beside the Keras model it was made of: answers, bytes, and what is refused."""

import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny

from assay import files
from assay.errors import AssayError
from assay.images import decode
from assay.inference import canary, difficult, export, exported
from assay.inference.classifier import Classifier
from assay.labels import Task
from assay.training.tensors import keras, tf

BUILT_AGAIN = """
import sys
import tiny
from assay.inference import export
tiny.network(seed=9)  # so that TensorFlow counts otherwise
proto = export.graph(tiny.network(), task="single_label", temperature=1.3)
sys.stdout.buffer.write(proto.SerializeToString(deterministic=True))
"""


def loaded(folder: Path) -> Classifier:
    return Classifier(exported.read(folder))


def logits_of(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    return keras.Model(model.input, model.get_layer("logits").output).predict_on_batch(pixels).astype(np.float64)


@pytest.mark.parametrize("task", ["single_label", "multi_label"])
@pytest.mark.parametrize("channels", [1, 3])
def test_answers_are_those_of_keras(tmp_path: Path, task: Task, channels: int) -> None:
    model, pixels = tiny.network(task=task, channels=channels), tiny.pixels(channels=channels)
    tiny.write(tmp_path, model, task=task)
    found = loaded(tmp_path).answers(pixels, maps=True)
    np.testing.assert_allclose(found.probabilities, model.predict_on_batch(pixels), atol=1e-6)
    embedding = keras.Model(model.input, model.get_layer("embedding").output).predict_on_batch(pixels)
    np.testing.assert_allclose(found.embedding, embedding, atol=1e-5)
    assert found.probabilities.std(axis=0).max() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("task", ["single_label", "multi_label"])
def test_temperature_divides_the_logits(tmp_path: Path, task: Task) -> None:
    model, pixels = tiny.network(task=task), tiny.pixels()
    logits = logits_of(model, pixels) / 2.5
    tiny.write(tmp_path, model, task=task, temperature=2.5)
    wanted = tf.math.sigmoid(logits) if task == "multi_label" else tf.nn.softmax(logits)
    np.testing.assert_allclose(loaded(tmp_path).answers(pixels).probabilities, wanted, atol=1e-6)
    keras_says = export.keras_probabilities(model, [pixels[:7], pixels[7:]], task=task, temperature=2.5)
    np.testing.assert_allclose(keras_says, wanted, atol=1e-6)


def test_mean_of_a_map_is_the_logit_without_its_bias(tmp_path: Path) -> None:
    model, pixels = tiny.network(), tiny.pixels()
    tiny.write(tmp_path, model)
    maps = loaded(tmp_path).answers(pixels, maps=True).maps
    assert maps is not None
    assert maps.shape == (40, 8, 8, 3)
    bias = model.get_layer("logits").bias.numpy()
    np.testing.assert_allclose(maps.mean(axis=(1, 2)) + bias, logits_of(model, pixels), atol=1e-4)


def test_map_is_grad_cam_but_for_its_scale(tmp_path: Path) -> None:
    model, pixels = tiny.network(), tiny.pixels(4)
    tiny.write(tmp_path, model)
    maps = loaded(tmp_path).answers(pixels, maps=True).maps
    assert maps is not None
    embedding = model.get_layer("embedding")
    features = keras.Model(model.input, embedding.input)(pixels, training=False)
    with tf.GradientTape() as tape:
        tape.watch(features)
        logit = model.get_layer("logits")(embedding(features))[:, 1]
    weights = tf.reduce_mean(tape.gradient(logit, features), axis=(1, 2), keepdims=True)
    cam = tf.reduce_sum(weights * features, axis=-1).numpy()
    np.testing.assert_allclose(maps[..., 1] / 64, cam, atol=1e-5)


def test_head_that_is_no_mean_has_no_maps(tmp_path: Path) -> None:
    assert tiny.write(tmp_path, tiny.network(pooled=False)).outputs == ("embedding", "probabilities")
    assert loaded(tmp_path).answers(tiny.pixels(), maps=True).maps is None


def test_batch_axis_is_free_and_named() -> None:
    proto = export.graph(tiny.network(), task="single_label", temperature=1.0)
    for value in [*proto.graph.input, *proto.graph.output]:
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    assert proto.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8


@pytest.mark.slow
def test_same_model_gives_the_same_bytes_in_another_process() -> None:
    here = export.graph(tiny.network(), task="single_label", temperature=1.3).SerializeToString(deterministic=True)
    support = str(Path(tiny.__file__).parent)
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {support!r})\n{BUILT_AGAIN}"]
    there = subprocess.run(command, capture_output=True, check=True).stdout
    assert hashlib.sha256(there).hexdigest() == hashlib.sha256(here).hexdigest()


def test_model_without_the_layers_is_refused() -> None:
    image = keras.Input((4, 4, 1), dtype="uint8")
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pool")(keras.layers.Rescaling(1.0)(image)))
    with pytest.raises(AssayError, match=r"no layer 'embedding', its last are .*pool; train it anew"):
        export.graph(model, task="single_label", temperature=1.0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export with its canary."""
    folder = tmp_path_factory.mktemp("export")
    tiny.write_whole(folder)
    return folder


def test_description_says_what_was_written(whole: Path) -> None:
    said = files.read_json(whole / "model.json")
    assert said["outputs"] == ["embedding", "maps", "probabilities"]
    assert said["files"]["model.onnx"] == files.sha256(whole / "model.onnx")
    on_disk = {file.relative_to(whole).as_posix() for file in whole.rglob("*") if file.is_file()}
    assert on_disk == {"model.json", *said["files"]}


@pytest.mark.parametrize("name", ["model.onnx", "canary/answers.json", "canary/rgb.tif"])
@pytest.mark.parametrize("place", [0, 100, -1])
def test_one_changed_bit_of_any_file_is_refused(whole: Path, tmp_path: Path, name: str, place: int) -> None:
    tiny.copy(whole, tmp_path / "export")
    file = tmp_path / "export" / name
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    with pytest.raises(AssayError, match="changed or damaged, so it is not used"):
        exported.read(tmp_path / "export")


def test_description_of_another_release_is_refused(whole: Path) -> None:
    with pytest.raises(AssayError, match=r"model\.json: its SHA-256 is .*, the release says 0000"):
        exported.read(whole, "0" * 64)


def test_file_that_is_missing_or_lies_outside_is_refused(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(AssayError, match=r"model\.json: No such file or directory; `dvc repro register` makes"):
        exported.read(tmp_path)
    tiny.copy(whole, tmp_path / "export")
    said = files.read_json(tmp_path / "export/model.json")
    for outside in ("../secret", "/etc/passwd"):
        said["files"] = {outside: "0" * 64}
        files.write_json(tmp_path / "export/model.json", said)
        with pytest.raises(AssayError, match="lies outside the export"):
            exported.read(tmp_path / "export")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 2}', '{"format": 1}'])
def test_description_of_another_format_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(AssayError, match="no description of an export of format 1"):
        exported.read(tmp_path)


def test_canary_is_answered_alike_here(whole: Path) -> None:
    found = exported.read(whole)
    outcome = canary.sing(Classifier(found), found.contents)
    assert outcome.is_same
    assert (outcome.n_files, outcome.other_pixels) == (28, ())


def test_canary_holds_the_bits_of_keras_which_are_those_of_every_processor(whole: Path) -> None:
    """ONNX Runtime's own differ between AVX2 and AVX-512, and the export would have other bytes there."""
    contents, how = exported.read(whole).contents, tiny.about()["preprocessing"]
    pixels = np.stack([decode.prepare(content, **vars(how)) for content in difficult.files().values()])
    asked = export.answering(tiny.network(seed=1), task="single_label", temperature=1.0)
    says = asked.predict_on_batch(pixels)
    sung = list(json.loads(contents[canary.ANSWERS]).values())
    for name in ("probabilities", "embedding"):
        assert np.array_equal(np.array([each[name] for each in sung], np.float32), says[name]), name


def test_canary_tells_other_weights_and_other_pixels(whole: Path, tmp_path: Path) -> None:
    tiny.write_whole(tmp_path, seed=2)
    other, contents = Classifier(exported.read(tmp_path)), exported.read(whole).contents
    assert not canary.sing(other, contents).is_same
    answers = json.loads(contents[canary.ANSWERS])
    answers["cmyk.jpg"]["pixels"] = "0" * 64
    changed = {**contents, canary.ANSWERS: json.dumps(answers).encode()}
    outcome = canary.sing(loaded(whole), changed)
    assert not outcome.is_same
    assert "other pixels of cmyk.jpg" in outcome.text


def test_export_without_a_canary_says_so(tmp_path: Path) -> None:
    tiny.write(tmp_path, tiny.network())
    with pytest.raises(AssayError, match=r"the export has no canary/answers\.json"):
        canary.sing(loaded(tmp_path), exported.read(tmp_path).contents)


def test_limits_are_the_thresholds_or_the_usual_one(whole: Path) -> None:
    about = exported.read(whole).about
    assert about.limits == (0.5, 0.5, 0.5)
    assert dataclasses.replace(about, thresholds=(0.1, 0.2, 0.3)).limits == (0.1, 0.2, 0.3)
