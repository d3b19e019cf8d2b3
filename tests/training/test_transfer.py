import dataclasses
from pathlib import Path

import numpy as np
import pytest
from learners import answers

from assay import files, params
from assay.dataset.records import contents
from assay.errors import AssayError
from assay.training import catalogue, keras_file, lite, network, transfer
from assay.training.normalisation import BatchNormalization
from assay.training.tensors import keras, set_up

set_up(threads=2)  # here, because it must come before the first operation of any test

ROOT = Path(__file__).parents[2]
P = params.load(ROOT / "params.yaml").train
# With our normalisation and without any, and what has layers of its own kind; the others wait for the night.
IN_EVERY_RUN = ("MobileNet", "MobileNetV3Small", "EfficientNetB0", "VGG16")


def of(name: str, **transfer: object) -> params.Train:
    changes = {"weights": "none"} | transfer
    return dataclasses.replace(P, network=name, transfer=dataclasses.replace(P.transfer, **changes))


def index_of(side_px: int, channels: int = 3) -> contents.Index:
    train = contents.Split(n_images=8, class_counts=(4, 4), shards=())
    size = {"height_px": side_px, "width_px": side_px, "channels": channels}
    return contents.Index(classes=("ant", "bee"), splits={"train": train}, **size)


def built(
    name: str,
    side_px: int = 32,
    channels: int = 3,
    *,
    to_px: int | None = None,
    own: Path = Path("nowhere"),
    **transfer: object,
) -> keras.Model:
    set_up(threads=2, seed=3)
    transfer |= {"side_px": to_px}
    return network.build(index_of(side_px, channels), of(name, **transfer), own=own)


def check_contract(name: str, folder: Path) -> None:
    """One model of each, for the large ones take seconds to build: layers, features, and the way through its file."""
    side = catalogue.BACKBONES[name].least_side_px
    whole = built(name, side)
    images = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    assert whole.get_layer("embedding").output.shape == (None, catalogue.BACKBONES[name].features)
    assert len(whole.get_layer("embedding").input.shape) == 4
    assert whole.get_layer("logits").output.shape == (None, 2)
    kinds = {type(layer) for layer in whole.layers if isinstance(layer, keras.layers.BatchNormalization)}
    assert kinds <= {BatchNormalization}
    head = (catalogue.BACKBONES[name].features + 1) * 2
    assert whole.count_params() - head == catalogue.BACKBONES[name].parameters
    keras_file.write(folder / "m.keras", whole, ("ant", "bee"))
    again = keras_file.read(folder / "m.keras")
    np.testing.assert_array_equal(answers(again, images), answers(whole, images))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV2", catalogue.LITE])
def test_backbone_keeps_to_the_contract_and_to_the_catalogue(tmp_path: Path, name: str) -> None:
    check_contract(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", IN_EVERY_RUN)
def test_each_way_to_build_one_keeps_to_the_contract_and_to_the_catalogue(tmp_path: Path, name: str) -> None:
    check_contract(name, tmp_path)


@pytest.mark.large
@pytest.mark.parametrize("name", sorted(catalogue.BACKBONES.keys() - {"MobileNetV2", catalogue.LITE, *IN_EVERY_RUN}))
def test_every_backbone_keeps_to_the_contract_and_to_the_catalogue(tmp_path: Path, name: str) -> None:
    check_contract(name, tmp_path)


@pytest.fixture(scope="module")
def mobile() -> keras.Model:
    """One for all tests that train nothing: it takes a second to build."""
    return built("MobileNetV2")


PREPROCESSING = {
    "MobileNetV2": keras.applications.mobilenet_v2,
    "EfficientNetB0": keras.applications.efficientnet,
    "ResNet50": keras.applications.resnet,
    "ResNet50V2": keras.applications.resnet_v2,
    "VGG16": keras.applications.vgg16,
    "InceptionV3": keras.applications.inception_v3,
    "DenseNet121": keras.applications.densenet,
    "Xception": keras.applications.xception,
    "MobileNetV3Small": keras.applications.mobilenet_v3,
    "EfficientNetV2B0": keras.applications.efficientnet_v2,
}


@pytest.mark.parametrize("name", PREPROCESSING)
def test_pixels_are_scaled_as_keras_does_for_the_backbone(name: str) -> None:
    pixels = keras.Input((4, 4, 3))
    front = keras.Model(pixels, transfer._scaled(pixels, catalogue.BACKBONES[name].scaling))
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype(np.float32)
    expected = PREPROCESSING[name].preprocess_input(images.copy())
    np.testing.assert_allclose(answers(front, images), expected, atol=1e-4)


@pytest.mark.slow
def test_the_backbone_answers_as_keras_own_with_the_same_weights() -> None:
    """The exchange of its normalisation changes nothing but rounding."""
    theirs = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(32, 32, 3))
    rng = np.random.default_rng(0)
    theirs.set_weights([weight + 0.1 * rng.random(weight.shape) for weight in theirs.get_weights()])
    images = rng.normal(0, 1, (2, 32, 32, 3)).astype(np.float32)
    ours = transfer._with_own_normalisation(theirs)
    np.testing.assert_allclose(answers(ours, images), answers(theirs, images), rtol=1e-3, atol=1e-4)


