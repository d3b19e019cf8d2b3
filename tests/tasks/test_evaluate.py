import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from evaluations import P, evaluated, evaluated_sets, write_inputs
from shards_made import write_data, write_sets

from assay import files
from assay.dataset import manifest
from assay.dataset.records import contents
from assay.errors import AssayError
from assay.evaluation import asking, label_errors, ood
from assay.training import batches, keras_file
from tasks import evaluate

__all__ = ["evaluated", "evaluated_sets"]  # fixtures


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
        "f1_macro": sklearn.metrics.f1_score(actual, predicted, average="macro"),
        "balanced_accuracy": sklearn.metrics.balanced_accuracy_score(actual, predicted),
        "log_loss": sklearn.metrics.log_loss(actual, probabilities),
        "roc_auc": sklearn.metrics.roc_auc_score(actual, probabilities, multi_class="ovr"),
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
    shown = re.search(r"<h3>The surest errors first</h3>.*?</ul>", page, re.DOTALL)
    assert shown is not None
    assert len(wrong) > 3
    assert re.findall(r'data-sha256="(\w+)"', shown[0]) == wrong["sha256"].tolist()
    named = re.findall(r'alt="(\w)/&lt;(\w+)&gt;\.png: labelled \w, taken for (\w)"', shown[0])
    assert named == list(zip(wrong["label"], wrong["sha256"].str[:8], wrong["predicted"], strict=True))
    assert len(re.findall("<img ", page)) == len(
        re.findall('<img loading="lazy" decoding="async" src="data:image/', page)
    )
    assert not re.search(r"https?://", page)


@pytest.mark.slow
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


def test_model_of_other_classes_is_not_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    keras_file.write(P.paths.model, keras_file.read(P.paths.model), ("a", "c", "b"))
    with pytest.raises(AssayError, match="its classes are those of the records in another order"):
        evaluate.main(P)
    assert not P.paths.metrics.eval.exists()


def test_empty_test_split_is_said(tmp_path: Path) -> None:
    index = write_data(tmp_path, counts={"test": (0, 0)})
    with pytest.raises(AssayError, match=r"test: 0 images.*test_share"):
        asking.check(index)


def test_no_test_image_in_any_class_is_said(tmp_path: Path) -> None:
    index = write_sets(tmp_path, n_images={"test": 1})
    with pytest.raises(AssayError, match="test: none of 1 images is in a class"):
        asking.check(index)


def test_outputs_of_all_splits_are_kept_and_agree_with_the_model(evaluated: Path, predictions: pd.DataFrame) -> None:
    index = contents.read_index(evaluated / P.paths.index)
    model = keras_file.read(evaluated / P.paths.model)
    for split, n in (("train", 9), ("val", 3), ("test", 15)):
        kept = np.load(evaluated / P.paths.outputs / f"{split}.npz")
        assert set(kept.files) == {"sha256", "labels", "logits", "features"}
        assert kept["sha256"].tolist() == sorted(kept["sha256"].tolist())
        assert kept["logits"].shape == (n, 3)
        assert kept["logits"].dtype == kept["features"].dtype == np.float32
        found = {}
        for images, _, names in batches.named(evaluated / P.paths.records, index, split, batch_images=8):
            found |= dict(zip(names.numpy().tolist(), model.predict_on_batch(images), strict=True))
        odds = np.exp(kept["logits"].astype(float))
        expected = [found[name] for name in kept["sha256"].tolist()]
        np.testing.assert_allclose(odds / odds.sum(axis=1, keepdims=True), expected, atol=1e-5)


def test_what_belongs_to_the_model_is_kept_with_it(evaluated: Path) -> None:
    answering = json.loads((evaluated / P.paths.answering).read_text())
    assert answering["temperature"] == 1
    assert answering["temperature_reason"] == "not fitted: 3 validation images, at least 100 are needed"
    assert answering["thresholds"] is None
    reference = ood.read(evaluated / P.paths.reference)
    train = np.load(evaluated / P.paths.outputs / "train.npz")
    np.testing.assert_array_equal(reference.features, train["features"].astype(np.float16))
    assert reference.sha256.tolist() == train["sha256"].tolist()


def test_foreign_images_and_doubtful_labels_are_told(evaluated: Path, predictions: pd.DataFrame) -> None:
    told = json.loads((evaluated / P.paths.metrics.eval).read_text())["eval"]
    for name in ("noise", "inverted", "photos", "digits"):
        assert 0 <= told["ood"][f"{name}_auc"] <= 1
    suspects = pd.read_csv(evaluated / P.paths.evaluation / "suspects.csv")
    assert list(suspects) == label_errors.COLUMNS
    in_test = suspects[suspects["split"] == "test"].set_index("sha256")
    wrong = predictions[predictions["label"] != predictions["predicted"]].set_index("sha256")
    doubted = wrong[[row[f"p_{row['label']}"] < 0.5 for _, row in wrong.iterrows()]]
    assert set(in_test.index) == set(doubted.index)
    assert in_test["suggested"].to_dict() == doubted["predicted"].to_dict()
    assert suspects["trust"].is_monotonic_increasing


def test_margins_of_the_training_are_used_where_there_are_some(
    evaluated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(evaluated, tmp_path / "checkout")
    monkeypatch.chdir(tmp_path / "checkout")
    names = np.load(P.paths.outputs / "train.npz")["sha256"]
    np.savez(P.paths.training / "margins.npz", sha256=names, aum=np.r_[-9, np.full(len(names) - 1, 9)].astype("f4"))
    evaluate.main(dataclasses.replace(P, threads=2))
    suspects = pd.read_csv(P.paths.evaluation / "suspects.csv")
    of_train = suspects[suspects["split"] == "train"]
    assert set(of_train["sha256"]) <= {names[0].decode()}
    assert set(of_train["method"]) <= {"margin"}


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
            "f1_macro": sklearn.metrics.f1_score(actual, predicted, average="macro"),
            "f1_micro": sklearn.metrics.f1_score(actual, predicted, average="micro"),
            "hamming_loss": sklearn.metrics.hamming_loss(actual, predicted),
            "roc_auc": sklearn.metrics.roc_auc_score(actual, probabilities),
            "average_precision": sklearn.metrics.average_precision_score(actual, probabilities),
            "n_images": 20,
        }
        assert {name: told[name] for name in expected} == pytest.approx(expected, abs=1e-4)
        for name in ("accuracy", "f1_macro", "f1_micro"):
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
        shown = re.search(r"<h3>The surest errors first</h3>.*?</ul>", page, re.DOTALL)
        assert shown is not None
        assert shown[0].count("data:image/png;base64,") == is_wrong.sum() > 3
        assert shown[0].count(">missed <strong>") == (actual & ~predicted).sum()
        assert shown[0].count(">wrongly <strong>") == (predicted & ~actual).sum()
        for said in (
            "are right in every class",
            "Exact match",
            "reaches its threshold",
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


def test_diagnosis_is_written_and_stands_on_the_page(evaluated: Path) -> None:
    """Fifteen test images say little, whatever else is wrong with a model that was never trained."""
    said = json.loads((evaluated / P.paths.evaluation / "diagnosis.json").read_text())
    assert said["findings"][0]["cause"] == "small_test"
    assert len(said["looked_at"]) > 20
    page = (evaluated / P.paths.evaluation / "index.html").read_text()
    assert "The test set is too small for the question" in page
    assert page.index('id="why"') < page.index('id="training"')
