import dataclasses
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
import yaml
from checkouts import ROOT
from shards_made import write_data, write_sets

from assay import files, params
from assay.dataset.records import contents
from assay.errors import AssayError
from assay.training import batches as dataset
from assay.training import devices, job, keras_file
from assay.training.tensors import tf
from tasks import train

RECORD = ("record.json", "margins.npz", "augmented.png")
OUTS = ("models/model.keras", "metrics/train.json", "plots/history.csv", *(f"reports/training/{n}" for n in RECORD))
SMALL = {"filters": [4], "epochs": 2, "batch_images": 4, "keep": "best"}
SETS: dict[str, Any] = {"batch_images": 8, "dropout": 0}


def set_small(folder: Path) -> params.Params:
    """Write a params.yaml that trains in seconds, and the pass of an open gate."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["train"] |= SMALL
    content["threads"] = 2
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    p = params.load(folder / "params.yaml")
    files.write_json(folder / p.paths.passed, {"gate": "open", "manifest": "any", "set_aside": []})
    files.write_json(folder / p.paths.verified, {"index": files.sha256(folder / p.paths.index)})
    return p


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `train` ran on 14 images of two classes."""
    folder = tmp_path_factory.mktemp("train")
    write_data(folder, counts={"train": (9, 5), "val": (2, 2), "test": (2, 2)})
    run_in(folder)
    return folder


def hashes(folder: Path) -> dict[str, str]:
    return {name: files.sha256(folder / name) for name in OUTS}


def run_in(folder: Path) -> None:
    before = Path.cwd()
    os.chdir(folder)
    try:
        train.main(set_small(folder))
    finally:
        os.chdir(before)


def test_metrics_are_finite_numbers_of_the_best_epoch(trained: Path) -> None:
    found = json.loads((trained / "metrics/train.json").read_text())["train"]
    assert set(found) == {
        *("loss", "accuracy", "val_loss", "val_accuracy", "gap"),
        *("best_epoch", "kept_by", "epochs", "n_parameters", "fingerprint"),
    }
    assert all(math.isfinite(value) for value in found.values() if not isinstance(value, str | dict))
    assert found["gap"] == pytest.approx(found["accuracy"] - found["val_accuracy"], abs=2e-5)
    history = pd.read_csv(trained / "plots/history.csv")
    best = history.loc[history["val_loss"].idxmin()]
    assert found["best_epoch"] == best["epoch"]
    assert found["val_loss"] == pytest.approx(best["val_loss"], abs=1e-4)


def test_history_has_a_row_per_epoch(trained: Path) -> None:
    history = pd.read_csv(trained / "plots/history.csv")
    assert list(history) == ["epoch", "loss", "val_loss", "accuracy", "val_accuracy", "rate"]
    assert history["epoch"].tolist() == [1, 2]


def test_the_numbers_are_those_of_the_written_model(trained: Path) -> None:
    index = contents.read_index(trained / "data/records.json")
    saved = keras_file.read(trained / "models/model.keras")
    found = json.loads((trained / "metrics/train.json").read_text())["train"]
    for split, key in (("train", "accuracy"), ("val", "val_accuracy")):
        batches = list(dataset.ordered(trained / "data/records", index, split, batch_images=4))
        right = [saved.predict_on_batch(images).argmax(axis=1) == labels.numpy() for images, labels in batches]
        assert found[key] == pytest.approx(np.concatenate(right).mean(), abs=1e-5)


@pytest.mark.slow
def test_training_again_gives_the_same_bytes_and_ends_what_was_known_of_one_that_was_stopped(
    trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained / "data", tmp_path / "data")
    stopped = tmp_path / set_small(tmp_path).paths.memo.training / "stopped.json"
    files.write_json(stopped, {"said": "nan"})
    run_in(tmp_path)
    assert not stopped.exists()
    assert hashes(tmp_path) == hashes(trained)


@pytest.mark.slow
def test_training_in_another_process_gives_the_same_bytes(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "data", tmp_path / "data")
    set_small(tmp_path)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "tasks.train"], cwd=tmp_path, env=environment, check=True)
    assert hashes(tmp_path) == hashes(trained)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"train": (0, 0), "val": (1, 1)}, "train: 0 images"),
        ({"train": (2, 2), "val": (0, 0)}, "val: 0 images"),
        ({"train": (2, 0), "val": (1, 1)}, "train: no image of b"),
    ],
)
def test_nothing_to_learn_from_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counts: dict[str, tuple[int, ...]], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path, counts=counts)
    with pytest.raises(AssayError, match=message):
        train.main(set_small(tmp_path))
    assert not (tmp_path / "models").exists()


