"""Training gives the same bytes on other processors than this one, as far as they can be shown here."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import processors
import pytest

ROOT = Path(__file__).parents[2]

TRAIN = """
import dataclasses, hashlib, json, sys
from pathlib import Path
import numpy as np
from assay import params
from assay.dataset.records import contents
from assay.training.tensors import keras, set_up, tf
from assay.training import augment, network

def trained(name, activation, side):
    set_up(threads=2, seed=3)
    p = params.load(Path("params.yaml")).train
    transfer = dataclasses.replace(p.transfer, weights="none")
    p = dataclasses.replace(p, network=name, filters=(8, 16), activation=activation, transfer=transfer)
    split = contents.Split(n_images=64, class_counts=(32, 32), shards=())
    size = {"height_px": side, "width_px": side, "channels": 1}
    index = contents.Index(classes=("a", "b"), splits={"train": split}, **size)
    images = np.random.default_rng(0).integers(0, 256, (64, side, side, 1), dtype=np.uint8)
    model = network.build(index, p, own=Path("networks"))
    # AdamW takes a tenth of a second to trace for each weight, and computes each number by itself: one network has it.
    optimizer = keras.optimizers.AdamW(0.002, weight_decay=0.0001) if name == "cnn" else keras.optimizers.SGD(0.05)
    model.compile(optimizer, loss="sparse_categorical_crossentropy")
    change = augment.Strengths(**dataclasses.asdict(augment.PRESETS["strong"]) | {"flip": "horizontal"})
    data = tf.data.Dataset.from_tensor_slices((images, np.arange(64) % 2)).batch(16).repeat(2).enumerate()
    model.fit(data.map(lambda step, batch: (augment.apply(batch[0], tf.stack([3, step]), change), batch[1])), verbose=0)
    bits = [weight.tobytes() for weight in model.get_weights()] + [model.predict(images, verbose=0).tobytes()]
    return hashlib.sha256(b"".join(bits)).hexdigest()

print(json.dumps({name: trained(name, *how) for name, how in json.loads(sys.argv[1]).items()}))
"""
# The activation, and the side of the pictures in px.
OURS = {"cnn": ("relu", 64), "resnet": ("gelu", 16), "two_branch": ("silu", 16)}
BACKBONES = {"MobileNetV2": ("relu", 32), "EfficientNetB0": ("relu", 32)}
NETWORKS = OURS | BACKBONES
OTHERS = ("skylake-x", "zen3", "zen4")
Trained = Callable[..., dict[str, str]]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Return a function that gives the hash of each network after its training on a processor, in one process."""
    shown = processors.library(tmp_path_factory.mktemp("processor"))

    @cache
    def on(processor: str, names: tuple[str, ...] = tuple(NETWORKS)) -> dict[str, str]:
        code = f"import os; os.chdir({str(ROOT)!r})\n{TRAIN}"
        networks = json.dumps({name: NETWORKS[name] for name in names})
        printed = processors.run(shown, processor, code, networks, PYTHONPATH=str(ROOT))
        return dict(json.loads(printed))

    return on


def test_what_is_promised_ends_at_avx2(trained: Trained) -> None:
    """And the bytes are no constant, or the other tests would show nothing."""
    assert trained("sandybridge", ("cnn",))["cnn"] != trained("haswell")["cnn"]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_kind_of_network_gives_the_same_bytes_on_another_processor(trained: Trained, name: str) -> None:
    assert trained("haswell")[name] == trained("")[name]


@pytest.mark.parametrize("processor", OTHERS)
@pytest.mark.parametrize("name", OURS)
def test_every_network_of_ours_gives_the_same_bytes_on_every_processor_with_avx2(
    trained: Trained, processor: str, name: str
) -> None:
    assert trained(processor, tuple(OURS))[name] == trained("")[name]


@pytest.mark.large
@pytest.mark.parametrize("processor", OTHERS)
@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_gives_the_same_bytes_on_every_processor_with_avx2(
    trained: Trained, processor: str, name: str
) -> None:
    assert trained(processor, tuple(BACKBONES))[name] == trained("")[name]
