"""How far two answer alike, by hand."""

import numpy as np
import pytest
import tiny

from assay.inference.exported import About
from assay.inference.extras import agreement
from assay.labels import Task


def about(task: Task) -> About:
    return About(**tiny.about(task=task), outputs=(), files={})


def test_images_of_one_label_are_alike_where_the_likeliest_class_is() -> None:
    onnx = np.array([[0.7, 0.2, 0.1], [0.1, 0.5, 0.4], [0.3, 0.3, 0.4], [0.1, 0.1, 0.8]])
    found = np.array([[0.6, 0.3, 0.1], [0.1, 0.4, 0.5], [0.3, 0.3, 0.4], [0.1, 0.1, 0.8]])
    measured = agreement.measure(about("single_label"), found, onnx, np.array([0, 1, 2, 0]))
    assert (measured.n_images, measured.n_answers, measured.n_other) == (4, 4, 1)
    assert measured.alike == 0.75
    assert measured.largest == pytest.approx(0.1)
    assert (measured.accuracy, measured.onnx_accuracy) == (0.5, 0.75)


def test_each_class_of_a_multi_label_image_is_a_decision_by_its_own_threshold() -> None:
    onnx = np.array([[0.6, 0.1, 0.1], [0.4, 0.5, 0.7]])
    found = np.array([[0.4, 0.1, 0.1], [0.4, 0.35, 0.59]])  # thresholds 0.5, 0.4 and 0.6: all three that moved
    measured = agreement.measure(about("multi_label"), found, onnx, np.array([[1, 0, 0], [0, 0, 0]]))
    assert (measured.n_images, measured.n_answers, measured.n_other) == (2, 6, 3)
    assert measured.alike == 0.5
    assert (measured.accuracy, measured.onnx_accuracy) == (0.5, 0.5)
    assert "exact match 0.5000, of the export 0.5000" in measured.text


def test_few_other_answers_of_many_are_not_rounded_away() -> None:
    onnx = np.tile([0.9, 0.1, 0.0], (100_000, 1))
    found = onnx.copy()
    found[7] = [0.1, 0.9, 0.0]
    measured = agreement.measure(about("single_label"), found, onnx, np.zeros(100_000, int))
    assert "1 of 100,000 answers are not those of the ONNX export" in measured.text


@pytest.mark.parametrize(("moved", "same"), [(0.0, True), (9e-5, True), (1.1e-4, False), (np.nan, False)])
def test_floats_that_are_apart_or_no_numbers_are_not_the_same(moved: float, same: bool) -> None:
    onnx = np.array([[0.5, 0.3, 0.2]])
    measured = agreement.measure(about("single_label"), onnx + np.array([[0, 0, moved]]), onnx, np.array([0]))
    assert agreement.is_same(measured) is same