@pytest.mark.slow
def test_a_rate_that_blows_up_leaves_no_model_and_what_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path, counts={"train": (3, 3), "val": (1, 1)})
    p = set_small(tmp_path)
    with pytest.raises(AssayError, match="learning_rate") as raised:
        train.main(dataclasses.replace(p, train=dataclasses.replace(p.train, learning_rate=1e30)))
    assert not (tmp_path / "models").exists()
    stopped = p.paths.memo.training / "stopped.json"
    content = files.read_json(stopped)  # for who asks why: `assay diagnose`
    assert content["said"] == str(raised.value)
    assert content["record"]["recipe"]["learning_rate"] == 1e30


def train_sets(folder: Path, **changes: Any) -> None:
    """Let `train` learn the images of a folder that are each in some of three classes."""
    p = set_small(folder)
    still = dataclasses.replace(p.train.augment, preset="none")
    train.main(dataclasses.replace(p, train=dataclasses.replace(p.train, **SETS | changes, augment=still)))


@pytest.mark.slow
def test_multi_label_network_learns_and_its_numbers_are_those_of_the_written_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    index = write_sets(tmp_path, n_images={"train": 96, "val": 24})
    train_sets(tmp_path, epochs=12, filters=(8, 16), learning_rate=0.1, optimizer="sgd")
    found = json.loads((tmp_path / "metrics/train.json").read_text())["train"]
    assert found["val_accuracy"] > 0.8  # by chance 1 in 8
    assert (
        f"exact match {found['accuracy']:.4f} on train, {found['val_accuracy']:.4f} on val" in capsys.readouterr().out
    )
    saved = keras_file.read(tmp_path / "models/model.keras")
    ((images, labels),) = dataset.ordered(tmp_path / "data/records", index, "val", batch_images=24)
    marks = saved.predict_on_batch(images) >= 0.5
    assert found["val_accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(labels, marks), abs=1e-5)


@pytest.mark.slow
def test_multi_label_network_learns_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_sets(tmp_path, n_images={"train": 16, "val": 8})
    made = []
    for _ in range(2):
        train_sets(tmp_path, filters=(4,))
        made.append(hashes(tmp_path))
    assert made[0] == made[1]


@pytest.mark.slow
def test_what_was_trained_with_half_the_bits_answers_with_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "check", lambda p, n_gpus: None)  # as if there were a GPU
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path, counts={"train": (5, 5), "val": (2, 2)})
    p = set_small(tmp_path)
    try:
        train.train(p.paths, dataclasses.replace(p.train, precision="mixed_float16"), seed=p.seed, threads=p.threads)
        model = keras_file.read(p.paths.model)
        assert {layer.dtype_policy.compute_dtype for layer in model.layers[1:]} == {"float32"}
    except tf.errors.AbortedError as error:
        # TensorFlow asks whether the processor has AVX512-FP16, and oneDNN, which is bound to AVX2, has no kernel.
        if "could not create a primitive" not in str(error):
            raise
        pytest.skip("no convolution with 16 bits on this processor without a GPU")
    finally:
        devices.compute_with("float32")


def test_standard_scaling_is_learnt_from_the_train_split_alone(tmp_path: Path) -> None:
    write_data(tmp_path, counts={"train": (3, 3), "val": (1, 1)})
    index = contents.read_index(tmp_path / "data/records.json")
    paths = dataclasses.replace(set_small(tmp_path).paths, records=tmp_path / "data/records")
    standard = dataclasses.replace(set_small(tmp_path).train, scale="standard")
    found = job.statistics(paths.records, index, standard)
    pixels = np.concatenate(
        [images.numpy() for images, _ in dataset.ordered(paths.records, index, "train", batch_images=2)]
    )
    assert found is not None
    assert found.mean == pytest.approx((pixels.mean(),))
    assert job.statistics(paths.records, index, dataclasses.replace(standard, scale="unit")) is None
