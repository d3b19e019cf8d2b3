from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay import params
from assay.evaluation import against, intervals, metrics, verdict
from assay.evaluation.noise import Noise

P = params.Register(
    min_accuracy=0.8,
    min_class_recall=0.8,
    metric="accuracy",
    margin=0.02,
    confidence=0.95,
    max_new_error_share=0.05,
    allow_label_change=False,
)


def sides(n: int, *, new_errors: int = 0, gone: int = 0, both: int = 10, known: bool = True) -> against.Sides:
    """Champion and challenger on n images of three classes; each error names the next class."""
    labels = np.arange(n) % 3
    old, new = labels.copy(), labels.copy()
    for at, which in ((slice(0, both), (old, new)), (slice(both, both + new_errors), (new,))):
        for numbers in which:
            numbers[at] = (labels[at] + 1) % 3
    at = slice(both + new_errors, both + new_errors + gone)
    old[at] = (labels[at] + 1) % 3
    of = of_numbers(labels, old, new, np.arange(n), ("ape", "bee", "cow"))
    return of if known else replace(of, old=None)


def of_numbers(
    labels: np.ndarray, old: np.ndarray, new: np.ndarray, groups: np.ndarray, classes: tuple[str, ...] = tuple("abcd")
) -> against.Sides:
    actual, was, now = (metrics.one_hot(numbers, len(classes)) for numbers in (labels, old, new))
    return against.Sides(
        actual=actual,
        old=was,
        old_right=(was == actual).all(axis=1),
        new=now,
        groups=groups,
        classes=classes,
        task="single_label",
    )


def judged(
    of: against.Sides, p: params.Register = P, noise: tuple[float, ...] = (), n_looks: int = 1
) -> dict[str, verdict.Check]:
    found = against.against(of, Noise(runs=noise), n_looks, p)
    return {check.name: check for check in verdict.relative(found, of, "v1", p)}


def test_same_answers_on_enough_images_are_promoted() -> None:
    checks = judged(sides(1000))
    assert all(check.passed for check in checks.values()), checks
    assert verdict.decide(list(checks.values())) == "promote"


def test_model_that_is_worse_by_more_than_the_margin_is_held() -> None:
    checks = judged(sides(1000, new_errors=40, gone=5))
    assert not checks["champion"].passed
    assert checks["new errors"].passed
    assert checks["champion"].text.startswith("accuracy 0.9500 against 0.9850 of champion v1 on the 1,000 test images")
    assert (
        "worse on these images (40 new errors, 5 gone, on 1,000 images; McNemar, exact, p < 0.001)"
        in checks["champion"].text
    )
    assert "cannot show" not in checks["champion"].text


def test_few_images_cannot_tell_and_say_how_many_are_missing() -> None:
    check = judged(sides(50, both=2))["champion"]
    assert not check.passed
    assert "this test set cannot show less than " in check.text
    n_more = int(check.text.rpartition("add about ")[2].split()[0].replace(",", ""))
    assert judged(sides(50 + n_more, both=2))["champion"].passed


def test_new_errors_have_a_budget_of_their_own() -> None:
    checks = judged(sides(1000, new_errors=60, gone=70))
    assert not checks["new errors"].passed
    assert checks["new errors"].text.startswith(
        "60 of 1,000 images are wrong that champion v1 had right, a share of 0.0600"
    )


def test_class_that_falls_is_seen_where_all_others_rise() -> None:
    of = sides(1200, both=0)
    new, old = of.new.copy(), of.new.copy()
    bees, cows = np.flatnonzero(of.actual[:, 1]), np.flatnonzero(of.actual[:, 2])
    new[bees[:60]] = [1, 0, 0]
    old[cows[:60]] = [1, 0, 0]
    both = replace(of, new=new, old=old, old_right=(old == of.actual).all(axis=1))
    checks = judged(both, replace(P, max_new_error_share=0.1))
    assert checks["champion"].passed
    assert not checks["classes"].passed
    assert "bee: -0.1500, at best" in checks["classes"].text
    assert "cow" not in checks["classes"].text


def test_other_classes_are_named_and_wait_for_leave() -> None:
    (held,) = verdict.same_labels(["ant", "bee", "elk"], ["ant", "bee", "cow"], "v0.0.3", P)
    assert not held.passed
    assert held.text.startswith("other classes than champion v0.0.3, new: elk; gone: cow (params.yaml: register.allow_")
    (left,) = verdict.same_labels(["ant"], ["ant", "bee"], "v1", replace(P, allow_label_change=True))
    assert left.passed
    assert verdict.same_labels(["ant", "bee"], ["bee", "ant"], "v1", P) == []


