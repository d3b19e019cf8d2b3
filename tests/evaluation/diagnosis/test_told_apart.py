"""Causes that look alike are told apart: few images, few epochs, narrow networks, borders, and what leaves nothing."""

import dataclasses

import evidence_made as made
import numpy as np
import pandas as pd
import pytest
from evidence_faults import (
    FAULTS,
    first_step,
    foreign,
    kernels,
    named,
    noisy,
    overfitted,
    unfit,
    with_rows,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.evaluation.diagnosis import borders, diagnose, recipes
from assay.evaluation.diagnosis.evidence import Evidence
from assay.ingestion import image_statistics
from assay.training.catalogue import LITE


def framed(evidence: Evidence, *splits: str) -> Evidence:
    """Give the border of the images of these splits the grey of their class; their centres tell the class to all."""
    pixels, numbers = evidence.pixels.copy(), pd.factorize(evidence.rows["label"])[0]
    pixels[:, 1] = np.random.default_rng(1).integers(0, 256, (len(made.CLASSES), 60))[numbers]
    has = evidence.rows["split"].isin(splits).to_numpy()
    pixels[has, 0] = 40 * numbers[has, None]
    return dataclasses.replace(evidence, pixels=pixels)


def test_border_that_gives_the_class_away_in_train_and_val_alone_is_a_shortcut() -> None:
    evidence = framed(made.sound(), "train", "val")
    found = diagnose.diagnose(evidence).findings[0]
    assert (found.cause, found.certainty) == ("shortcut", "certain")
    assert "name 100% of the val images rightly and" in found.seen
    assert named(framed(made.sound(), "train", "val", "test")) == []  # that is for `validate` to say
    both = made.answered(
        with_rows(evidence, foreign), test=made.split(np.arange(400) % 5, made.right(400, 0.6), "test")
    )
    assert named(both)[:2] == ["shortcut", "foreign_test"]


def test_border_of_few_images_accuses_nobody() -> None:
    """Of twenty images each the border is by luck 20 points ahead in one of ten sound sets."""
    rng = np.random.default_rng(0)
    shares = (rng.binomial(20, 0.58, (2000, 2)) / 20).tolist()
    told = [borders.Told(border=(val, test), centre=(0.9, 0.9), n_asked=(20, 20)) for val, test in shares]
    assert sum(val - test > borders.AHEAD for val, test in shares) > 100
    assert sum(each.is_broken for each in told) < 10


def test_border_is_drawn_where_it_is() -> None:
    """Of a border that tells the class all of the variance lies between the classes, and of noise hardly any."""
    assert np.array_equal(borders.BORDER, image_statistics.BORDER)
    assert np.array_equal(borders.CENTRE, image_statistics.CENTRE)
    square = borders.explained(framed(made.sound(), "train"), "train")
    assert square is not None
    assert np.nanmin(square[0]) == pytest.approx(1)
    assert np.isnan(square[2, 2])
    assert np.nanmax(borders.explained(made.sound(), "train")) < 0.05


def few(evidence: Evidence, n_train: int) -> Evidence:
    return made.recorded(evidence, n_images={"train": n_train})


def test_few_images_are_not_taken_for_few_epochs_or_for_overfitting_alone() -> None:
    """Few images are few steps: after any number of epochs the kernels have hardly moved."""
    (found,) = diagnose.diagnose(few(first_step(made.sound(), 8e-3), 50)).findings
    assert (found.cause, found.certainty, found.alike) == ("too_few_images", "possible", ("too_few_epochs",))
    by_heart = diagnose.diagnose(few(overfitted(made.sound()), 50)).findings
    assert [(each.cause, each.certainty) for each in by_heart] == [("too_few_images", "likely")]
    assert named(few(made.sound(), 50)) == []  # what is learnt from few is no fault
    assert named(few(overfitted(made.sound()), 5000)) == ["overfitting"]
    assert named(few(first_step(made.sound(), 4e-4), 50)) == ["rate_too_low"]


def test_epoch_that_is_kept_before_anything_was_learnt_is_said() -> None:
    """Of few images the loss on val is lowest before the network answers anything, and the accuracy comes later."""
    unlearnt = few(first_step(made.sound(), 8e-3), 50)
    assert unlearnt.record
    shares = {"clean_accuracy": (0.2, 0.9, 1.0), "val_accuracy": (0.2, 0.4, 0.5), "clean_loss": (1.6, 0.3, 0.02)}
    epochs = [row | {name: of[n] for name, of in shares.items()} for n, row in enumerate(unlearnt.record["epochs"])]
    first_kept = made.recorded(unlearnt, epochs=epochs, kept={"epoch": 1, "rule": "smoothed"})
    (found,) = diagnose.diagnose(first_kept).findings
    assert (found.cause, found.certainty, found.change) == ("too_few_images", "likely", {})
    assert "the epoch that is kept, 1, is 30.0% worse on val" in found.seen
    (found,) = diagnose.diagnose(made.recorded(first_kept, kept={"epoch": 3, "rule": "last"})).findings
    assert "is kept" not in found.seen
    assert found.look.startswith("more images of each class; `assay diagnose --probe` tries")


def test_backbone_is_advised_as_one_whose_head_alone_learns_and_never_twice() -> None:
    own = dataclasses.replace(made.P.train.transfer, weights="networks/own.h5", from_layer="block5")
    p = dataclasses.replace(made.P.train, transfer=own)
    assert recipes.backbone(p) == {
        "train.network": LITE,
        "train.transfer.side_px": 96,
        "train.transfer.weights": "imagenet",
        "train.transfer.from_layer": None,
    }
    assert recipes.backbone(dataclasses.replace(p, network="MobileNetV2")) == {}


def test_doubtful_labels_are_no_news_where_the_training_itself_is_wrong() -> None:
    assert named(noisy(made.sound())) == ["label_noise"]
    strong = {"clean": 1.2, "dropout": 1.2, "augmented": 1.5}
    assert named(made.recorded(noisy(made.sound()), regularisation=strong)) == ["augmentation_too_strong"]


def test_narrow_network_and_heaviest_dropout_are_named_whatever_the_steps_were() -> None:
    slow = first_step(made.sound(), 8e-3)
    (found,) = diagnose.diagnose(made.trained(slow, filters=(2, 2))).findings
    assert (found.cause, found.is_confident) == ("model_too_small", True)
    assert found.change == {"train.filters": [16, 32, 64]}
    (found,) = diagnose.diagnose(made.trained(unfit(made.sound(), 1.5), dropout=0.97)).findings
    assert (found.cause, found.change) == ("dropout_too_strong", {"train.dropout": 0.3})
    assert named(made.trained(made.sound(), dropout=0.97, filters=(2,))) == []  # digits are learnt with it


def test_augmentation_that_leaves_nothing_is_seen_where_pixels_tell_the_classes_apart_or_not() -> None:
    """Small colour photos are hardly told apart pixel by pixel, so that there is little to be lost."""
    gone = {"plain": 0.46, "augmented": 0.29, "chance": 0.2, "correlation": 0.14}
    assert named(made.recorded(unfit(made.sound(), 1.4), augmentation=gone))[0] == "augmentation_too_strong"
    light = gone | {"augmented": 0.45, "correlation": 0.68}
    assert named(made.recorded(unfit(made.sound(), 1.4), augmentation=light)) == ["model_too_small"]
    assert named(made.recorded(made.sound(), augmentation=gone)) == []


@pytest.mark.slow
@given(st.floats(1e-7, 1e-3), st.floats(3.1, 1e4))
def test_rate_that_is_advised_takes_steps_of_a_sound_size(first: float, grown: float) -> None:
    """A step of Adam's is as its rate, and so is what the kernels grow by."""
    rate, sound = made.P.train.learning_rate, made.without_rows(made.sound())
    low = diagnose.diagnose(first_step(sound, first)).findings[0].change["train.learning_rate"]
    assert 5e-3 < first * low / rate < 2e-2 or low / rate == pytest.approx(1000, rel=0.3)
    high = made.recorded(unfit(sound, 0.4), kernels=kernels(grown))
    less = diagnose.diagnose(high).findings[0].change["train.learning_rate"]
    assert 0.6 < grown * less / rate < 1.6 or rate / less == pytest.approx(1000, rel=0.3)


def test_network_of_ones_own_is_advised_nothing_that_it_does_not_read() -> None:
    for cause in ("scaling", "vanishing_gradients", "dead_units"):
        first = diagnose.diagnose(made.trained(FAULTS[cause](made.sound()), network="mine")).findings[0]
        assert (first.cause, first.change) == (cause, {})
        assert "mine" in first.look


def confused(evidence: Evidence, counts: np.ndarray) -> Evidence:
    """Return the evidence with test answers whose confusions are `counts` [5, 5], actual by predicted."""
    actual, said = (places.repeat(counts.ravel()) for places in np.indices(counts.shape).reshape(2, -1))
    test = made.split(actual, np.ones(len(actual), bool), "test")
    named = np.eye(5, dtype=bool)[said]
    return made.answered(
        evidence, test=dataclasses.replace(test, predicted=named, probabilities=np.where(named, 0.9, 0.025))
    )


def test_three_classes_in_another_order_are_told_where_a_third_of_the_answers_is_wrong_anyway() -> None:
    counts = 5 + 45 * np.eye(5, dtype=int)[[2, 0, 1, 3, 4]]
    assert named(confused(made.sound(accuracy=0.7), counts))[0] == "label_map"


@given(st.integers(0, 2**32 - 1), st.floats(0.3, 0.9))
@settings(max_examples=40)
def test_answers_that_are_wrong_in_any_way_are_in_no_other_order(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    chances = share * np.eye(5) + (1 - share) * rng.dirichlet(np.ones(5), 5)
    counts = np.stack([rng.multinomial(80, chance) for chance in chances])
    assert "label_map" not in named(confused(made.without_rows(made.sound(accuracy=0.95)), counts))


def test_two_classes_that_nobody_tells_apart_are_in_no_other_order() -> None:
    counts = 80 * np.eye(5, dtype=int)
    counts[:2, :2] = [[37, 43], [43, 37]]
    assert "label_map" not in named(confused(made.sound(accuracy=0.8), counts))


# Fine texture that is in one place in every image: a shift parts it.
ALIGNED = {"plain": 0.83, "augmented": 0.51, "chance": 0.5, "correlation": 0.36}
GONE = {"plain": 0.83, "augmented": 0.4, "chance": 0.5, "correlation": 0.09}


def test_texture_that_a_light_shift_parts_is_not_called_augmentation_too_strong() -> None:
    hard = made.recorded(unfit(made.sound(), 1.2), augmentation=ALIGNED)
    assert "augmentation_too_strong" not in named(hard)
    assert named(made.recorded(hard, augmentation=GONE))[0] == "augmentation_too_strong"


def test_what_hardly_moved_is_early_whatever_its_augmentation_leaves() -> None:
    slow = made.recorded(unfit(made.sound()), path=0.02, augmentation=GONE)
    assert slow.record
    slow = made.recorded(slow, epochs=[row | {"update_ratio": 1e-4} for row in slow.record["epochs"]])
    assert named(slow)[0] == "rate_too_low"


def test_dropout_of_images_that_are_gone_is_not_what_keeps_them_from_being_learnt() -> None:
    gone = made.recorded(unfit(made.sound(), 1.5), augmentation=GONE)
    adding = made.recorded(gone, regularisation={"clean": 1.5, "augmented": 1.5, "dropout": 2.0})
    assert named(adding)[0] == "augmentation_too_strong"


def test_units_that_a_penalty_killed_are_those_of_the_penalty() -> None:
    dead = {"activate": {"dead": 0.9, "constant": 0.9, "largest": 0.0}}
    shrunk = made.recorded(unfit(made.sound()), kernels=kernels(0.01), activations=dead)
    assert named(shrunk)[0] == "penalty_too_strong"


def test_images_learnt_by_heart_after_the_kept_epoch_are_neither_early_nor_too_many_for_the_network() -> None:
    early = made.recorded(unfit(made.sound(), 0.8), path=0.4)
    assert early.record
    assert named(early)[0] in ("rate_too_low", "too_few_epochs")
    rows = [row | {"clean_accuracy": 1.0, "clean_loss": 0.2} for row in early.record["epochs"]]
    assert not {"too_few_epochs", "model_too_small"} & set(named(made.recorded(early, epochs=rows)))


def test_what_has_learnt_nothing_says_nothing_of_labels() -> None:
    assert "label_noise" in named(noisy(made.sound()))
    assert "label_noise" not in named(unfit(noisy(made.sound()), 1.6))


def test_epochs_that_learn_by_heart_are_told_though_an_earlier_one_is_kept() -> None:
    kept = unfit(made.sound(accuracy=0.7), 1.6)
    assert kept.record and "overfitting" not in named(kept)
    rows = [row | {"clean_accuracy": 1.0, "val_accuracy": 0.7} for row in kept.record["epochs"]]
    assert "overfitting" in named(made.recorded(kept, epochs=rows))
