import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.training import keeping
from assay.training.keeping import Kept


def after(losses: list[float], rule: keeping.Rule) -> Kept:
    kept = Kept()
    for n in range(1, len(losses) + 1):
        kept = keeping.step(kept, losses[:n], rule)
    return kept


def test_the_best_epoch_is_that_of_the_lowest_loss_the_first_of_equals() -> None:
    assert after([3.0, 1.0, 2.0, 1.0, 1.5], "best") == Kept(epoch=2, loss=1.0, waited=3)


def test_the_last_epoch_is_kept_whatever_it_says() -> None:
    assert after([3.0, 1.0, 2.0], "last") == Kept(epoch=3, loss=1.0, waited=1)


def test_one_lucky_epoch_is_not_kept_where_losses_are_averaged() -> None:
    losses = [3.0, 2.0, 0.1, 2.0, 1.5, 1.2, 1.0, 0.9, 0.9, 0.9, 0.9, 1.5, 1.6, 1.7]
    assert after(losses, "best").epoch == 3
    assert after(losses, "smoothed").epoch == 11  # the lowest average of five: 0.9 to 1.0


@pytest.mark.parametrize(
    ("n_images", "rule"), [(10_000, "best"), (200, "best"), (199, "smoothed"), (20, "smoothed"), (19, "last")]
)
def test_the_rule_goes_by_the_number_of_validation_images_unless_one_is_wanted(
    n_images: int, rule: keeping.Rule
) -> None:
    assert keeping.rule("auto", n_images) == rule
    assert keeping.rule("best", n_images) == "best"
    assert (keeping.said(rule, n_images, n_images) == "") == (rule == "best")


def test_few_images_of_rare_classes_are_told_of() -> None:
    assert keeping.said("last", 12, 12).startswith("only 12 validation images: ")
    assert keeping.said("last", 100, 11.6).startswith(
        "100 validation images, of rare classes so few that they tell as much as 12: "
    )


def test_a_loss_that_is_no_number_is_never_the_best() -> None:
    assert after([math.nan, 2.0, math.nan], "best") == Kept(epoch=2, loss=2.0, waited=1)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=30))
def test_the_kept_epoch_has_the_lowest_loss_and_waiting_is_counted_from_it(losses: list[float]) -> None:
    kept = after(losses, "best")
    assert kept == Kept(epoch=1 + int(np.argmin(losses)), loss=min(losses), waited=len(losses) - kept.epoch)
