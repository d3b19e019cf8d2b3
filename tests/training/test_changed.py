"""What changing images does: nothing where nothing is changed, and all of it where noise is all that is left."""

import numpy as np
import pytest

from assay.training import changed
from assay.training.augment import PRESETS, Strengths
from assay.training.tensors import set_up, tf

set_up(threads=2)  # here, because it must come before the first operation of any test

RNG = np.random.default_rng(0)
PATTERNS = RNG.integers(0, 256, (4, 12, 12, 1)).astype(float)


def images(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images of four classes, each a pattern of its own and a little noise."""
    labels = np.arange(n) % 4
    noisy = PATTERNS[labels] + RNG.normal(0, 8, (n, 12, 12, 1))
    return np.clip(noisy, 0, 255).astype(np.uint8), labels


@pytest.mark.parametrize(("side", "channels"), [(12, 1), (40, 3)])
def test_what_is_not_changed_is_most_like_its_own_class(side: int, channels: int) -> None:
    train, val = images(40), images(20)
    larger = [
        (np.repeat(np.asarray(tf.image.resize(i, (side, side))), channels, 3), labels) for i, labels in (train, val)
    ]
    found = changed.compared(*[(i.astype(np.uint8), n) for i, n in larger], strengths=PRESETS["none"], seed=1)
    assert found["plain"] == found["augmented"] == 1.0
    assert found["chance"] == pytest.approx(0.25)
    assert found["correlation"] == pytest.approx(1.0, abs=1e-4)


def test_noise_leaves_no_more_than_chance() -> None:
    found = changed.compared(images(40), images(200), strengths=Strengths(noise_share=2000.0), seed=1)
    assert found["plain"] == 1.0
    assert abs(found["augmented"] - 0.25) < 0.08  # four draws of 200 images: 5 standard errors
    assert abs(found["correlation"]) < 0.1


def test_stronger_changes_leave_less() -> None:
    left = [
        changed.compared(images(40), images(60), strengths=PRESETS[name], seed=1)["correlation"]
        for name in ("none", "light", "medium", "strong")
    ]
    assert left == sorted(left, reverse=True)


def test_one_image_and_images_of_one_grey_are_no_division_by_nothing() -> None:
    flat = np.full((1, 12, 12, 1), 90, np.uint8), np.array([0])
    found = changed.compared(flat, flat, strengths=PRESETS["light"], seed=1)
    assert found["plain"] == found["chance"] == 1.0
    assert np.isfinite(list(found.values())).all()


def test_classes_that_one_side_lacks_are_no_error() -> None:
    """Of a thousand classes the last is often among the first validation images and not among the first of train."""
    (every, labels), fewer = images(40), images(40)
    first = tuple(each[labels < 2] for each in fewer)
    for train, val in ((first, (every, labels)), ((every, labels), first)):
        found = changed.compared(train, val, strengths=PRESETS["none"], seed=1)
        assert found["chance"] == pytest.approx(0.25)
    assert changed.compared(first, (every, labels), strengths=PRESETS["none"], seed=1)["plain"] == 0.5


def test_light_changes_turn_what_looks_at_one_pixel_and_not_what_looks_at_none() -> None:
    some, labels = images(64)

    def by_pixel(batch: tf.Tensor) -> tf.Tensor:
        is_bright = tf.cast(batch[:, 1, 1, 0] > 127, tf.float32)
        return tf.stack([is_bright, 1 - is_bright], axis=1)

    def always(batch: tf.Tensor) -> tf.Tensor:
        return tf.tile([[1.0, 0.0]], (len(batch), 1))

    assert changed.lightly(by_pixel, some, labels, "single_label", seed=1)["flips"] > 0.1
    found = changed.lightly(always, some, labels, "single_label", seed=1)
    assert found == {"flips": 0.0, "accuracy": 0.25, "accuracy_changed": 0.25}
    marks = np.eye(2, dtype=np.int64)[labels % 2]
    several = changed.lightly(always, some, marks, "multi_label", seed=1)
    assert several["flips"] == 0.0
