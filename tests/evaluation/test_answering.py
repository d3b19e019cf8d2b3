from pathlib import Path

import numpy as np
import pytest

from assay import files
from assay.evaluation import answering, ood
from assay.labels import Task


@pytest.mark.parametrize("task", ["single_label", "multi_label"])
def test_what_validation_says_is_read_as_it_was_written(task: Task, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    logits, features = rng.normal(0, 3, (300, 3)), rng.normal(size=(300, 5)).astype(np.float32)
    multi = rng.random((300, 3)) < 1 / (1 + np.exp(-logits / 2))
    actual = multi if task == "multi_label" else np.eye(3, dtype=bool)[rng.integers(0, 3, 300)]
    reference = ood.fit(features[:200], np.zeros(200, int), np.array([b""] * 200), rng.normal(size=(200, 5)))
    found = answering.fit(logits, actual, features[200:], reference, task)
    answering.write(tmp_path / "answering.json", found)
    assert answering.read(tmp_path / "answering.json") == found
    content = files.read_json(tmp_path / "answering.json")
    assert list(content) == ["temperature", "temperature_reason", "thresholds", "ood"]
    assert set(content["ood"]) == {"k", "knn_threshold", "mahalanobis_threshold", "note"}
    if task == "multi_label":
        assert found.temperature.value == pytest.approx(2, rel=0.2)
        assert found.thresholds
        assert all(0.2 < each < 0.7 for each in found.thresholds)
    else:
        assert found.thresholds is None