def test_metric_chooses_what_is_compared() -> None:
    of = sides(2000, new_errors=8, gone=0)
    f1 = against.against(of, Noise(), 1, replace(P, metric="f1_macro"))
    assert f1.metric == "f1_macro"
    assert f1.difference.value == pytest.approx(-0.004, abs=2e-4)
    assert f1.surely_above < f1.difference.value
    assert judged(of, replace(P, metric="f1_macro"))["champion"].text.startswith("macro F1 0.99")
    only_right = sides(2000, new_errors=8, known=False)
    assert against.against(only_right, Noise(), 1, replace(P, metric="f1_macro")).metric == "accuracy"
    assert "f1_macro cannot be compared" in judged(only_right, replace(P, metric="f1_macro"))["champion"].text


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "recall_macro"])
def test_few_images_without_a_flip_promote_by_no_metric(metric: str) -> None:
    p = replace(P, metric=metric)
    found = against.against(sides(4, both=0), Noise(), 1, p)
    assert found.surely_above < -0.25
    assert found.difference.low is not None
    assert found.difference.low < -0.3
    assert found.detectable > 0.4
    assert not judged(sides(4, both=0), p)["champion"].passed
    assert judged(sides(1000, both=10), p)["champion"].passed


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=60), st.integers(0, 5), st.integers(0, 5), st.integers(1, 30))
def test_metric_of_classes_is_no_surer_than_the_flips(
    labels: list[int], new_errors: int, gone: int, n_groups: int
) -> None:
    numbers = np.array(labels)
    at = np.arange(len(numbers))
    old, new = (np.where(wrong, (numbers + 1) % 4, numbers) for wrong in (at < gone, at >= len(at) - new_errors))
    of = of_numbers(numbers, old, new, at % n_groups)
    for metric in ("f1_macro", "recall_macro"):
        found, lower = against.difference(of, metric, 0.95)
        accuracy, of_accuracy = against.difference(of, "accuracy", 0.95)
        assert None not in (found.low, found.high, accuracy.low, accuracy.high)
        assert found.low <= lower <= found.value <= found.high  # type: ignore[operator]
        assert max(-1, found.value + accuracy.low - accuracy.value) >= found.low - 1e-9  # type: ignore[operator]
        assert min(1, found.value + accuracy.high - accuracy.value) <= found.high + 1e-9  # type: ignore[operator]
        assert max(-1, found.value + of_accuracy - accuracy.value) >= lower - 1e-9


def test_image_of_a_rare_class_weighs_more_in_a_metric_of_classes() -> None:
    """Recall of 90 and of 10 images: a flip of a random one moves the mean by 1 / 180 or 1 / 20."""
    numbers = np.repeat([0, 1], [90, 10])
    of = of_numbers(numbers, numbers, numbers, np.arange(100))
    weights = np.repeat([1 / 180, 1 / 20], [90, 10])
    times = np.sqrt(100 * (weights**2).sum())
    accuracy, found = (against.difference(of, metric, 0.95)[0] for metric in ("accuracy", "recall_macro"))
    assert found.high == pytest.approx(times * accuracy.high)  # type: ignore[operator]


def test_two_questions_have_two_answers() -> None:
    of = sides(5000, new_errors=60, gone=110)
    noise = (0.95, 0.97, 0.96, 0.94, 0.98)
    found = against.against(of, Noise(runs=noise), 1, P)
    assert found.model_verdict.startswith("better on these images (60 new errors, 110 gone, on 5,000 images;")
    assert found.change_verdict.startswith("no more than another seed would do (+0.0100; another seed makes up to 0.0")
    surely = against.against(of, Noise(runs=(0.95, 0.951, 0.95, 0.951, 0.95)), 1, P)
    assert surely.change_verdict.startswith("better than another seed would make it (+0.0100;")
    assert "`assay noise`" in against.against(of, Noise(), 1, P).change_verdict


