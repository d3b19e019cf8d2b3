import math
import re
import xml.etree.ElementTree as xml

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.evaluation import charts
from assay.evaluation.charts import Axis, Dot, Line, Mark

UNIT = Axis(label="share", low=0, high=1)


def test_path_of_a_diagonal_goes_from_corner_to_corner() -> None:
    bottom, right = charts.HEIGHT - charts.BOTTOM, charts.WIDTH - charts.RIGHT
    found = charts.path([(0, 0), (0.5, 0.5), (1, 1)], UNIT, UNIT)
    middle = f"{(charts.LEFT + right) / 2:.1f},{(charts.TOP + bottom) / 2:.1f}"
    assert found == f"M{charts.LEFT}.0,{bottom}.0L{middle}L{right}.0,{charts.TOP}.0"


def test_path_has_a_gap_where_there_is_no_number() -> None:
    found = charts.path([(0, 0), (0.25, math.nan), (0.5, 1), (1, 1), (1, math.inf)], UNIT, UNIT)
    assert re.sub(r"[\d.,]", "", found) == "MML"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (1, 30, [10, 20, 30]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (0, 0.0019, [0, 0.0005, 0.001, 0.0015]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert charts.ticks(low, high) == pytest.approx(expected)


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_lie_between_the_ends_and_are_few(low: float, length: float) -> None:
    high = low + length
    if high - low < 1e-9 * max(abs(low), abs(high)):
        return  # no number lies between
    found, slack = charts.ticks(low, high), 1e-6 * (high - low)
    assert len(found) <= charts.N_TICKS + 1
    assert all(low - slack <= value <= high + slack for value in found)


def test_axis_ignores_what_is_no_number_and_is_never_empty() -> None:
    assert charts.around("loss", [math.nan, 2, math.inf]) == Axis(label="loss", low=0, high=2)
    assert charts.around("loss", []) == Axis(label="loss", low=0, high=1)
    assert charts.around("loss", [-3, -1]) == Axis(label="loss", low=-3, high=0)


def test_texts_are_escaped_and_the_chart_is_well_formed() -> None:
    name = '<b>cat</b> & "dog\'s"'
    found = charts.draw(
        name,
        [Line(name=name, style="series-1", points=[(0, 0), (1, 1)])],
        x=Axis(label=name, low=0, high=1),
        y=UNIT,
        note=name,
        dots=[Dot(x=0.5, y=0.5, size=1, style="series-1", said=name)],
        marks=[Mark(x=0.9, said=name)],
    )
    root = xml.fromstring(str(found.svg))
    assert root.get("aria-label") == f"{name}. {name}"
    assert [each.text for each in root.iter("title")] == [name, name]
    assert not list(root.iter("b"))
    assert found.legend == (("series-1", name),)
    assert next(each.get("r") for each in root.iter("circle")) == "9.0"
    ends = {each.text: each.get("text-anchor") for each in root.iter("text") if each.get("class") == "mark"}
    assert ends == {name: "end"}  # to the left of its line, where there is room


def test_steps_outline_the_shares() -> None:
    found = charts.steps(np.array([-9.0, 0.5, 0.5, 1.5]), np.array([0.0, 1.0, 2.0]))
    assert found == [(0, 0), (0, 0.75), (1, 0.75), (1, 0.25), (2, 0.25), (2, 0)]


def test_colours_tell_one_image_from_many() -> None:
    assert [charts.level(share) for share in (0, 0.005, 1 / 36, 0.05, 0.2, 0.5, 27 / 36, 1)] == [0, 1, 2, 3, 4, 5, 6, 6]


def test_matrix_draws_what_there_is_and_links_what_leads_somewhere() -> None:
    counts = np.array([[9, 1], [0, 4]])
    root = xml.fromstring(str(charts.matrix(counts, ["a<b", "a very long name of a class"], {(0, 1): "cell-0-1"})))
    said = [each.text for each in root.iter("title")]
    assert said == [
        "a<b found: 9 of 10, 90.0 %",
        "a<b taken for a very long name of a class: 1 of 10, 10.0 %",
        "a very long name of a class found: 4 of 4, 100.0 %",
    ]
    (link,) = root.iter("a")
    assert (link.get("href"), link.get("aria-label")) == ("#cell-0-1", said[1])
    rects = {each.get("class"): (each.get("x"), each.get("y")) for each in root.iter("rect")}
    start = charts.NAMES
    assert rects["wrong-3"] == (str(start + charts.CELL), str(start))
    assert rects["right-6"] in {(str(start), str(start)), (str(start + charts.CELL), str(start + charts.CELL))}
    assert "a very … class" in {each.text for each in root.iter("text")}


def test_squares_of_pixels_stand_side_by_side_and_what_is_no_number_is_left_out() -> None:
    square = np.array([[0.9, math.nan], [0.0, 0.2]])
    drawn = charts.grids("pixels", {"train": square, "test": square}, "darker is more")
    found = xml.fromstring(drawn.svg)
    cells = [(each.get("class"), float(each.get("x") or 0)) for each in found.iter("rect")]
    side = (charts.WIDTH - 12) / 4
    begun = [0, side + side + 12]
    assert cells == [
        (f"wrong-{level}", pytest.approx(begin + column * side, abs=0.1))
        for begin in begun
        for level, column in ((6, 0), (1, 0), (4, 1))
    ]
    assert [each.text for each in found.iter("text")] == ["train", "test"]