@pytest.fixture
def few_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backbone of three layers, for what comes before and behind it."""

    def loaded(name: str, shape: tuple[int, int, int], *_: object) -> keras.Model:
        pixels = keras.Input(shape)
        x = BatchNormalization(name="normalize")(keras.layers.Conv2D(8, 3, strides=2, name="convolve")(pixels))
        return keras.Model(pixels, keras.layers.ReLU(name="activate")(x))

    monkeypatch.setattr(transfer, "_loaded", loaded)


def test_grey_pictures_are_shown_as_grey_ones_in_colour_and_small_ones_enlarged(few_layers: None) -> None:
    whole = built("MobileNetV2", 16, 1, to_px=48)
    assert whole.get_layer("grey_as_rgb").output.shape == (None, 16, 16, 3)
    assert whole.get_layer("enlarge").output.shape == (None, 48, 48, 3)
    assert "enlarge" not in [layer.name for layer in built("MobileNetV2", 32, to_px=32).layers]


@pytest.mark.parametrize("name", ["MobileNet", "EfficientNetB0", "VGG16", "DenseNet121", catalogue.LITE])
def test_every_way_to_scale_pixels_goes_through_the_file(few_layers: None, tmp_path: Path, name: str) -> None:
    whole = built(name)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    keras_file.write(tmp_path / "m.keras", whole, ("ant", "bee"))
    np.testing.assert_array_equal(answers(keras_file.read(tmp_path / "m.keras"), images), answers(whole, images))


def test_the_shorter_side_is_enlarged_and_the_aspect_kept() -> None:
    assert transfer._enlarged((30, 60, 3), 90) == (90, 180)
    assert transfer._enlarged((100, 60, 3), 50) == (100, 60)


def test_a_picture_that_the_backbone_refuses_is_told_with_the_cure() -> None:
    with pytest.raises(
        AssayError, match=r"network InceptionV3: a side of 64 px, at least 75 .* train\.transfer\.side_px"
    ):
        built("InceptionV3", 64)


@pytest.mark.slow
def test_only_the_head_learns_then_the_last_layers_without_their_normalisation(mobile: keras.Model) -> None:
    whole = mobile
    transfer.freeze_base(whole)
    assert [layer.name for layer in whole.layers if layer.trainable_weights] == ["logits"]
    n = transfer.unfreeze_from(whole, "block_16_depthwise")
    learning = [layer.name for layer in whole.layers if layer.trainable_weights]
    assert learning == ["block_16_depthwise", "block_16_project", "Conv_1", "logits"]
    assert n == 3


@pytest.mark.slow
def test_a_frozen_base_changes_by_no_bit_while_the_head_learns(few_layers: None) -> None:
    whole = built("MobileNetV2")
    assert len(whole.get_layer("normalize").weights) == 4
    transfer.freeze_base(whole)
    whole.compile(keras.optimizers.AdamW(0.01), loss="sparse_categorical_crossentropy")
    before = {variable.path: variable.numpy() for variable in whole.weights}
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    whole.fit(images, np.arange(8) // 6, epochs=2, verbose=0)
    changed = {variable.path for variable in whole.weights if (variable.numpy() != before[variable.path]).any()}
    assert changed == {"logits/kernel", "logits/bias"}


def test_a_layer_that_is_not_there_is_told_what_is_near(mobile: keras.Model) -> None:
    with pytest.raises(AssayError, match=r"from_layer: 'block_16_expnd' .*'block_16_expand'"):
        transfer.unfreeze_from(mobile, "block_16_expnd")


@pytest.mark.slow
def test_weights_of_a_file_are_taken_and_their_hash_is_held_against_the_wanted_one(tmp_path: Path) -> None:
    base = lite.build((32, 32, 3))
    base.set_weights([weight + 1 for weight in base.get_weights()])
    file = tmp_path / "mine.weights.h5"
    base.save_weights(file)
    given = {"own": tmp_path, "weights": "mine.weights.h5", "weights_sha256": files.sha256(file)}
    whole = built(catalogue.LITE, **given)
    np.testing.assert_array_equal(whole.get_layer("top").get_weights()[0], base.get_layer("top").get_weights()[0])
    with pytest.raises(AssayError, match=r"mine\.weights\.h5 has SHA-256 .*wanted is 000000000000…"):
        built(catalogue.LITE, **given | {"weights_sha256": "0" * 64})
    with pytest.raises(AssayError, match=r"mine\.weights\.h5 does not fit MobileNetV2"):
        built("MobileNetV2", **given)
    with pytest.raises(AssayError, match=r"'none\.h5' is neither imagenet, none nor a file of"):
        built("MobileNetV2", **given | {"weights": "none.h5"})


def test_a_file_that_holds_no_weights_is_told(tmp_path: Path) -> None:
    (tmp_path / "odd.weights.h5").write_bytes(b"odd")
    with pytest.raises(AssayError, match=r"odd\.weights\.h5 does not fit MobileNetV2"):
        built("MobileNetV2", own=tmp_path, weights="odd.weights.h5")


def test_a_download_that_fails_says_where_the_file_may_be_put(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.applications, "MobileNetV2", fail)
    with pytest.raises(AssayError, match=r"could not be downloaded \(URL fetch failure\); put mobilenet_v2_.* there"):
        built("MobileNetV2", weights="imagenet")


def test_deviations_of_efficientnets_files_become_variances() -> None:
    pixels = keras.Input((4, 4, 3))
    model = keras.Model(pixels, keras.layers.Normalization(name="normalization")(pixels))
    layer = model.get_layer("normalization")
    layer.set_weights([np.array(transfer.MEAN), np.array(transfer.DEVIATION), np.array(0)])
    layer.finalize_state()
    transfer._square_variance(model)
    x = np.random.default_rng(0).random((1, 4, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(model(x), (x - transfer.MEAN) / transfer.DEVIATION, rtol=1e-4, atol=1e-5)
