"""Where two runs of one commit part: a few sums to six digits, and why this machine's may not be another's.

Sums say how far two runs are apart, `bits` whether they are apart at all. `pixels` part where the data or their
augmentation do, `logits` where the network computes otherwise, `weights` where it learns otherwise.
"""

import platform
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from assay.training.normalisation import BatchNormalization
from assay.training.steps import outputs_of
from assay.training.tensors import keras, tf

MOMENTS = ("first_batch", "first_step", "first_epoch", "end")  # in the order of a run
CPUINFO = Path("/proc/cpuinfo")
APPROXIMATING = (keras.layers.BatchNormalization, keras.layers.LayerNormalization, keras.layers.GroupNormalization)

Moment = dict[str, float | str]


def of_batch(model: keras.Model, images: tf.Tensor) -> Moment:
    """Return the sums of a batch of images and of what the model says of them as it is; nothing is learnt."""
    logits = keras.Model(model.input, outputs_of(model)["logits"])(images, training=False)
    return {"pixels": _sum(images), "logits": _sum(logits)}


def of_weights(model: keras.Model) -> Moment:
    """Return the sum of the sizes of all weights, and a checksum of their bits."""
    values = [np.ascontiguousarray(weight) for weight in model.get_weights()]
    crc = 0
    for value in values:
        crc = zlib.crc32(value.tobytes(), crc)
    return {
        "weights": _digits(sum(float(np.abs(value, dtype=np.float64).sum()) for value in values)),
        "bits": f"{crc:08x}",
    }


def _sum(values: tf.Tensor) -> float:
    return _digits(float(np.abs(np.asarray(values, np.float64)).sum()))


def _digits(value: float) -> float:
    return float(f"{value:.6g}")


def parted(one: Mapping[str, Moment], other: Mapping[str, Moment]) -> str | None:
    """Return where two fingerprints differ for the first time, as `first_step.bits: 1a… and 2b…`; None: nowhere."""
    for moment in MOMENTS:
        mine, theirs = one.get(moment, {}), other.get(moment, {})
        for name in mine.keys() & theirs.keys():
            if mine[name] != theirs[name]:
                return f"{moment}.{name}: {mine[name]} and {theirs[name]}"
    return None


def reservations(model: keras.Model, *, portable: bool, gpus: int) -> list[str]:
    """Return why another machine may give other bits for the same commit, in plain words; empty: none is known."""
    found = []
    if not portable:
        found.append("train.portable is off: each kind of processor gives other bits")
    if gpus:
        found.append("a GPU computed: another model of GPU or version of its libraries gives other bits")
    if (machine := platform.machine()) not in ("x86_64", "AMD64"):
        found.append(f"this is no x86 processor ({machine}): its kernels give other bits")
    elif not _has_avx2():
        found.append("this processor lacks AVX2: those that have it give other bits")
    if layers := [layer.name for layer in model.layers if approximates(layer)]:
        named = ", ".join(layers[:3]) + (", …" if len(layers) > 3 else "")
        found.append(f"{named}: Keras' own normalisation, which AMD and Intel round differently")
    return found


def approximates(layer: keras.Layer) -> bool:
    """Say whether the layer computes square roots as the processor approximates them."""
    return isinstance(layer, APPROXIMATING) and not isinstance(layer, BatchNormalization)


def _has_avx2() -> bool:
    """Say what the kernel says; where it is silent, as on macOS and Windows, a processor of today has it."""
    return not CPUINFO.exists() or _names("avx2", CPUINFO.read_text().splitlines())


def _names(flag: str, lines: Sequence[str]) -> bool:
    return any(flag in line.split() for line in lines if line.startswith("flags"))
