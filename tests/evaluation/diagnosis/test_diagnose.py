"""Each fault is named first, a sound run is not accused, and every change can be written."""

import dataclasses
import json
import re

import evidence_made as made
import numpy as np
import pandas as pd
import pytest
import yaml
from evidence_faults import (
    FAULTS,
    conflicts,
    diagnosed,
    foreign,
    leaks,
    named,
    unfit,
    with_rows,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.commands.main import cli
from assay.evaluation.diagnosis import causes, contracts, diagnose, drawn, symptoms
from assay.evaluation.diagnosis.evidence import Evidence
from assay.operations import params_lines

TEXT = (made.ROOT / "params.yaml").read_text()


@pytest.mark.parametrize("accuracy", [0.99, 0.9, 0.7])
def test_sound_run_is_not_accused(accuracy: float) -> None:
    assert named(made.sound(accuracy=accuracy)) == []


@pytest.mark.parametrize("cause", FAULTS)
def test_fault_is_named_first_with_a_next_step(cause: str) -> None:
    _, found = diagnosed(cause)
    assert found.findings[0].cause == cause
    first = found.findings[0]
    assert first.change or first.look
    assert yaml.safe_load(params_lines.changed(TEXT, first.change))
    assert f"1. {causes.TITLES[cause]}" in diagnose.lines(found)[0]


@pytest.mark.parametrize("cause", FAULTS)
def test_card_of_every_cause_is_drawn(cause: str) -> None:
    evidence, found = diagnosed(cause)
    pixels = {name: np.zeros((8, 8, 1), np.uint8) for name in drawn.wanted(found)}
    cards = drawn.cards(found, evidence, pixels)
    assert [card.number for card in cards] == list(range(1, len(cards) + 1))
    assert (cards[0].chart is not None) == (cause in drawn.CHARTS)
    assert len(cards[0].images) == len(found.findings[0].images)


def test_file_with_two_labels_is_shown_once_with_both() -> None:
    sound = made.sound()
    train = sound.rows[sound.rows["split"] == "train"].head(30)
    again = train.assign(label="other", path="copy/" + train["path"])
    rows, pixels = pd.concat([sound.rows, again], ignore_index=True), np.concatenate([sound.pixels, sound.pixels[:30]])
    evidence = dataclasses.replace(sound, rows=rows, pixels=pixels)
    found = diagnose.diagnose(evidence)
    pixels = {name: np.zeros((8, 8, 1), np.uint8) for name in drawn.wanted(found)}
    shown = drawn.cards(found, evidence, pixels)[0].images
    assert len({name for name, _, _ in shown}) == len(shown) == 24
    assert all(label.endswith(" and other") or label.startswith("other and ") for _, _, label in shown)


def test_gradient_may_vanish_in_the_middle() -> None:
    """The first kernel of a deep part may be large beside those behind it, and learn as little."""
    slopes = {"first/kernel": 5e-3, "deeper/kernel": 2e-4, "logits/kernel": 0.04}
    learnt = {n: {"rms_began": 0.1, "rms": 0.1, "gradient_to_weight": slope} for n, slope in slopes.items()}
    evidence = unfit(made.sound())
    assert evidence.record
    found = diagnose.diagnose(dataclasses.replace(evidence, record={**evidence.record, "kernels": learnt})).findings[0]
    assert (found.cause, "kernel deeper/kernel" in found.seen) == ("vanishing_gradients", True)


def test_weak_run_without_an_explanation_is_only_possible() -> None:
    (found,) = diagnosed("overfitting")[1].findings
    assert not found.is_confident
    assert "augmentation_too_weak" in found.alike


def test_leakage_says_what_the_accuracy_is_without_it() -> None:
    """Of 400 test images 40 are in train; all of these are right, and 300 of the others."""
    evidence = with_rows(made.sound(), leaks)
    is_right = np.ones(400, bool)
    is_right[40:100] = False
    found = diagnose.diagnose(made.answered(evidence, test=made.split(np.arange(400) % 5, is_right, "test")))
    leak = next(each for each in found.findings if each.cause == "leakage")
    assert leak.cost == pytest.approx(340 / 400 - 300 / 360)
    assert "on the others the accuracy is 83.3%, and 85.0% is shown" in leak.seen
    assert len(leak.images) == 24


def of_data(evidence: Evidence, closed: str = "closed by 1 critical expectation\nx: y") -> Evidence:
    """Return what is left of the evidence behind a closed gate."""
    return dataclasses.replace(evidence, record=None, run=None, closed=closed)


def test_closed_gate_is_diagnosed_by_the_data_alone() -> None:
    found = diagnose.diagnose(of_data(with_rows(made.sound(), conflicts))).findings
    assert [each.cause for each in found] == ["conflicting_labels", "gate"]
    assert found[1].seen == "closed by 1 critical expectation; x: y"


def test_test_images_that_look_otherwise_are_only_possible_while_no_model_was_asked() -> None:
    (found,) = diagnose.diagnose(of_data(with_rows(made.sound(), foreign), closed="")).findings
    assert (found.cause, found.is_confident) == ("foreign_test", False)
    assert "foreign_test" not in named(with_rows(made.sound(), foreign))  # and nothing, where it answers them as well


def test_limit_of_the_test_set_never_comes_before_a_cause() -> None:
    found = diagnose.diagnose(FAULTS["rate_too_high"](made.sound(n_test=40))).findings
    assert [each.cause for each in found] == ["rate_too_high", "small_test"]
    found = diagnose.diagnose(FAULTS["model_too_small"](made.sound(n_test=40))).findings
    assert [each.cause for each in found] == ["small_test", "model_too_small"]  # what is only possible comes last


def test_some_order_of_the_classes_is_always_better_of_few_images() -> None:
    rng = np.random.default_rng(3)
    for n in (5, 15):
        actual = np.arange(n) % 5
        said = dataclasses.replace(made.split(actual, rng.random(n) < 0.2, "test"))
        assert "label_map" not in named(made.answered(made.sound(), test=said))


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({"mean": 76.0, "deviation": 80.0}, "unscaled, as 0 to 255"),
        ({"mean": 0.001, "deviation": 0.001}, "scaled twice"),
        ({"mean": 100.0, "deviation": 2.0}, "50.0 deviations from 0"),
        ({"mean": None, "deviation": None}, "unscaled"),
    ],
)
def test_scale_is_named_for_what_is_wrong_with_it(seen: dict[str, float | None], said: str) -> None:
    first = diagnose.diagnose(made.recorded(made.sound(), input=seen)).findings[0]
    assert first.cause == "scaling"
    assert said in first.seen


