from pathlib import Path

import numpy as np
import pytest

from assay.training import fingerprint
from assay.training.normalisation import BatchNormalization
from assay.training.tensors import keras, set_up

set_up(threads=2)  # here, because it must come before the first operation of any test


def small(normalise: keras.Layer | None = None) -> keras.Model:
    image = keras.Input((2, 2, 1), dtype="uint8", name="image")
    x = keras.layers.Rescaling(1.0, name="scale")(image)
    x = normalise(x) if normalise else x
    return keras.Model(image, keras.layers.Dense(2, name="logits")(keras.layers.Flatten()(x)))


def test_sums_are_those_by_hand_to_six_digits() -> None:
    model = small()
    kernel = np.array([[1, -2], [0.5, 0], [0, 0], [0, 123.4567]])
    model.set_weights([kernel, np.array([0, -1])])
    images = np.array([[[[1], [2]], [[3], [4]]]], np.uint8)
    assert fingerprint.of_weights(model)["weights"] == 127.957
    assert fingerprint.of_batch(model, images) == {"pixels": 10.0, "logits": 492.827}  # 2 and -2 - 1 + 493.8268


def test_the_last_bit_of_one_weight_is_seen_where_the_sum_is_blind() -> None:
    model = small()
    before = fingerprint.of_weights(model)
    kernel, bias = model.get_weights()
    kernel[0, 0] = np.nextafter(kernel[0, 0], np.float32(9))
    model.set_weights([kernel, bias])
    after = fingerprint.of_weights(model)
    assert before["weights"] == after["weights"]
    assert before["bits"] != after["bits"]
    assert fingerprint.parted({"first_step": before}, {"first_step": after}) == (
        f"first_step.bits: {before['bits']} and {after['bits']}"
    )


def test_the_first_moment_that_differs_is_named() -> None:
    one = {"first_batch": {"pixels": 1.0}, "first_step": {"weights": 2.0}, "end": {"weights": 3.0}}
    assert fingerprint.parted(one, one) is None
    assert fingerprint.parted(one, one | {"end": {"weights": 4.0}}) == "end.weights: 3.0 and 4.0"
    assert fingerprint.parted(one, {"first_batch": {"pixels": 9.0}, "end": {"weights": 4.0}}) == (
        "first_batch.pixels: 1.0 and 9.0"
    )


@pytest.fixture
def processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(fingerprint, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(fingerprint.platform, "machine", lambda: "x86_64")
    (tmp_path / "cpuinfo").write_text("model name\t: any\nflags\t\t: fpu avx avx2 fma\n")
    return tmp_path / "cpuinfo"


def test_nothing_is_reserved_where_the_promise_holds(processor: Path) -> None:
    assert fingerprint.reservations(small(BatchNormalization()), portable=True, gpus=0) == []


def test_what_may_differ_elsewhere_is_said(processor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def said(model: keras.Model, *, portable: bool = True, gpus: int = 0) -> str:
        (only,) = fingerprint.reservations(model, portable=portable, gpus=gpus)
        return only

    assert said(small(), portable=False).startswith("train.portable is off")
    assert said(small(), gpus=1).startswith("a GPU computed")
    assert said(small(keras.layers.BatchNormalization(name="theirs"))).startswith("theirs: Keras' own normalisation")
    processor.write_text("flags\t\t: fpu avx avx2_not\n")
    assert said(small()).startswith("this processor lacks AVX2")
    monkeypatch.setattr(fingerprint.platform, "machine", lambda: "aarch64")
    assert said(small()) == "this is no x86 processor (aarch64): its kernels give other bits"
