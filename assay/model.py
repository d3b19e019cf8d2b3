"""The classifier: a small convolutional network in Keras, and its file.

It takes uint8 images [N, H, W, C] in [0, 255], scales them itself, and returns float32 probabilities [N, K]; the order
of the classes is that of records.json. Of a single-label set they sum to 1 (softmax); of a multi-label set each class
has its own (sigmoid). `accuracy` is the share of images that are right: of a multi-label set in every class.
"""

import io
import json
import math
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assay import files, params
from assay.errors import AssayError
from assay.labels import ACCURACY, THRESHOLD, Task
from assay.records import Index
from assay.tensors import keras, quiet, tf

NO_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip can hold


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Of each channel over all pixels of the train split, in [0, 255]."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Fit:
    best_epoch: int  # from 1
    epochs: tuple[dict[str, float], ...]  # of each: loss, accuracy, val_loss, val_accuracy


def set_up(*, threads: int, seed: int = 0) -> str:
    """Return the device, after making what follows give the same bits in every process.

    To be called before any other use of TensorFlow.

    Only for the same number of threads, versions and kind of processor: each of them changes the order of sums.
    """
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(seed)
    with quiet():
        gpus = tf.config.list_physical_devices("GPU")
    return f"{len(gpus)} GPU" if gpus else f"the CPU, {threads} threads"


