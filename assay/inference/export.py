"""The export of a Keras model: one ONNX file that answers everything, and model.json beside it. Imports TensorFlow.

The network must have the layers that `training` gives it: `embedding` [N, D], perhaps dropout, `logits` (dense), and
`probabilities`. Where the embedding is the mean over positions of features [N, h, w, D], the class-activation maps are
the features times the kernel of `logits` (https://arxiv.org/abs/1512.04150): their mean over h and w, plus the bias, is
the logit.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from assay import files
from assay.errors import AssayError
from assay.images import decode
from assay.inference import canary, difficult
from assay.inference.exported import ABOUT, FORMAT, GRAPH, About, Preprocessing
from assay.labels import Task
from assay.training.tensors import keras, quiet, tf

OPSET = 18
BATCH = "batch"  # the name of the free axis
BATCH_IMAGES = 64


def answering(model: keras.Model, *, task: Task, temperature: float) -> keras.Model:
    """Return the model with outputs `probabilities` (calibrated), `embedding` and, where it has them, `maps`.

    Raises `AssayError` for a model without the layers that are wanted.
    """
    embedding, logits = _layer(model, "embedding"), _layer(model, "logits")
    outputs = {"probabilities": _probabilities(logits.output, task, temperature), "embedding": embedding.output}
    if (features := _features(embedding, logits)) is not None:
        kernel = keras.ops.convert_to_numpy(logits.kernel)
        weights = keras.layers.Conv2D(kernel.shape[1], 1, use_bias=False, name="maps")  # on each position
        outputs["maps"] = weights(features)
        weights.set_weights([kernel[None, None]])
    return keras.Model(model.input, outputs, name="classifier")


def _layer(model: keras.Model, name: str) -> keras.Layer:
    try:
        return model.get_layer(name)
    except ValueError:
        known = ", ".join(layer.name for layer in model.layers[-4:])
        raise AssayError(f"export: the model has no layer {name!r}, its last are {known}; train it anew") from None


def _probabilities(logits: keras.KerasTensor, task: Task, temperature: float) -> keras.KerasTensor:
    scaled = keras.layers.Rescaling(1 / temperature, name="calibrated")(logits)
    return keras.layers.Activation("sigmoid" if task == "multi_label" else "softmax", name="answered")(scaled)


def _features(embedding: keras.Layer, logits: keras.Layer) -> keras.KerasTensor | None:
    """Return what the embedding is the mean of [N, h, w, D]; None where the head is another."""
    is_pooled = isinstance(embedding, keras.layers.GlobalAveragePooling2D)
    is_dense = isinstance(logits, keras.layers.Dense) and logits.kernel.shape[0] == embedding.output.shape[-1]
    return embedding.input if is_pooled and is_dense else None


def graph(model: keras.Model, *, task: Task, temperature: float) -> onnx.ModelProto:
    """Return the ONNX graph of the model's answers; equal models give equal bytes, in any process."""
    whole = answering(model, task=task, temperature=temperature)
    image = tf.TensorSpec((None, *model.input.shape[1:]), tf.uint8, name="image")
    with quiet():
        import tf2onnx  # here, for it configures TensorFlow's log when it is imported

        answer = tf.function(lambda image: whole(image, training=False))
        proto, _ = tf2onnx.convert.from_function(answer, [image], opset=OPSET)
        captured = answer.get_concrete_function(image).graph.captures
    _bind(proto.graph, {inner.name: outer for outer, inner in captured})
    return _canonical(proto, whole)


def _bind(graph: onnx.GraphProto, captured: Mapping[str, tf.Tensor]) -> None:
    """Make weights of what tf2onnx takes for inputs: constants that are no variables, as the means of EfficientNet."""
    for value in graph.input[1:]:
        graph.initializer.append(onnx.numpy_helper.from_array(captured[value.name].numpy(), value.name))
    del graph.input[1:]