def test_advice_leads_on_and_never_back() -> None:
    """Where a remedy did not help the one before it is no advice, nor is a key that the network does not read."""
    evidence = FAULTS["imbalance"](made.sound())
    seen = []
    for method in ("none", "balanced", "logit_adjustment"):
        seen.append(diagnose.diagnose(made.trained(evidence, imbalance=method)).findings[0].change)
    assert seen == [{"train.imbalance": "logit_adjustment"}] * 2 + [{}]
    (small,) = diagnose.diagnose(made.trained(FAULTS["model_too_small"](made.sound()), network="MobileNetV2")).findings
    assert small.change == {}


def test_margin_of_nothing_asks_for_no_endless_test_set() -> None:
    evidence = made.sound(n_test=40)
    none = dataclasses.replace(evidence, register=dataclasses.replace(evidence.register, margin=0.0))
    assert "would tell it to 1%" in diagnose.diagnose(none).findings[0].seen


@pytest.mark.parametrize("cause", FAULTS)
def test_commands_that_are_named_are_there_with_their_options(cause: str) -> None:
    for each in diagnosed(cause)[1].findings:
        for words in re.findall(r"`assay ([^`]+)`", f"{each.look} {each.seen}"):
            name, *rest = words.split()
            known = {option for parameter in cli.commands[name].params for option in parameter.opts}
            assert {word for word in rest if word.startswith("--")} <= known


def test_what_is_written_says_it_to_programs_and_to_people() -> None:
    said = diagnose.as_json(diagnosed("leakage")[1])
    assert json.loads(json.dumps(said))["findings"][0]["cause"] == "leakage"
    assert said["headline"][0].startswith("likeliest cause: Test images were trained on;")
    assert diagnose.as_json(diagnosed("overfitting")[1])["headline"] == []


def test_nothing_found_says_what_was_looked_at() -> None:
    said = diagnose.lines(diagnose.diagnose(made.sound()))
    assert said[0].startswith("nothing found: 2")
    assert "test images were trained on" in said[1]


VALUES = st.one_of(st.none(), st.floats(0, 1e3, allow_nan=False))


@settings(max_examples=40)
@given(st.fixed_dictionaries(dict.fromkeys(("clean", "augmented", "dropout"), VALUES)), VALUES)
def test_numbers_that_are_none_are_no_crash(losses: dict[str, float | None], ratio: float | None) -> None:
    """What is not finite stands in record.json as null."""
    evidence = made.recorded(made.without_rows(made.sound()), regularisation=losses)
    assert evidence.record
    epochs = [row | {"update_ratio": ratio, "val_loss": None} for row in evidence.record["epochs"]]
    found = diagnose.diagnose(made.recorded(evidence, epochs=epochs))
    assert diagnose.lines(found)
    drawn.cards(found, evidence, {})


def test_best_of_many_models_is_flattered_as_in_a_simulation() -> None:
    """Forty equal models, wrong on 3 % of 400 images, of which half are wrong by luck of the model."""
    rng = np.random.default_rng(0)
    spread = np.sqrt(0.0325 / 2 / 400)  # of models that disagree on as many images as one has wrong
    best = rng.normal(0, spread, (20_000, 40)).max(axis=1).mean()
    (found,) = diagnosed("used_test")[1].findings
    said = float(found.seen.partition("about ")[2].partition(" points")[0]) / 100
    assert said == pytest.approx(best, rel=0.3)  # the root of 2 ln n is the limit of many


def test_every_cause_has_a_title_and_a_section_in_the_docs() -> None:
    alike = {name for cause in FAULTS for found in diagnosed(cause)[1].findings for name in found.alike}
    assert {*contracts.RULES, *symptoms.RULES, "prepared_otherwise"} | alike == set(causes.TITLES)
    text = (made.ROOT / "docs/diagnose.md").read_text()
    assert [title for title in causes.TITLES.values() if f"\n### {title}\n" not in text] == []
