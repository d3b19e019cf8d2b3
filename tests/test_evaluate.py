import dataclasses
import json
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from test_dataset import write_data, write_sets

from assay import dataset, files, manifest, model, params, records
from assay.errors import AssayError
from assay.labels import Task
from assay.tensors import keras, tf
from tasks import evaluate

ROOT = Path(__file__).parents[1]
P = params.load(ROOT / "params.yaml")


def write_inputs(folder: Path, task: Task = "single_label") -> None:
    """Write the shards, a manifest, its pass and an untrained model, which is wrong about many images."""
    if task == "multi_label":
        index = write_sets(folder, n_images={"train": 8, "val": 8, "test": 20})
    else:
        index = write_data(folder, counts={"train": (3, 3, 3), "val": (1, 1, 1), "test": (4, 5, 6)})
    rows = [
        {"path": f"{_label(label, index)}/<{sha256.decode()[:8]}>.png", "label": _label(label, index), "split": split}
        | {"sha256": sha256.decode(), "bytes": 1, "decodable": True, "reason": "", "format": "PNG", "width_px": 16}
        | {"height_px": 16, "mode": "L", "pixels": sha256.decode(), "batch": "0001-0.tar", "offset": 0}
        for split in manifest.SPLITS
        for _, numbers, hashes in dataset.named(folder / P.paths.records, index, split, batch_images=8)
        for label, sha256 in zip(numbers.numpy(), hashes.numpy(), strict=True)
    ]
    table = pd.DataFrame(rows, columns=manifest.SCHEMA.names).astype(dict.fromkeys(manifest.PIXELS, object))
    manifest.write(folder / P.paths.manifest, table, task)
    passed = {"gate": "open", "manifest": files.sha256(folder / P.paths.manifest), "set_aside": []}
    files.write_json(folder / P.paths.passed, passed)
    files.write_json(folder / P.paths.verified, {"index": files.sha256(folder / P.paths.index)})
    model.set_up(threads=2, seed=0)
    untrained = model.build(index, dataclasses.replace(P.train, filters=(4, 8)))
    if task == "multi_label":
        spread(untrained, dataset.ordered(folder / P.paths.records, index, "test", batch_images=20))
    model.write(folder / P.paths.model, untrained, index.classes, task)


def spread(untrained: keras.Model, images: tf.data.Dataset) -> None:
    """Set the last bias so that the model names each class in half of the images."""
    p = untrained.predict(images, verbose=0)
    kernel, bias = untrained.get_layer("probabilities").get_weights()
    untrained.get_layer("probabilities").set_weights([kernel, bias - np.median(np.log(p / (1 - p)), axis=0)])


def _label(label: np.ndarray, index: records.Index) -> str:
    if index.task == "single_label":
        return index.classes[label]
    return "|".join(name for name, is_so in zip(index.classes, label, strict=True) if is_so)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return evaluate_in(tmp_path_factory.mktemp("evaluate"), "single_label")


@pytest.fixture(scope="module")
def evaluated_sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return evaluate_in(tmp_path_factory.mktemp("evaluate"), "multi_label")


def evaluate_in(folder: Path, task: Task) -> Path:
    before = Path.cwd()
    write_inputs(folder, task)
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
    assert list(calibration) == ["confidence", "accuracy", "n"]
    assert calibration["n"].sum() == 15


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


def test_no_test_image_in_any_class_is_said(tmp_path: Path) -> None:
    index = write_sets(tmp_path, n_images={"test": 1})
    with pytest.raises(AssayError, match="test: none of 1 images is in a class"):
        evaluate.predict(P.paths, index)


SCORE = evaluate.metrics.ClassScore(
    n=1, n_named=1, n_found=1, precision=1, precision_low=0, precision_high=1, recall=1, recall_low=0, recall_high=1,
    f1=1, auc=None, average_precision=None,
)  # fmt: skip


def test_classes_whose_names_clash_keep_their_own_metrics() -> None:
    found = evaluate.as_metrics({}, {"v1.0": SCORE, "v1 0": SCORE, "v1_0": SCORE}, 3)
    assert len(found["class"]) == 3
    assert not any("." in name for name in found["class"])


def test_class_without_an_area_leaves_no_hole_in_the_metrics() -> None:
    assert evaluate.as_metrics({}, {"c": SCORE}, 1)["class"]["c"] == {"precision": 1, "recall": 1, "f1": 1, "n": 1}


