"""Transfer learning: a network that learnt on other images, its own way to scale pixels, and a new head.

The head learns first, on a frozen backbone (`freeze_base`); then the backbone's last layers too, more slowly
(`unfreeze_from`). Its normalisation stays as it was learnt all the while: a few batches of other images would spoil its
statistics (https://keras.io/guides/transfer_learning/).
"""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from assay import files, params
from assay.errors import AssayError
from assay.training import catalogue, lite
from assay.training.blocks import head
from assay.training.normalisation import BatchNormalization
from assay.training.tensors import keras

CACHE = Path(".assay/weights")
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's channels, in [0, 1]
CAFFE_MEAN = (123.68, 116.779, 103.939)


def check(shape: tuple[int, int, int], p: params.Train, own: Path) -> None:
    """Raise `AssayError` for pictures that the backbone refuses, and for weights that are not there or not as told."""
    least, given = catalogue.BACKBONES[p.network].least_side_px, p.transfer.weights
    if (side := min(_enlarged(shape, p.transfer.side_px))) < least:
        raise AssayError(
            f"network {p.network}: a side of {side} px, at least {least} are needed "
            "(params.yaml: train.transfer.side_px enlarges the picture inside the model)"
        )
    if given in ("imagenet", "none"):
        return
    if not (file := own / given).is_file():
        raise AssayError(
            f"weights: {given!r} is neither imagenet, none nor a file of {own}/ (params.yaml: train.transfer.weights)"
        )
    if p.transfer.weights_sha256 not in (None, seen := files.sha256(file)):
        raise AssayError(
            f"weights: {file} has SHA-256 {seen[:12]}…, wanted is {str(p.transfer.weights_sha256)[:12]}… "
            "(params.yaml: train.transfer.weights_sha256)"
        )


def build(shape: tuple[int, int, int], outputs: int, p: params.Train, *, own: Path) -> keras.Model:
    """Return the model from pixels [N, *shape] in [0, 255] to logits [N, outputs]: scaling, backbone, head.

    Grey pictures become three equal channels. Raises `AssayError` as `check` does, and for weights of another network.
    """
    check(shape, p, own)
    pixels = x = keras.Input(shape)
    if shape[2] == 1:
        x = keras.layers.Concatenate(name="grey_as_rgb")([x, x, x])
    height, width = _enlarged(shape, p.transfer.side_px)
    if (height, width) != shape[:2]:
        x = keras.layers.Resizing(height, width, name="enlarge")(x)
    base = _with_own_normalisation(_loaded(p.network, (height, width, 3), p.transfer.weights, own))
    features = base.call(_scaled(x, catalogue.BACKBONES[p.network].scaling))
    return keras.Model(pixels, head(features, outputs, p))


def _enlarged(shape: tuple[int, int, int], side_px: int | None) -> tuple[int, int]:
    height, width, _ = shape
    factor = max(1.0, (side_px or 0) / min(height, width))
    return round(height * factor), round(width * factor)


def _scaled(x: keras.KerasTensor, scaling: catalogue.Scaling) -> keras.KerasTensor:
    """Return pixels in [0, 255] as the weights know them; "none": the backbone does it itself."""
    match scaling:
        case "none":
            return x
        case "symmetric":
            return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="prepare")(x)
        case "lite":
            return keras.layers.Rescaling(1 / 255 / 0.502, offset=-0.498 / 0.502, name="prepare")(x)
        case "torch":
            scales = [1 / 255 / deviation for deviation in DEVIATION]
            offsets = [-mean / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True)]
            return keras.layers.Rescaling(scales, offset=offsets, name="prepare")(x)
        case "caffe":  # blue before green before red
            x = keras.layers.Rescaling(1.0, offset=[-mean for mean in CAFFE_MEAN], name="prepare")(x)
            return keras.ops.flip(x, axis=-1)


