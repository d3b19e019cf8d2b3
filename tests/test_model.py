import dataclasses
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from assay import files, model, params, records
from assay.errors import AssayError
from assay.labels import Task
from assay.tensors import keras, tf

model.set_up(threads=2)  # here, because it must come before the first operation of any test

ROOT = Path(__file__).parents[1]
P = dataclasses.replace(params.load(ROOT / "params.yaml").train, filters=(4, 8), dropout=0.5, epochs=1)

BUILD_AND_WRITE = """
import dataclasses, sys
from pathlib import Path
from assay import model, params, records
from test_model import P, index_of
model.set_up(threads=2, seed=3)
model.write(Path(sys.argv[1]), model.build(index_of(), P), ("ant", "bee"))
"""


def index_of(
    *, side_px: int = 8, classes: tuple[str, ...] = ("ant", "bee"), task: Task = "single_label"
) -> records.Index:
    train = records.Split(n_images=8, class_counts=(4, 4), shards=())
    size = {"height_px": side_px, "width_px": side_px, "channels": 1}
    return records.Index(classes=classes, splits={"train": train}, task=task, **size)


def built(seed: int = 3) -> keras.Model:
    model.set_up(threads=2, seed=seed)
    return model.build(index_of(), P)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8)


def test_probabilities_sum_to_one_also_for_two_classes(images: np.ndarray) -> None:
    probabilities = built().predict(images, verbose=0)
    assert probabilities.shape == (5, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("scale", "scaled"),
    [
        ("unit", lambda images: images / 255),
        ("symmetric", lambda images: images / 127.5 - 1),
        ("standard", lambda images: (images - images.mean()) / images.std()),
    ],
)
def test_the_model_scales_uint8_itself_also_after_it_was_read(
    tmp_path: Path, images: np.ndarray, scale: str, scaled: Callable[[np.ndarray], np.ndarray]
) -> None:
    of_images = model.Statistics(mean=(float(images.mean()),), deviation=(float(images.std()),))
    built = model.build(index_of(), dataclasses.replace(P, scale=scale), of_images)
    model.write(tmp_path / "m.keras", built, ("ant", "bee"))
    whole = model.read(tmp_path / "m.keras")
    front = keras.Model(whole.input, whole.get_layer("scale").output)
    assert whole.input.dtype == "uint8"
    np.testing.assert_allclose(front.predict(images, verbose=0), scaled(images.astype(np.float64)), atol=1e-5)


def test_a_channel_that_never_changes_is_scaled_to_zero() -> None:
    flat = model.Statistics(mean=(7.0,), deviation=(0.0,))
    whole = model.build(index_of(), dataclasses.replace(P, scale="standard"), flat)
    front = keras.Model(whole.input, whole.get_layer("scale").output)
    assert abs(front.predict(np.full((1, 8, 8, 1), 7, np.uint8), verbose=0)).max() < 1e-6


def test_every_block_but_the_first_halves_the_picture() -> None:
    assert built().get_layer("rectify_1b").output.shape[1:] == (8, 8, 4)
    assert built().get_layer("rectify_2b").output.shape[1:] == (4, 4, 8)


def test_too_many_blocks_for_the_picture_names_the_parameters() -> None:
    p = dataclasses.replace(P, filters=(4,) * 5)
    with pytest.raises(
        AssayError, match=r"5 blocks halve the picture 4 times, a side of 8 px allows 3 .*train\.filters"
    ):
        model.build(index_of(side_px=8), p)
    model.build(index_of(side_px=16), p)


def test_one_class_is_too_few_unless_an_image_may_be_in_none(images: np.ndarray) -> None:
    with pytest.raises(AssayError, match="at least 2"):
        model.build(index_of(classes=("ant",)), P)
    with pytest.raises(AssayError, match="classes: none; a classifier needs at least 1"):
        model.build(index_of(classes=(), task="multi_label"), P)
    assert model.build(index_of(classes=("ant",), task="multi_label"), P).predict(images, verbose=0).shape == (5, 1)


MARKS = np.array([[1, 0, 1], [0, 0, 1], [1, 1, 1], [0, 0, 0], [0, 1, 0]])