def build(index: Index, p: params.Train, statistics: Statistics | None = None) -> keras.Model:
    """Return the compiled model for the images of `index`; `statistics` are wanted for `p.scale` "standard" only.

    Raises `AssayError` for fewer than two classes (one, if multi-label), and for pictures that `p.filters` would halve
    to nothing. AdamW: https://arxiv.org/abs/1711.05101; the cosine: https://arxiv.org/abs/1608.03983
    """
    _check(index, p)
    image = keras.Input((index.height_px, index.width_px, index.channels), dtype="uint8", name="image")
    x = _scale(p.scale, statistics)(image)
    for number, filters in enumerate(p.filters, 1):
        if number > 1:
            x = keras.layers.MaxPooling2D(name=f"halve_{number}")(x)
        x = _convolve(_convolve(x, filters, f"{number}a"), filters, f"{number}b")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    x = keras.layers.Dropout(p.dropout, name="dropout")(x)
    activation = "sigmoid" if index.task == "multi_label" else "softmax"
    probabilities = keras.layers.Dense(len(index.classes), activation=activation, name="probabilities")(x)
    model = keras.Model(image, probabilities, name="classifier")
    steps = p.epochs * math.ceil(index.splits["train"].n_images / p.batch_images)
    rate = keras.optimizers.schedules.CosineDecay(p.learning_rate, decay_steps=steps)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=p.weight_decay)
    if index.task == "multi_label":
        model.compile(optimizer, loss=_cross_entropies, metrics=[keras.metrics.MeanMetricWrapper(_exact, "accuracy")])
    else:
        model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _cross_entropies(labels: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
    """Return the binary cross-entropy of each decision [N, K], so that each can have its own weight."""
    return keras.ops.binary_crossentropy(labels, probabilities)


def _exact(labels: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
    """Return 1 for each image whose every class is right, else 0 [N]."""
    return tf.reduce_all((labels > 0) == (probabilities >= THRESHOLD), axis=-1)


def _check(index: Index, p: params.Train) -> None:
    least = 1 if index.task == "multi_label" else 2
    if len(index.classes) < least:
        seen = ", ".join(index.classes) or "none"
        raise AssayError(f"classes: {seen}; a classifier needs at least {least} (data/records.json)")
    halvings, side = len(p.filters) - 1, min(index.height_px, index.width_px)
    if side >> halvings == 0:
        raise AssayError(
            f"filters: {len(p.filters)} blocks halve the picture {halvings} times, a side of {side} px allows "
            f"{side.bit_length() - 1} (params.yaml: train.filters or preprocess.height_px and width_px)"
        )


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


def _convolve(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"convolve_{name}")(x)
    x = keras.layers.BatchNormalization(momentum=0.9, name=f"normalize_{name}")(x)
    return keras.layers.ReLU(name=f"rectify_{name}")(x)


def fit(
    model: keras.Model,
    train: tf.data.Dataset,
    val: tf.data.Dataset,
    *,
    epochs: int,
    task: Task = "single_label",
    class_weights: Mapping[int, float] | np.ndarray | None,
) -> Fit:
    """Return what every epoch measured; the model keeps the weights of the epoch with the lowest val loss.

    `train` holds the batches of all epochs, `val` those of one. `class_weights`: of each class, or of a multi-label set
    [2, K]: what a decision against and for each class weighs. The loss and accuracy of train are measured on the way:
    augmented, with dropout, weighted. Raises `AssayError` when the loss is no number.
    """
    best = keras.callbacks.EarlyStopping(monitor="val_loss", patience=epochs, restore_best_weights=True)
    word = ACCURACY[task]
    told = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: _tell(epoch + 1, epochs, word, logs))
    weighted = _weighted(train, class_weights) if isinstance(class_weights, np.ndarray) else train
    history = model.fit(
        weighted,
        epochs=epochs,
        steps_per_epoch=int(train.cardinality()) // epochs,
        validation_data=val,
        class_weight=None if isinstance(class_weights, np.ndarray) else class_weights,
        shuffle=False,
        callbacks=[told, best],
        verbose=0,
    ).history
    rows = tuple(dict(zip(history, values, strict=True)) for values in zip(*history.values(), strict=True))
    return Fit(best_epoch=best.best_epoch + 1, epochs=rows)


def _weighted(batches: tf.data.Dataset, class_weights: np.ndarray) -> tf.data.Dataset:
    """Return the batches with the weight of each decision [N, K]."""
    against, for_it = tf.constant(class_weights, tf.float32)
    return batches.map(lambda images, labels: (images, labels, tf.where(labels > 0, for_it, against)))


def _tell(epoch: int, epochs: int, word: str, logs: Mapping[str, float]) -> None:
    if not all(math.isfinite(value) for value in logs.values()):
        raise AssayError(
            f"loss: {logs['loss']} on train and {logs['val_loss']} on val in epoch {epoch}; "
            "a lower rate or decay may help (params.yaml: train.learning_rate, train.weight_decay)"
        )
    print(
        f"epoch {epoch:>{len(str(epochs))}}/{epochs}  train: loss {logs['loss']:.4f}, {word} {logs['accuracy']:.4f}"
        f"  val: loss {logs['val_loss']:.4f}, {word} {logs['val_accuracy']:.4f}",
        flush=True,
    )


def write(file: Path, model: keras.Model, classes: Sequence[str], task: Task = "single_label") -> None:
    """Write the model without its optimizer, as a .keras file whose bytes only its weights and classes decide.

    Keras itself writes dates and memory addresses (`shared_object_id`) into it. metadata.json has classes and task.
    """
    members = _members(keras.Model(model.input, model.output, name=model.name))
    metadata = json.loads(members["metadata.json"])
    metadata |= {"date_saved": "1980-01-01@00:00:00", "task": task, "classes": list(classes)}
    members["metadata.json"] = json.dumps(metadata).encode()
    members["config.json"] = json.dumps(_renumbered(json.loads(members["config.json"]), {})).encode()
    with files.replacing(file) as out, zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, NO_DATE), content)


def _members(model: keras.Model) -> dict[str, bytes]:
    """Return the files inside the .keras file that Keras writes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.keras"
        model.save(file)
        with zipfile.ZipFile(io.BytesIO(file.read_bytes())) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


def _renumbered(config: Any, numbers: dict[int, int]) -> Any:
    """Return the config with its shared_object_ids counted from 1 in the order of their appearance."""
    if isinstance(config, list):
        return [_renumbered(item, numbers) for item in config]
    if not isinstance(config, dict):
        return config
    if "shared_object_id" in config:
        number = numbers.setdefault(config["shared_object_id"], len(numbers) + 1)
        config = {**config, "shared_object_id": number}
    return {key: _renumbered(value, numbers) for key, value in config.items()}


def read(file: Path) -> keras.Model:
    """Return the model, ready to predict; it is not compiled."""
    return keras.saving.load_model(file, compile=False)
