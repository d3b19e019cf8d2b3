"""Expectations about images and classes that Great Expectations lacks: each a metric and the expectation on it.

To import this module is to register them, under their names in small letters: `expect_column_pair_values_to_agree`.
"""

import math
from statistics import NormalDist
from typing import Any, ClassVar

import pandas as pd
from great_expectations.compatibility import pydantic
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import ColumnMapExpectation, ColumnPairMapExpectation
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnMapMetricProvider,
    ColumnPairMapMetricProvider,
    column_condition_partial,
    column_pair_condition_partial,
)

from assay.validation import wording


class ColumnPairValuesAgree(ColumnPairMapMetricProvider):  # type: ignore[misc]
    condition_metric_name = "column_pair_values.agree"
    condition_domain_keys = (
        *("batch_id", "table", "column_A", "column_B"),
        *("row_condition", "condition_parser", "ignore_row_if"),
    )
    condition_value_keys = ()

    @column_pair_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column_A: "pd.Series[Any]", column_B: "pd.Series[Any]", **_: Any) -> "pd.Series[bool]":
        agree = pd.Series(True, index=column_A.index)
        alike = column_A.duplicated(keep=False)
        agree[alike] = column_B[alike].groupby(column_A[alike]).transform("nunique") <= 1
        return agree


class ExpectColumnPairValuesToAgree(ColumnPairMapExpectation):  # type: ignore[misc]
    """Rows that have one value in column_A have one value in column_B: equal pixels in one split, under one label."""

    ignore_row_if: str = "both_values_are_missing"
    map_metric = "column_pair_values.agree"
    success_keys = ("column_A", "column_B", "ignore_row_if", "mostly")
    args_keys = ("column_A", "column_B")


class ColumnValuesSpeltOneWay(ColumnMapMetricProvider):  # type: ignore[misc]
    condition_metric_name = "column_values.spelt_one_way"

    @column_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column: "pd.Series[str]", **_: Any) -> "pd.Series[bool]":
        usual = wording.usual_spelling(column)
        return column == column.map(usual)


class ExpectColumnValuesToBeSpeltOneWay(ColumnMapExpectation):  # type: ignore[misc]
    """No value differs from a commoner one in nothing but case and white space."""

    map_metric = "column_values.spelt_one_way"
    success_keys = ("mostly",)


class ColumnValuesGiveMargin(ColumnMapMetricProvider):  # type: ignore[misc]
    condition_metric_name = "column_values.give_margin"
    condition_value_keys = ("max_margin", "recall", "confidence")

    @column_condition_partial(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(
        cls, column: "pd.Series[int]", max_margin: float, recall: float, confidence: float, **_: Any
    ) -> "pd.Series[bool]":
        return column.map(lambda n: margin(n, recall, confidence) <= max_margin)


class ExpectColumnValuesToGiveMargin(ColumnMapExpectation):  # type: ignore[misc]
    """So many test images that a class's recall is known to +- max_margin, if it is about `recall`."""

    max_margin: float = pydantic.Field(gt=0, lt=1)
    recall: float = pydantic.Field(ge=0, le=1)
    confidence: float = pydantic.Field(gt=0, lt=1)
    map_metric = "column_values.give_margin"
    success_keys: ClassVar[tuple[str, ...]] = ("max_margin", "recall", "confidence", "mostly")
    args_keys: ClassVar[tuple[str, ...]] = ("column", "max_margin", "recall", "confidence")


def margin(n: int, share: float, confidence: float) -> float:
    """Return half the width of Wilson's score interval for a share seen in n images; 1 where there are none.

    Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    """
    if n <= 0:
        return 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    return z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
