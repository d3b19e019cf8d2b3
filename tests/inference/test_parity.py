"""Parity: the export beside Keras, in a process that has no TensorFlow; and every fault that it must find."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tiny

from assay.errors import AssayError
from assay.images import decode
from assay.inference import difficult, export, exported, parity
from assay.inference.classifier import Classifier
from assay.inference.parity import Question
from assay.labels import Task
from assay.training import catalogue, lite
from assay.training.tensors import draw_from, keras

# After TensorFlow, which must be quiet when it comes.
from keras.src.applications import densenet, efficientnet  # isort: skip

SIZE = {"height_px": tiny.SIDE_PX, "width_px": tiny.SIDE_PX, "colour": "rgb", "resize": "stretch"}


def questions(folder: Path, model: keras.Model, task: Task = "single_label") -> list[Question]:
    """What Keras says of the difficult files."""
    found = []
    for name, content in difficult.files().items():
        (folder / name).write_bytes(b"before" + content + b"after")
        pixels = decode.prepare(content, **SIZE)[None]
        says = export.keras_probabilities(model, [pixels], task=task, temperature=1.0)[0]
        place = {"file": str(folder / name), "offset": 6, "bytes": len(content)}
        found.append(Question(name=name, **place, probabilities=tuple(says.tolist())))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("export")
    tiny.write(made, tiny.network())
    return made


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> list[Question]:
    return questions(tmp_path_factory.mktemp("files"), tiny.network())


def test_difficult_files_are_answered_alike_without_tensorflow(folder: Path, asked: list[Question]) -> None:
    outcome = parity.check(folder, asked)
    assert (outcome.n_images, outcome.n_other) == (28, 0)
    assert outcome.largest <= 1e-5


@pytest.mark.slow
def test_sets_are_compared_by_their_decisions(tmp_path: Path) -> None:
    model = tiny.network(task="multi_label")
    tiny.write(tmp_path / "export", model, task="multi_label")
    asked = questions(tmp_path, model, "multi_label")
    classifier = Classifier(exported.read(tmp_path / "export"))
    assert parity.compare(classifier, asked).is_same
    flipped = dataclasses.replace(asked[3], probabilities=tuple(1 - p for p in asked[3].probabilities))
    assert parity.compare(classifier, [*asked[:3], flipped]).n_other == 1


def test_other_weights_fail(tmp_path: Path, asked: list[Question]) -> None:
    tiny.write(tmp_path, tiny.network(seed=2))
    with pytest.raises(AssayError, match=r"parity: the export answers otherwise than Keras on \d+ of 28 images"):
        parity.check(tmp_path, asked)


def test_other_temperature_fails_though_no_answer_changes(tmp_path: Path, asked: list[Question]) -> None:
    tiny.write(tmp_path, tiny.network(), temperature=1.01)
    with pytest.raises(AssayError, match=r"on 0 of 28 images, a probability differs by .*nothing may be promoted"):
        parity.check(tmp_path, asked)


def test_one_skewed_image_fails_and_is_named(folder: Path, asked: list[Question]) -> None:
    other = np.subtract(asked[5].probabilities, [0, 2e-5, -2e-5])
    skewed = dataclasses.replace(asked[5], probabilities=tuple(other))
    with pytest.raises(AssayError, match=rf"differs by 2.0e-05 at most \(limit 1e-05\): {asked[5].name}"):
        parity.check(folder, [*asked[:5], skewed, *asked[6:]])


def test_nothing_asked_shows_nothing(folder: Path) -> None:
    with pytest.raises(AssayError, match="of 0 images"):
        parity.check(folder, [])


def test_file_that_cannot_be_read_fails(folder: Path, asked: list[Question], tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(b"\x89PNG")
    cut = dataclasses.replace(asked[0], file=str(tmp_path / "cut.png"), offset=0, bytes=4)
    with pytest.raises(AssayError, match=r"parity: .*Undecodable: not an image"):
        parity.check(folder, [cut])


def test_tie_may_be_answered_either_way(folder: Path) -> None:
    classifier = Classifier(exported.read(folder))
    tied, clear = np.array([[0.5, 0.499995, 0.0]]), np.array([[0.5, 0.4998, 0.0002]])
    found = np.array([[0.4999, 0.5001, 0.0]])
    assert not parity.is_other(classifier, found, tied).any()
    assert parity.is_other(classifier, found, clear).all()


def tame(body: keras.Model) -> None:
    """Halve what each block adds: untrained, 79 of them make another answer of a rounding, in Keras alone too."""
    for layer in body.layers:
        if layer.name.endswith("project_bn"):
            layer.gamma.assign(0.5 * layer.gamma)


def check_answers(folder: Path, body: keras.Model) -> None:
    """Check that the export of a classifier on the body answers as Keras does."""
    side = body.input.shape[1]
    pixels = np.random.default_rng(0).integers(0, 256, (20, side, side, 3), np.uint8)
    shown = keras.Input((side, side, 3), dtype="uint8", name="image")
    x = body(keras.layers.Rescaling(1 / 127.5, offset=-1)(shown), training=False)
    x = keras.layers.GlobalAveragePooling2D(name="embedding")(x)
    x = keras.layers.Dense(5, name="logits")(keras.layers.Dropout(0.2, name="dropout")(x))
    model = keras.Model(shown, keras.layers.Activation("softmax", name="probabilities")(x))
    head = model.get_layer("logits")  # of any scale, where nothing was trained: neither all alike nor 0 and 1
    head.kernel.assign(head.kernel / np.std(keras.Model(shown, x)(pixels, training=False)))
    size = exported.Preprocessing(height_px=side, width_px=side, colour="rgb", resize="stretch")
    about = tiny.write(folder, model, classes=tuple("abcde"), preprocessing=size)
    assert about.outputs == ("embedding", "maps", "probabilities")
    classifier = Classifier(exported.read(folder))
    found = classifier.answers(pixels).probabilities
    says = export.keras_probabilities(model, [pixels], task="single_label", temperature=1.0)
    np.testing.assert_allclose(found, says, atol=1e-5)
    assert not parity.is_other(classifier, found, says).any()


# Of each kind of layer that another network might be written with otherwise: Keras' own blocks, fewer of them.
TWICE = {"kernel_size": 3, "repeats": 2, "filters_in": 32, "filters_out": 16, "id_skip": True, "strides": 2}
BLOCKS = [TWICE | {"expand_ratio": 6, "se_ratio": 0.25}]


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        partial(efficientnet.EfficientNet, 1.0, 1.0, 224, blocks_args=BLOCKS),
        partial(densenet.DenseNet, [1, 1, 1, 2]),
        keras.applications.MobileNetV3Small,
        lambda input_shape, **_: lite.build(input_shape),
    ],
    ids=["EfficientNet", "DenseNet", "MobileNetV3Small", catalogue.LITE],
)
def test_kinds_of_backbones_are_answered_alike(tmp_path: Path, make: Callable[..., keras.Model]) -> None:
    draw_from(0)
    check_answers(tmp_path, make(include_top=False, weights=None, input_shape=(32, 32, 3)))


@pytest.mark.large
@pytest.mark.parametrize("name", sorted(catalogue.BACKBONES.keys() - {"MobileNetV3Small", catalogue.LITE}))
def test_every_backbone_is_answered_alike(tmp_path: Path, name: str) -> None:
    draw_from(0)
    side = catalogue.BACKBONES[name].least_side_px
    body = getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(side, side, 3))
    tame(body)
    check_answers(tmp_path, body)
    del body
    keras.utils.clear_session(free_memory=True)  # or a dozen of them fill 12 GB