class TestMultiLabel:
    @pytest.fixture(scope="class")
    def found(self, evaluated_sets: Path) -> pd.DataFrame:
        return pd.read_csv(evaluated_sets / P.paths.predictions, keep_default_na=False)

    def marks(self, labels: "pd.Series[str]") -> np.ndarray:
        return np.array([[name in label.split("|") for name in "abc"] for label in labels])

    def test_predicted_classes_are_those_that_reach_a_half(self, found: pd.DataFrame) -> None:
        probabilities = found[["p_a", "p_b", "p_c"]].to_numpy()
        np.testing.assert_array_equal(self.marks(found["predicted"]), probabilities >= 0.5)
        assert found["predicted"].nunique() > 2
        sure = np.maximum(probabilities, 1 - probabilities).min(axis=1)
        np.testing.assert_allclose(found["probability"], sure, atol=2e-6)

    def test_labels_are_those_of_the_manifest(self, evaluated_sets: Path, found: pd.DataFrame) -> None:
        rows = manifest.read(evaluated_sets / P.paths.manifest)
        test = rows[rows["split"] == "test"].set_index("sha256")["label"]
        assert dict(zip(found["sha256"], found["label"], strict=True)) == test.to_dict()
        assert "" in set(found["label"])

    def test_metrics_are_those_of_the_predictions(self, evaluated_sets: Path, found: pd.DataFrame) -> None:
        told = json.loads((evaluated_sets / P.paths.metrics.eval).read_text())["eval"]
        actual, predicted = self.marks(found["label"]), self.marks(found["predicted"])
        probabilities = found[["p_a", "p_b", "p_c"]].to_numpy()
        expected = {
            "accuracy": sklearn.metrics.accuracy_score(actual, predicted),
            "macro_f1": sklearn.metrics.f1_score(actual, predicted, average="macro"),
            "micro_f1": sklearn.metrics.f1_score(actual, predicted, average="micro"),
            "hamming_loss": sklearn.metrics.hamming_loss(actual, predicted),
            "auc": sklearn.metrics.roc_auc_score(actual, probabilities),
            "average_precision": sklearn.metrics.average_precision_score(actual, probabilities),
            "n_images": 20,
        }
        assert {name: told[name] for name in expected} == pytest.approx(expected, abs=1e-4)
        for name in ("accuracy", "macro_f1", "micro_f1"):
            assert told[f"{name}_low"] < told[name] < told[f"{name}_high"]
        precision = sklearn.metrics.precision_score(actual, predicted, average=None)
        assert [told["class"][name]["precision"] for name in "abc"] == pytest.approx(precision.tolist(), abs=1e-4)

    def test_confusion_has_a_two_by_two_for_each_class(self, evaluated_sets: Path, found: pd.DataFrame) -> None:
        rows = pd.read_csv(evaluated_sets / P.paths.confusion)
        assert len(rows) == 12
        counts = rows.set_index(["actual", "predicted"])["count"]
        expected = sklearn.metrics.multilabel_confusion_matrix(
            self.marks(found["label"]), self.marks(found["predicted"])
        )
        for name, of_class in zip("abc", expected, strict=True):
            places = [f"{name} (not)", name]
            assert [[counts[actual, said] for said in places] for actual in places] == of_class.tolist()

    def test_the_page_says_what_is_missed_and_what_is_wrongly_named(
        self, evaluated_sets: Path, found: pd.DataFrame
    ) -> None:
        page = (evaluated_sets / P.paths.evaluation / "index.html").read_text()
        actual, predicted = self.marks(found["label"]), self.marks(found["predicted"])
        is_wrong = (actual != predicted).any(axis=1)
        assert page.count("data:image/png;base64,") == is_wrong.sum() > 3
        assert page.count(">missed <strong>") == (actual & ~predicted).sum()
        assert page.count(">wrongly <strong>") == (predicted & ~actual).sum()
        for said in (
            "are right in every class",
            "exact match",
            "reaches 0.5",
            "commonest set of classes",
            "none of the",
        ):
            assert said in page
        assert "taken for" not in page

    def test_evaluating_again_gives_the_same_bytes(self, evaluated_sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        outs = [P.paths.predictions, P.paths.metrics.eval, P.paths.evaluation / "index.html"]
        monkeypatch.chdir(evaluated_sets)
        before = [files.sha256(file) for file in outs]
        evaluate.main(dataclasses.replace(P, threads=2))
        assert [files.sha256(file) for file in outs] == before
