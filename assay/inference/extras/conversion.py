"""A model as files of other runtimes, and what these answer. Imports TensorFlow.

All take uint8 pixels `image` [N, H, W, C] and return float32 `probabilities` [N, K], calibrated, as the ONNX export
does; the signature is called `serving_default`.
"""

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from assay.errors import AssayError
from assay.inference import export
from assay.labels import Task
from assay.training.tensors import keras, quiet, tf

SIGNATURE = "serving_default"

Ask = Callable[[np.ndarray], np.ndarray]  # uint8 [N, H, W, C] to float32 [N, K]


def answering(model: keras.Model, *, task: Task, temperature: float) -> keras.Model:
    """Return the model with the one output `probabilities`, calibrated; raises `AssayError` as `export.answering`."""
    whole = export.answering(model, task=task, temperature=temperature)
    return keras.Model(whole.input, {"probabilities": whole.output["probabilities"]}, name="classifier")


def write_saved_model(folder: Path, model: keras.Model) -> None:
    """Write the SavedModel of what `answering` returned; two of one model differ in their bytes."""
    image = tf.TensorSpec((None, *model.input.shape[1:]), tf.uint8, name="image")
    with quiet():
        archive = keras.export.ExportArchive()
        archive.track(model)
        archive.add_endpoint("serve", lambda image: model(image, training=False), input_signature=[image])
        archive.write_out(str(folder), verbose=False)


def litert(model: keras.Model) -> bytes:
    """Return the LiteRT file of what `answering` returned, in float32; raises `AssayError` where it cannot be."""
    with _converter(model) as converter:
        return _converted(converter)


def litert_int8(model: keras.Model, images: np.ndarray) -> bytes:
    """Return the same with weights and arithmetic in 8-bit integers; raises `AssayError` where it cannot be.

    `images`: uint8 [N, H, W, C], by whose answers the ranges of the integers are chosen.
    """
    with _converter(model) as converter:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: ({"image": image[None]} for image in images)
        return _converted(converter)


@contextmanager
def _converter(model: keras.Model) -> Iterator[Any]:
    """Yield a converter by way of a SavedModel, from which it takes the names and freezes the weights."""
    with tempfile.TemporaryDirectory() as folder:
        write_saved_model(Path(folder), model)
        yield tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SIGNATURE])


def _converted(converter: Any) -> bytes:
    with quiet():
        try:
            return bytes(converter.convert())
        except Exception as error:  # TensorFlow's own are of many kinds, and some of them of no public one
            why = _why(error)
    raise AssayError(f"export: LiteRT cannot hold this network: {why}")


def _why(error: Exception) -> str:
    """Return what LiteRT has no operation for, as far as the pages that its converter says tell it."""
    text = " ".join(str(error).split()) or type(error).__name__
    missing = sorted(set(re.findall(r'"tf\.(\w+)"', text)))
    if not missing:
        return text[:300]
    small = " in floats of 16 bits (params.yaml: train.precision)" if re.search(r"xb?f16>", text) else ""
    return f"it has no operation for {', '.join(missing)}{small}"


def ask_saved_model(folder: Path) -> Ask:
    """Return what asks a SavedModel on the CPU, for a GPU multiplies in fewer bits (TF32) than the export did."""
    with quiet(), tf.device("CPU:0"):
        loaded = tf.saved_model.load(str(folder))

    def ask(pixels: np.ndarray) -> np.ndarray:
        with tf.device("CPU:0"):
            return np.asarray(loaded.signatures[SIGNATURE](image=tf.constant(pixels))["probabilities"])

    return ask


def ask_litert(content: bytes, *, threads: int) -> Ask:
    """Return what asks a LiteRT file."""
    with quiet():  # of a package that is to replace it
        interpreter = tf.lite.Interpreter(model_content=content, num_threads=threads)
        interpreter.allocate_tensors()
        runner = interpreter.get_signature_runner(SIGNATURE)

    def ask(pixels: np.ndarray) -> np.ndarray:
        return np.array(runner(image=pixels)["probabilities"])

    return ask
