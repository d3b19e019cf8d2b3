"""The classifier: a network chosen by its name, between the scaling of its pixels and the probabilities of its classes.

It takes uint8 images [N, H, W, C] in [0, 255], scales them itself, and returns float32 probabilities [N, K]; the order
of the classes is that of records.json. Of a single-label set, two classes included, they sum to 1 (softmax); of a
multi-label set each class has its own (sigmoid). Its layers `embedding` (features [N, D]), `logits` ([N, K]) and
`probabilities` are what evaluation, explanations and the export look for.
"""

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from assay import params
from assay.dataset.records.contents import Index
from assay.errors import AssayError
from assay.training import catalogue, transfer
from assay.training.tensors import keras

ACTIVATION = {"single_label": "softmax", "multi_label": "sigmoid"}
Build = Callable[[tuple[int, int, int], int, params.Train], keras.Model]


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Of each channel over all pixels of the train split, in [0, 255]."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


def build(index: Index, p: params.Train, statistics: Statistics | None = None, *, own: Path) -> keras.Model:
    """Return the model for the images of `index`, not compiled; `statistics` are wanted for `p.scale` "standard" only.

    `p.network` is a module of `assay.training.networks`, a file of the folder `own`, or a backbone of `assay models`,
    which scales in its own way and not as `p.scale` says; `own` holds files of weights too. Raises `AssayError` for a
    name that is none of them, for fewer than two classes (one, if multi-label), and for pictures that the network
    refuses.
    """
    _check_classes(index)
    shape = (index.height_px, index.width_px, index.channels)
    image = keras.Input(shape, dtype="uint8", name="image")
    if p.network in catalogue.BACKBONES:
        x = keras.layers.Rescaling(1.0, name="scale")(image)
        part = transfer.build(shape, len(index.classes), p, own=own)
    else:
        make = _found(p.network, own)
        _check_side(index, p)
        x = _scale(p.scale, statistics)(image)
        part = make(shape, len(index.classes), p)
    _check_part(part, len(index.classes), p.network)
    logits = part.call(x)  # not part(x): its layers are to be the model's own
    probabilities = keras.layers.Activation(ACTIVATION[index.task], name="probabilities")(logits)
    return keras.Model(image, probabilities, name="classifier")


def _found(name: str, own: Path) -> Build:
    """Return the function `build` of the network that is called `name`."""
    if name in catalogue.networks():
        found: Build = importlib.import_module(f"assay.training.networks.{name}").build
        return found
    if (own / f"{name}.py").is_file():
        return _of_file(own / f"{name}.py")
    known = [*catalogue.networks(), *catalogue.files(own), *catalogue.BACKBONES]
    raise AssayError(f"network: {name!r} {catalogue.unknown(name, known)} (params.yaml: train.network)")


def _of_file(file: Path) -> Build:
    """Return the function `build` of a file of one's own; what goes wrong in it is an `AssayError` that names it."""
    spec = importlib.util.spec_from_file_location(f"assay_own_{file.stem}", file)
    assert spec and spec.loader
    module: ModuleType = importlib.util.module_from_spec(spec)
    with _naming(file):
        spec.loader.exec_module(module)
    if not callable(getattr(module, "build", None)):
        raise AssayError(f"{file}: no function build(input_shape, outputs, p); two_branch.py of Assay is an example")

    def make(input_shape: tuple[int, int, int], outputs: int, p: params.Train) -> keras.Model:
        with _naming(file):
            return module.build(input_shape, outputs, p)

    return make


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise AssayError(f"{file}: {type(error).__name__}: {' '.join(str(error).split())}") from error


def _check_classes(index: Index) -> None:
    least = 1 if index.task == "multi_label" else 2
    if len(index.classes) < least:
        seen = ", ".join(index.classes) or "none"
        raise AssayError(f"classes: {seen}; a classifier needs at least {least} (data/records.json)")


def _check_side(index: Index, p: params.Train) -> None:
    halvings, side = len(p.filters) - 1, min(index.height_px, index.width_px)
    if side >> halvings == 0:
        raise AssayError(
            f"filters: {len(p.filters)} blocks halve the picture {halvings} times, a side of {side} px allows "
            f"{side.bit_length() - 1} (params.yaml: train.filters or preprocess.height_px and width_px)"
        )


def _check_part(part: keras.Model, outputs: int, name: str) -> None:
    """Raise `AssayError` unless what a network's `build` returned keeps to what `build` of this module says."""
    shapes = {layer.name: layer.output.shape for layer in part.layers if hasattr(layer, "output")}
    for layer, rank in (("embedding", 2), ("logits", 2)):
        if len(shapes.get(layer, ())) != rank:
            seen = f"gives {shapes[layer]}" if layer in shapes else "is missing"
            raise AssayError(f"network {name}: its layer {layer!r} {seen}, wanted is one that gives [N, numbers]")
    if part.output.shape[1:] != (outputs,) or part.get_layer("logits").output is not part.output:
        raise AssayError(f"network {name}: its output must be that of its layer 'logits', [N, {outputs}]")
    if part.get_layer("logits").activation is not keras.activations.linear:
        raise AssayError(f"network {name}: its layer 'logits' has an activation; softmax or sigmoid come behind it")
    for layer in part.layers:
        home = type(layer).__module__.partition(".")[0]
        if home not in ("keras", "assay") or isinstance(layer, keras.layers.Lambda):
            kind = type(layer).__name__
            raise AssayError(f"network {name}: {layer.name} is a {kind}, which nobody could read back from the model")


def _scale(scale: str, statistics: Statistics | None) -> keras.Layer:
    match scale:
        case "unit":
            return keras.layers.Rescaling(1 / 255, name="scale")
        case "symmetric":
            return keras.layers.Rescaling(1 / 127.5, offset=-1, name="scale")
    assert statistics
    # A channel that never changes has no deviation to divide by.
    scales = [1 / (deviation or 255) for deviation in statistics.deviation]
    offsets = [-mean * scale for mean, scale in zip(statistics.mean, scales, strict=True)]
    return keras.layers.Rescaling(scales, offset=offsets, name="scale")