@pytest.mark.parametrize(("n_gone", "way"), [(50, 1), (50, -1), (10, 1)])
def test_large_group_does_not_turn_round_what_the_groups_say(n_gone: int, way: int) -> None:
    """One group changes one way in many images, ten groups the other way in one each: McNemar's p is 0.012."""
    numbers, at = np.zeros(300, int), np.arange(300)
    one, ten = np.where(at < n_gone, 1, 0), np.where((at >= 50) & (at < 60), 1, 0)
    groups = np.maximum(at - 49, 0)
    of = of_numbers(numbers, *((one, ten)[::way]), groups)
    found = against.against(of, Noise(), 1, P)
    assert found.paired.p_value < 0.05
    assert found.model_verdict.startswith(
        "no difference that can be told, for images and groups disagree, on these images"
    )
    worse, better = (10, 1)[::way]
    assert f"{worse} groups worse, {better} better; McNemar, exact, p = 0.012)" in found.model_verdict


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 14), st.integers(-1, 1)), min_size=1, max_size=200))
def test_word_is_that_of_the_groups_and_of_the_points(images: list[tuple[int, int]]) -> None:
    groups, flips = np.array(images).T
    numbers = np.zeros(len(flips), int)
    of = of_numbers(numbers, np.where(flips > 0, 1, 0), np.where(flips < 0, 1, 0), groups)
    told = against.against(of, Noise(), 1, P).model_verdict
    of_groups = np.sign(np.bincount(groups, flips))
    for word, sign in (("better", 1), ("worse", -1)):
        if told.startswith(word):
            assert sign * flips.sum() > 0
            assert sign * of_groups.sum() > 0


def test_disagreement_of_the_runs_says_what_seeds_do_where_their_scores_are_alike() -> None:
    of = sides(361, gone=5)
    alike = (0.98, 0.98, 0.98)
    assert against.against(of, Noise(runs=alike), 1, P).change.verdict == "better"
    found = against.against(of, Noise(runs=alike, disagreement=0.02), 1, P).change
    assert found.verdict == "unclear"
    assert found.limit == pytest.approx(1.959964 * np.sqrt(0.02 / 361))


def test_looks_at_the_same_images_are_counted() -> None:
    assert "look 40 at these images" in judged(sides(1000), n_looks=40)["champion"].text
    assert "look" not in judged(sides(1000), n_looks=1)["champion"].text


def floor(n_right: dict[int, int], n: dict[int, int], p: params.Register = P) -> dict[str, verdict.Check]:
    labels = np.repeat(list(n), list(n.values()))
    right = np.concatenate([np.arange(n[label]) < n_right[label] for label in n])
    predicted = np.where(right, labels, (labels + 1) % 3)
    groups = np.arange(len(labels))
    recalls = {
        name: intervals.share((predicted == number)[labels == number], groups[labels == number], 0.95)
        for number, name in enumerate(("ape", "bee", "cow"))
    }
    accuracy = intervals.share(predicted == labels, groups, 0.95)
    checks = verdict.floors(accuracy, recalls, "single_label", p)
    return {check.name: check for check in checks}


def test_accuracy_is_held_to_its_lower_end() -> None:
    checks = floor({0: 90, 1: 90, 2: 90}, {0: 100, 1: 100, 2: 100}, replace(P, min_accuracy=0.88))
    assert not checks["accuracy"].passed
    assert floor({0: 90, 1: 90, 2: 90}, {0: 100, 1: 100, 2: 100}, replace(P, min_accuracy=0.85))["accuracy"].passed


def test_class_is_held_to_what_its_images_can_tell() -> None:
    dead = floor({0: 100, 1: 100, 2: 0}, {0: 100, 1: 100, 2: 3})["class recall"]
    assert not dead.passed
    assert "surely too low of cow: 0.0000, between 0.0000 and 0.56" in dead.text
    unsure = floor({0: 100, 1: 100, 2: 3}, {0: 100, 1: 100, 2: 4})["class recall"]
    assert unsure.passed
    assert "too few images to tell of cow: 0.7500" in unsure.text
    absent = floor({0: 50, 1: 50, 2: 0}, {0: 50, 1: 50, 2: 0})["class recall"]
    assert absent.passed
    assert "no test image of cow" in absent.text


def test_few_groups_are_said_to_be_a_guess() -> None:
    assert (
        "groups are few, so the interval is a guess" in floor({0: 5, 1: 5, 2: 5}, {0: 5, 1: 5, 2: 5})["accuracy"].text
    )


def test_parameters_of_the_project_are_read() -> None:
    assert params.load(Path(__file__).parents[2] / "params.yaml").register.metric == "accuracy"
