import dataclasses

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay import params, records, registry

P = params.Register(min_accuracy=0.9, min_class_recall=0.5, max_accuracy_drop=0.0)

INDEX = records.Index(height_px=8, width_px=8, channels=1, classes=("ant", "bee"), splits={})
MULTI = dataclasses.replace(INDEX, task="multi_label")


def answered(wrong: str, n: int = 10, batch: int = 1) -> pd.DataFrame:
    """Return `n` test images named by letters, those in `wrong` answered wrongly."""
    names = [chr(ord("a") + i) for i in range(n)]
    return pd.DataFrame({"sha256": names, "batch": batch, "correct": [name not in wrong for name in names]})


def champion(errors: str, last_batch: int = 1) -> dict[str, object]:
    return {"version": "v0.0.1", "model": "old", "last_batch": last_batch, "errors": list(errors)}


@pytest.mark.parametrize(
    ("low", "recall", "passed"), [(0.9, 0.5, [True, True]), (0.89, 0.5, [False, True]), (0.95, 0.49, [True, False])]
)
def test_limits_hold_at_the_lower_end_of_the_interval_and_for_the_worst_class(
    low: float, recall: float, passed: list[bool]
) -> None:
    checks = registry.absolute_checks(
        {"accuracy": 0.97, "accuracy_low": low, "min_class_recall": recall}, "single_label", P
    )
    assert [check.passed for check in checks] == passed
    assert registry.verdict(checks) == ("promote" if all(passed) else "hold")
    assert (
        f"at least {low:.4f} by its interval, the limit is 0.9 (params.yaml: register.min_accuracy)" in checks[0].text
    )


def test_model_with_the_champions_errors_is_no_worse() -> None:
    assert registry.compare(champion("ab"), answered("ab"), INDEX, "", P).passed


def test_exchange_of_errors_is_a_tie_and_passes() -> None:
    check = registry.compare(champion("ab"), answered("cd"), INDEX, "", P)
    assert check.passed
    assert "accuracy drops by 0.0000" in check.text


def test_one_error_more_is_a_drop_and_its_p_value_is_said() -> None:
    check = registry.compare(champion("a"), answered("abc"), INDEX, "", P)
    assert not check.passed
    # Two images lost, none won: a fair coin gives that in a quarter of all cases.
    assert "+2 errors against champion v0.0.1 on the 10 test images" in check.text
    assert "accuracy drops by 0.2000, the limit is 0.0" in check.text
    assert "p = 0.250" in check.text


def test_only_images_that_the_champion_was_tested_on_count() -> None:
    grown = pd.concat([answered("", 5), answered("abc", 5, batch=2).assign(sha256=list("uvwxy"), correct=False)])
    assert registry.compare(champion(""), grown, INDEX, "", P).passed


def test_without_common_images_it_holds() -> None:
    check = registry.compare(champion("", last_batch=0), answered(""), INDEX, "", P)
    assert (check.passed, check.text) == (False, "no test image in common with champion v0.0.1")


def test_images_of_another_ledger_are_not_taken_for_those_of_the_champion() -> None:
    of_digits = champion("") | {"ledger": "1f"}
    assert registry.compare(of_digits, answered(""), INDEX, "1f", P).passed
    assert registry.compare(champion("") | {"ledger": None}, answered(""), INDEX, "2e", P).passed
    check = registry.compare(of_digits, answered(""), INDEX, "2e", P)
    assert (check.passed, check.text) == (
        False,
        "champion v0.0.1 was tested on images of another ledger: none is known to be in common",
    )


def test_released_model_is_compared_with_the_champion_before_it() -> None:
    champions = [{"model": "first"}, {"model": "second"}]
    assert registry.champion_of(champions, "second") == {"model": "first"}
    assert registry.champion_of(champions, "third") == {"model": "second"}
    assert registry.champion_of([{"model": "first"}], "first") is None
    assert registry.champion_of([], "first") is None


@given(st.sets(st.sampled_from("abcdefghij")), st.sets(st.sampled_from("abcdefghij")))
def test_it_passes_exactly_if_it_errs_no_oftener(ours: set[str], theirs: set[str]) -> None:
    assert registry.compare(champion("".join(theirs)), answered("".join(ours)), INDEX, "", P).passed == (
        len(ours) <= len(theirs)
    )


def test_accuracy_of_a_multi_label_model_is_called_exact_match() -> None:
    metrics = {"accuracy": 0.97, "accuracy_low": 0.95, "min_class_recall": 0.9}
    assert registry.absolute_checks(metrics, "multi_label", P)[0].text.startswith("exact match 0.9700 is at least 0.95")
    multi = champion("a") | {"task": "multi_label"}
    assert "exact match drops by 0.1000" in registry.compare(multi, answered("ab"), MULTI, "", P).text


def test_champion_of_another_task_is_no_measure() -> None:
    check = registry.compare(champion(""), answered(""), MULTI, "", P)
    assert not check.passed
    assert check.text == "champion v0.0.1 was made for other labels: single_label, and this model for multi_label"


def test_champion_of_other_classes_is_compared_and_that_is_said() -> None:
    same, fewer = (champion("a") | {"classes": classes} for classes in (["ant", "bee"], ["ant", "cow"]))
    assert "other classes" not in registry.compare(same, answered("a"), INDEX, "", P).text
    check = registry.compare(fewer, answered("a"), INDEX, "", P)
    assert check.passed
    assert check.text.endswith("made for other classes, and judged by the labels of then: ant, cow")