def test_multi_label_probability_of_a_class_does_not_depend_on_the_others(images: np.ndarray) -> None:
    model.set_up(threads=2, seed=3)
    whole = model.build(index_of(classes=("ant", "bee", "cow"), task="multi_label"), P)
    kernel, bias = whole.get_layer("probabilities").get_weights()
    before = whole.predict(images, verbose=0)
    whole.get_layer("probabilities").set_weights([kernel, bias + np.array([5, 0, 0])])
    after = whole.predict(images, verbose=0)
    assert (after[:, 0] > before[:, 0]).all()
    np.testing.assert_array_equal(after[:, 1:], before[:, 1:])


def test_multi_label_loss_and_accuracy_are_those_by_hand(images: np.ndarray) -> None:
    model.set_up(threads=2, seed=3)
    whole = model.build(index_of(classes=("ant", "bee", "cow"), task="multi_label"), P)
    kernel, bias = whole.get_layer("probabilities").get_weights()
    whole.get_layer("probabilities").set_weights([20 * kernel, bias + np.array([0.5, -0.5, 0.5])])
    p = whole.predict(images, verbose=0).astype(np.float64)
    losses = -np.where(MARKS == 1, np.log(p), np.log(1 - p))
    data = tf.data.Dataset.from_tensor_slices((images, MARKS)).batch(5)
    loss, accuracy = whole.evaluate(data, verbose=0)
    assert loss == pytest.approx(losses.mean(), rel=1e-4)
    assert accuracy == pytest.approx(((p >= 0.5) == MARKS).all(axis=1).mean())
    weights = np.array([[0.5, 1, 2], [3, 4, 5]])
    ((batch, labels, weighing),) = model._weighted(data, weights)
    np.testing.assert_array_equal(weighing, np.where(MARKS == 1, weights[1], weights[0]))
    loss, accuracy_again = whole.test_on_batch(batch, labels, sample_weight=weighing)
    assert loss == pytest.approx((weighing.numpy() * losses).mean(), rel=1e-4)
    assert accuracy_again == pytest.approx(accuracy)


def test_the_file_says_the_task(tmp_path: Path) -> None:
    index = index_of(task="multi_label")
    model.write(tmp_path / "m.keras", model.build(index, P), index.classes, index.task)
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert json.loads(archive.read("metadata.json"))["task"] == "multi_label"


def test_the_file_gives_back_the_predictions_and_holds_the_classes(tmp_path: Path, images: np.ndarray) -> None:
    whole = built()
    model.write(tmp_path / "model.keras", whole, ("ant", "bee"))
    again = model.read(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(images, verbose=0), whole.predict(images, verbose=0))
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert json.loads(archive.read("metadata.json"))["classes"] == ["ant", "bee"]
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_equal_weights_give_equal_bytes_in_two_processes(tmp_path: Path) -> None:
    here, there = tmp_path / "here.keras", tmp_path / "there.keras"
    model.write(here, built(), ("ant", "bee"))
    code = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]\n" + BUILD_AND_WRITE
    subprocess.run([sys.executable, "-c", code, there], check=True, cwd=ROOT)
    assert files.sha256(here) == files.sha256(there)


def test_other_weights_give_other_bytes(tmp_path: Path) -> None:
    model.write(tmp_path / "one.keras", built(seed=3), ("ant", "bee"))
    model.write(tmp_path / "two.keras", built(seed=4), ("ant", "bee"))
    assert files.sha256(tmp_path / "one.keras") != files.sha256(tmp_path / "two.keras")


def test_the_weights_of_the_best_epoch_are_kept(images: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    model.set_up(threads=2, seed=3)
    whole = model.build(index_of(), dataclasses.replace(P, learning_rate=0.05, epochs=6))
    train = batches(images, [0, 1, 0, 1, 0]).repeat(6)
    val = batches(images, [1, 0, 1, 0, 1])  # the opposite, so that val gets worse as train gets better
    fit = model.fit(whole, train, val, epochs=6, class_weights=None)
    losses = [row["val_loss"] for row in fit.epochs]
    assert fit.best_epoch == 1 + int(np.argmin(losses))
    assert losses[-1] > 1.1 * min(losses)
    val_loss, _ = whole.evaluate(val, verbose=0)
    assert val_loss == pytest.approx(min(losses), rel=1e-4)
    assert capsys.readouterr().out.count("\n") == 6


def batches(images: np.ndarray, labels: list[int]) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(5)