def _loaded(name: str, shape: tuple[int, int, int], weights: str, own: Path) -> keras.Model:
    """Return the backbone without its top, with the weights that `weights` names."""
    if weights == "imagenet" and name != catalogue.LITE:
        return _downloaded(name, shape)
    base = lite.build(shape) if name == catalogue.LITE else _of_keras(name, shape, None)
    if weights == "imagenet":
        lite.assign(base, lite.weights(CACHE))
    elif weights != "none":
        _read(base, name, own / weights)
    return base


def _of_keras(name: str, shape: tuple[int, int, int], weights: str | None) -> keras.Model:
    make: Callable[..., keras.Model] = getattr(keras.applications, name)
    return make(include_top=False, weights=weights, input_shape=shape)


def _downloaded(name: str, shape: tuple[int, int, int]) -> keras.Model:
    try:
        return _of_keras(name, shape, "imagenet")
    except Exception as error:  # Keras raises nothing narrower for a download that fails
        raise AssayError(
            f"weights: imagenet's for {name} are not in {catalogue.keras_cache()} and could not be downloaded "
            f"({' '.join(str(error).split())}); put {catalogue.BACKBONES[name].file} there, or use "
            f"{catalogue.LITE}, whose weights a package brings (params.yaml: train.network)"
        ) from None


def _read(base: keras.Model, name: str, file: Path) -> None:
    """Give the backbone the weights of the file; raises `AssayError` unless it has one for every layer."""
    numbers = [variable for variable in base.weights if variable.dtype.startswith("float")]
    for variable in numbers:
        variable.assign(np.full(variable.shape, np.nan))  # Keras leaves what it does not find as it was, and only warns
    try:
        with warnings.catch_warnings(action="ignore"):
            base.load_weights(file)
    except (ValueError, OSError, KeyError) as error:
        first = str(error).strip().partition("\n")[0]
        raise AssayError(f"weights: {file} does not fit {name} without its top: {first}") from None
    if missing := sorted({v.path for v in numbers if not np.isfinite(v.numpy()).all()}):
        raise AssayError(f"weights: {file} does not fit {name} without its top: nothing for {missing[0]}")
    _square_variance(base)


def _square_variance(base: keras.Model) -> None:
    """Mend what Keras mends with one more layer, and for its own download alone: EfficientNet's files have deviations
    of ImageNet where the layer wants variances (github.com/tensorflow/tensorflow/issues/49930)."""
    for layer in base.layers:
        if isinstance(layer, keras.layers.Normalization) and np.allclose(layer.variance, DEVIATION, atol=1e-4):
            mean, variance, *rest = layer.get_weights()
            layer.set_weights([mean, variance**2, *rest])
            layer.finalize_state()


def _with_own_normalisation(base: keras.Model) -> keras.Model:
    """Return the model with our batch normalisation in place of Keras', for its bits; the weights are the same."""

    def again(layer: keras.Layer) -> keras.Layer:
        kind = BatchNormalization if type(layer) is keras.layers.BatchNormalization else type(layer)
        return kind.from_config(layer.get_config())

    made = keras.models.clone_model(base, clone_function=again)
    made.set_weights(base.get_weights())
    for layer in made.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # else it goes on with what it was built with
    return made


def freeze_base(model: keras.Model) -> None:
    """Let only the head learn, all from `embedding` on; normalisation works as for predictions. Compile afterwards."""
    layers = _base(model)
    for layer in layers:
        layer.trainable = False


def unfreeze_from(model: keras.Model, name: str) -> int:
    """Let the backbone learn from its layer `name` on, except its normalisation; return how many layers do.

    Compile afterwards. Raises `AssayError` for a name that no layer of the backbone has.
    """
    layers = _base(model)
    names = [layer.name for layer in layers]
    if name not in names:
        raise AssayError(
            f"from_layer: {name!r} {catalogue.unknown(name, names)} (params.yaml: train.transfer.from_layer)"
        )
    learning = [
        layer
        for layer in layers[names.index(name) :]
        if layer.weights and not isinstance(layer, keras.layers.BatchNormalization)
    ]
    for layer in learning:
        layer.trainable = True
    return len(learning)


def _base(model: keras.Model) -> list[keras.Layer]:
    names = [layer.name for layer in model.layers]
    return list(model.layers[: names.index("embedding")])
