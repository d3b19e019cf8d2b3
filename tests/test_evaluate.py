import dataclasses
import json
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from test_dataset import write_data

from assay import dataset, files, manifest, model, params
from assay.errors import AssayError
from tasks import evaluate

ROOT = Path(__file__).parents[1]
P = params.load(ROOT / "params.yaml")


def write_inputs(folder: Path) -> None:
    """Write the shards, a manifest, its pass and an untrained model, which is wrong about many images."""
    index = write_data(folder, counts={"train": (3, 3, 3), "val": (1, 1, 1), "test": (4, 5, 6)})
    rows = [
        {"path": f"{index.classes[label]}/<{sha256.decode()[:8]}>.png", "label": index.classes[label], "split": split}
        | {"sha256": sha256.decode(), "bytes": 1, "decodable": True, "reason": "", "format": "PNG", "width_px": 16}
        | {"height_px": 16, "mode": "L", "pixels": sha256.decode(), "batch": "0001-0.tar", "offset": 0}
        for split in manifest.SPLITS
        for _, numbers, hashes in dataset.named(folder / P.paths.records, index, split, batch_images=8)
        for label, sha256 in zip(numbers.numpy(), hashes.numpy(), strict=True)
    ]
    manifest.write(folder / P.paths.manifest, pd.DataFrame(rows, columns=manifest.SCHEMA.names))
    passed = {"gate": "open", "manifest": files.sha256(folder / P.paths.manifest)}
    files.write_json(folder / P.paths.passed, passed)
    model.set_up(threads=2, seed=0)
    untrained = model.build(index, dataclasses.replace(P.train, filters=(4, 8)))
    model.write(folder / P.paths.model, untrained, index.classes)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, before = tmp_path_factory.mktemp("evaluate"), Path.cwd()
    write_inputs(folder)
    os.chdir(folder)
    try:
        evaluate.main(dataclasses.replace(P, threads=2))
    finally:
        os.chdir(before)
    return folder


@pytest.fixture(scope="module")
def predictions(evaluated: Path) -> pd.DataFrame:
    return pd.read_csv(evaluated / P.paths.predictions)


def test_there_is_one_prediction_per_test_image_sorted_by_sha256(evaluated: Path, predictions: pd.DataFrame) -> None:
    rows = manifest.read(evaluated / P.paths.manifest)
    test = rows[rows["split"] == "test"].set_index("sha256")["label"]
    assert predictions["sha256"].tolist() == sorted(test.index)
    assert predictions["label"].tolist() == test[predictions["sha256"]].tolist()


def test_the_columns_of_the_predictions_agree(predictions: pd.DataFrame) -> None:
    of_class = predictions[["p_a", "p_b", "p_c"]]
    np.testing.assert_allclose(of_class.sum(axis=1), 1, atol=3e-6)
    assert (of_class.idxmax(axis=1) == "p_" + predictions["predicted"]).all()
    np.testing.assert_array_equal(of_class.max(axis=1), predictions["probability"])


def test_metrics_are_those_of_the_predictions(evaluated: Path, predictions: pd.DataFrame) -> None:
    found = json.loads((evaluated / P.paths.metrics.eval).read_text())["eval"]
    actual, predicted = predictions["label"], predictions["predicted"]
    probabilities = predictions[["p_a", "p_b", "p_c"]].to_numpy()
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    expected = {
        "accuracy": sklearn.metrics.accuracy_score(actual, predicted),
        "baseline_accuracy": 6 / 15,
        "macro_f1": sklearn.metrics.f1_score(actual, predicted, average="macro"),
        "balanced_accuracy": sklearn.metrics.balanced_accuracy_score(actual, predicted),
        "log_loss": sklearn.metrics.log_loss(actual, probabilities),
        "auc": sklearn.metrics.roc_auc_score(actual, probabilities, multi_class="ovr"),
        "n_images": 15,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-4)
    assert found["accuracy_low"] < found["accuracy"] < found["accuracy_high"]
    assert {name: score["n"] for name, score in found["class"].items()} == {"a": 4, "b": 5, "c": 6}


def test_confusion_counts_every_pair_of_classes(evaluated: Path, predictions: pd.DataFrame) -> None:
    rows = pd.read_csv(evaluated / P.paths.confusion)
    assert len(rows) == 9
    found = rows.pivot(index="actual", columns="predicted", values="count").to_numpy()
    np.testing.assert_array_equal(
        found, sklearn.metrics.confusion_matrix(predictions["label"], predictions["predicted"], labels=["a", "b", "c"])
    )


def test_plots_have_their_columns(evaluated: Path) -> None:
    roc = pd.read_csv(evaluated / P.paths.roc)
    assert list(roc) == ["class", "false_positive_rate", "true_positive_rate"]
    assert set(roc["class"]) == {"a", "b", "c"}
    calibration = pd.read_csv(evaluated / P.paths.calibration)
    assert list(calibration) == ["confidence", "accuracy", "n_images"]
    assert calibration["n_images"].sum() == 15


def test_the_page_shows_each_wrong_image_with_its_path_and_needs_no_network(
    evaluated: Path, predictions: pd.DataFrame
) -> None:
    page = (evaluated / P.paths.evaluation / "index.html").read_text()
    wrong = predictions[predictions["label"] != predictions["predicted"]].sort_values("probability", ascending=False)
    assert page.count("data:image/png;base64,") == len(wrong) > 3
    shown = re.findall(r'alt="(\w)/&lt;(\w+)&gt;\.png"', page)
    assert shown == list(zip(wrong["label"], wrong["sha256"].str[:8], strict=True))
    assert not re.search(r"https?://", page)


def test_evaluating_again_gives_the_same_bytes(evaluated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outs = [P.paths.predictions, P.paths.metrics.eval, P.paths.confusion, P.paths.evaluation / "index.html"]
    monkeypatch.chdir(evaluated)
    before = [files.sha256(file) for file in outs]
    evaluate.main(dataclasses.replace(P, threads=2))
    assert [files.sha256(file) for file in outs] == before


def test_closed_gate_stops_the_evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    P.paths.passed.unlink()
    with pytest.raises(AssayError, match="the gate is closed"):
        evaluate.main(P)
    assert not P.paths.metrics.eval.exists()


def test_empty_test_split_is_said(tmp_path: Path) -> None:
    index = write_data(tmp_path, counts={"test": (0, 0)})
    with pytest.raises(AssayError, match=r"test: 0 images.*test_share"):
        evaluate.predict(P.paths, index)


def test_classes_whose_names_clash_keep_their_own_metrics() -> None:
    score = evaluate.metrics.ClassScore(n=1, precision=1, recall=1, recall_low=0, recall_high=1, f1=1)
    found = evaluate.as_metrics({}, {"v1.0": score, "v1 0": score, "v1_0": score})
    assert len(found["class"]) == 3
    assert not any("." in name for name in found["class"])


def test_class_that_no_test_image_has_leaves_no_hole_in_the_metrics() -> None:
    counts = evaluate.metrics.confusion(np.array([0, 1]), np.array([0, 1]), 3)
    scores = dict(zip("abc", evaluate.metrics.by_class(counts, 0.95), strict=True))
    assert evaluate.as_metrics({}, scores)["class"]["c"] == {"precision": 0, "recall": 0, "f1": 0, "n": 0}
