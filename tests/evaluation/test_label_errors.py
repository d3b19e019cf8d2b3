from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.datasets
import sklearn.discriminant_analysis
import sklearn.metrics
import sklearn.model_selection
import sklearn.neighbors

from assay.evaluation import label_errors


def test_trust_is_the_probability_of_the_label() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    actual = np.eye(3, dtype=bool)[[0, 1]]
    assert label_errors.trust_in_labels(probabilities, actual, "single_label") == pytest.approx([0.7, 0.3])


def test_trust_in_several_classes_is_that_of_the_most_doubtful_decision() -> None:
    probabilities = np.array([[0.9, 0.2], [0.4, 0.3], [np.nan, 0.1]])
    actual = np.array([[1, 0], [1, 1], [0, 0]], bool)
    assert label_errors.trust_in_labels(probabilities, actual, "multi_label") == pytest.approx([0.8, 0.3, 1.0])


def test_margin_of_nothing_is_a_trust_of_a_half() -> None:
    assert label_errors.trust_in_margins(np.array([0.0, np.log(3), -np.log(3)])) == pytest.approx([0.5, 0.75, 0.25])


def table(**trust: float) -> pd.DataFrame:
    rows = [{"path": f"x/{key}.png", "sha256": key, "split": "test", "label": "cat"} for key in trust]
    return pd.DataFrame(rows)


def test_queue_has_the_doubtful_worst_first_and_says_how_it_knows() -> None:
    trust = {"a": 0.4, "b": 0.01, "c": 0.9, "d": 0.3, "e": 0.01}
    found = label_errors.queue(
        table(**trust), {key: (value, "probability") for key, value in trust.items()}, {"b": "dog", "d": "cat"}
    )
    assert found["sha256"].tolist() == ["b", "e", "a"]  # d: the model agrees with the label
    assert found["rank"].tolist() == [1, 2, 3]
    assert found.loc[0].to_dict() == {
        "rank": 1,
        "path": "x/b.png",
        "sha256": "b",
        "split": "test",
        "label": "cat",
        "suggested": "dog",
        "trust": 0.01,
        "method": "probability",
    }
    assert list(found.columns) == label_errors.COLUMNS


def test_image_without_a_split_or_a_score_is_not_in_the_queue_and_an_empty_one_has_columns() -> None:
    rows = table(a=0, b=0).assign(split=[None, "train"])
    found = label_errors.queue(rows, {"a": (0.1, "margin")}, {})
    assert found.empty
    assert list(found.columns) == label_errors.COLUMNS


def test_margins_are_read_where_they_were_recorded(tmp_path: Path) -> None:
    assert label_errors.read_margins(tmp_path / "margins.npz") is None
    np.savez(tmp_path / "margins.npz", sha256=np.array([b"a" * 64]), margins=np.ones((2, 1)), aum=np.float32([1]))
    found = label_errors.read_margins(tmp_path / "margins.npz")
    assert found
    assert (found.sha256.tolist(), found.aum.tolist()) == ([b"a" * 64], [1.0])


def flipped() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels and right labels of digits, and labels of which one in ten is another."""
    pixels, truth = sklearn.datasets.load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    is_wrong = rng.random(700) < 0.1
    return pixels[:700], truth[:700], np.where(is_wrong, (truth[:700] + rng.integers(1, 10, 700)) % 10, truth[:700])


def test_flipped_digits_come_first() -> None:
    pixels, truth, labels = flipped()
    model = sklearn.discriminant_analysis.LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3)
    found = sklearn.model_selection.cross_val_predict(model, pixels, labels, cv=3, method="predict_proba")
    trust = label_errors.trust_in_labels(found, np.eye(10, dtype=bool)[labels], "single_label")
    assert sklearn.metrics.average_precision_score(labels != truth, -trust) > 0.94


def test_share_of_wrong_labels_is_found() -> None:
    pixels, truth, labels = flipped()
    model = sklearn.neighbors.KNeighborsClassifier(15)
    found, clean = (
        label_errors.noise_share(
            sklearn.model_selection.cross_val_predict(model, pixels, given, cv=3, method="predict_proba"), given
        )
        for given in (labels, truth)
    )
    assert found == pytest.approx((labels != truth).mean(), abs=0.03)
    assert clean < 0.03


def test_class_without_an_image_and_sure_answers_need_no_special_case() -> None:
    probabilities, labels = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]]), np.array([0, 1])
    assert label_errors.noise_share(probabilities, labels) == 0