def _canonical(proto: onnx.ModelProto, whole: keras.Model) -> onnx.ModelProto:
    """Return the graph in an order and with names that its structure alone decides, and with named axes.

    TensorFlow counts what it made in this process, and tf2onnx goes through sets of names.
    """
    proto.graph.name, proto.graph.doc_string, proto.doc_string = "classifier", "", ""
    outputs = sorted(proto.graph.output, key=lambda value: value.name)
    nodes = _ordered(proto.graph, [value.name for value in outputs])
    weights = {each.name: each for each in proto.graph.initializer}
    used = dict.fromkeys(name for node in nodes for name in node.input if name in weights)
    _replace(proto.graph.node, nodes)
    _replace(proto.graph.initializer, [weights[name] for name in used])
    _replace(proto.graph.output, outputs)
    _rename(proto.graph)
    for value in [*proto.graph.input, *proto.graph.output]:
        del value.type.tensor_type.shape.dim[:]
        value.type.tensor_type.shape.dim.add().dim_param = BATCH
        for size in (whole.input if value.name == "image" else whole.output[value.name]).shape[1:]:
            value.type.tensor_type.shape.dim.add().dim_value = int(size)
    del proto.graph.value_info[:]
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _ordered(graph: onnx.GraphProto, outputs: list[str]) -> list[onnx.NodeProto]:
    """Return the nodes that the outputs need, each after those that it needs itself."""
    makes = {name: node for node in graph.node for name in node.output}
    done: dict[str, onnx.NodeProto] = {}
    waiting = [makes[name] for name in reversed(outputs)]
    while waiting:  # no recursion, for a deep network is deeper than Python's stack
        node = waiting[-1]
        missing = [makes[name] for name in node.input if name in makes and makes[name].output[0] not in done]
        if missing:
            waiting += reversed(missing)
        else:
            done[node.output[0]] = waiting.pop()
    return list(done.values())


def _replace(field: Any, values: list[Any]) -> None:
    copies = [type(value).FromString(value.SerializeToString()) for value in values]
    del field[:]
    field.extend(copies)


def _rename(graph: onnx.GraphProto) -> None:
    """Number nodes and tensors in their order; only inputs and outputs keep their names."""
    kept = {value.name: value.name for value in [*graph.input, *graph.output]}
    names: dict[str, str] = {"": "", **kept}
    for number, node in enumerate(graph.node):
        node.name, node.doc_string = f"{node.op_type}_{number}", ""
        node.input[:] = [names.setdefault(each, f"t{len(names)}") for each in node.input]
        node.output[:] = [names.setdefault(each, f"t{len(names)}") for each in node.output]
    for weights in graph.initializer:
        weights.name, weights.doc_string = names[weights.name], ""


def keras_probabilities(
    model: keras.Model, pixels: Iterable[np.ndarray], *, task: Task, temperature: float
) -> np.ndarray:
    """Return what Keras itself says of batches of pixels, calibrated, float32 [N, K]."""
    whole = answering(model, task=task, temperature=temperature)
    return np.concatenate([whole.predict_on_batch(batch)["probabilities"] for batch in pixels])


def canary_of(model: keras.Model, preprocessing: Preprocessing, *, task: Task, temperature: float) -> dict[str, bytes]:
    """Return the files of the canary by their path, with what Keras says of them."""
    contents = difficult.files()
    pixels = np.stack([decode.prepare(content, **asdict(preprocessing)) for content in contents.values()])
    says = answering(model, task=task, temperature=temperature).predict_on_batch(pixels)
    return canary.made(contents, pixels, says["probabilities"], says["embedding"])


def _outputs(proto: onnx.ModelProto) -> tuple[str, ...]:
    return tuple(value.name for value in proto.graph.output)


def write(folder: Path, proto: onnx.ModelProto, about: Mapping[str, Any], extra: Mapping[str, bytes]) -> About:
    """Write the export into an empty or missing folder, model.json last, and return what that says.

    `about`: the fields of `About` but for outputs and files; `extra`: the bytes of the other files by their path.
    """
    contents = {GRAPH: proto.SerializeToString(deterministic=True), **extra}
    for name, content in contents.items():
        with files.replacing(folder / name) as out:
            out.write(content)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())}
    said = About(**about, outputs=_outputs(proto), files=hashes)
    files.write_json(folder / ABOUT, {"format": FORMAT} | asdict(said))
    return said
