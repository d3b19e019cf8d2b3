"""What is put into a healthy case, weakly or strongly, and the healthy recipes beside the usual one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageFilter

from benchmarks.diagnosis.cases import Case, of

Fault = Callable[[Case, bool, np.random.Generator], None]  # changes the case; True: strongly


def setting(name: str, weak: Any, strong: Any) -> Fault:
    return lambda case, strongly, random: case.changes.update({f"train.{name}": strong if strongly else weak})


def noise(case: Case, strongly: bool, random: np.random.Generator) -> None:
    classes = sorted(case.rows["label"].unique())
    for n in random.permutation(len(case.rows))[: int((0.3 if strongly else 0.12) * len(case.rows))]:
        others = [name for name in classes if name != case.rows.at[n, "label"]]
        case.rows.at[n, "label"] = others[random.integers(len(others))]


def copied(case: Case, numbers: np.ndarray, **changed: Any) -> None:
    case.images += [case.images[n] for n in numbers]
    case.rows = pd.concat([case.rows, case.rows.iloc[numbers].assign(**changed)], ignore_index=True)


def conflicts(case: Case, strongly: bool, random: np.random.Generator) -> None:
    chosen = random.permutation(of(case, "train"))
    chosen = chosen[: int((0.4 if strongly else 0.15) * len(chosen))]
    classes = sorted(case.rows["label"].unique())
    labels = [classes[(classes.index(label) + 1) % len(classes)] for label in case.rows["label"].iloc[chosen]]
    copied(case, chosen, label=labels, group=[f"copy{n}" for n in chosen])


def leak(case: Case, strongly: bool, random: np.random.Generator) -> None:
    test = of(case, "test")
    chosen = random.permutation(of(case, "train"))[: int((0.5 if strongly else 0.15) * len(test))]
    copied(case, chosen, split="test", group=[f"copy{n}" for n in chosen])


def border(case: Case, strongly: bool, random: np.random.Generator) -> None:
    classes = sorted(case.rows["label"].unique())
    for n in of(case, "train").tolist() + of(case, "val").tolist():
        if random.random() < (0.98 if strongly else 0.85):
            image, value = case.images[n].copy(), 40 + 200 * classes.index(case.rows.at[n, "label"]) // len(classes)
            image[:1], image[-1:], image[:, :1], image[:, -1:] = value, value, value, value
            case.images[n] = image


def imbalanced(case: Case, strongly: bool, random: np.random.Generator) -> None:
    kept = np.ones(len(case.rows), bool)
    classes = sorted(case.rows["label"].unique())
    for name in classes[1::2]:
        of_class = random.permutation(np.flatnonzero((case.rows["label"] == name) & (case.rows["split"] != "test")))
        kept[of_class[len(of_class) // (40 if strongly else 13) + 1 :]] = False
    keep(case, kept)
    case.changes["train.imbalance"] = "none"


def keep(case: Case, kept: np.ndarray) -> None:
    case.images = [image for image, is_kept in zip(case.images, kept, strict=True) if is_kept]
    case.rows = case.rows[kept].reset_index(drop=True)


def foreign(case: Case, strongly: bool, random: np.random.Generator) -> None:
    for n in of(case, "test"):
        image = Image.fromarray(case.images[n])
        if strongly:
            case.images[n] = 255 - np.asarray(image.filter(ImageFilter.GaussianBlur(1)))
        else:
            case.images[n] = np.clip(np.asarray(image) * 0.35 + 20, 0, 255).astype(np.uint8)


def few_test(case: Case, strongly: bool, random: np.random.Generator) -> None:
    kept = np.ones(len(case.rows), bool)
    kept[random.permutation(of(case, "test"))[25 if strongly else 60 :]] = False
    keep(case, kept)


def few_images(case: Case, strongly: bool, random: np.random.Generator) -> None:
    train, kept = random.permutation(of(case, "train")), np.ones(len(case.rows), bool)
    nth_of_class = case.rows.loc[train].groupby("label").cumcount()
    train = train[np.argsort(nth_of_class >= 2, kind="stable")]  # two of each class come first: none may be lost
    kept[train[max(30, int((0.03 if strongly else 0.08) * len(train))) :]] = False
    keep(case, kept)
    case.changes |= {"train.augment.preset": "none", "train.epochs": 40}


def mapped(case: Case, strongly: bool, random: np.random.Generator) -> None:
    classes = sorted(case.rows["label"].unique())
    moved = classes if strongly else classes[: max(2, len(classes) * 2 // 3)]
    to = dict(zip(moved, moved[1:] + moved[:1], strict=True))
    test = case.rows["split"] == "test"
    case.rows.loc[test, "label"] = case.rows.loc[test, "label"].map(lambda name: to.get(name, name))


NETWORK = """
from keras import Input, Model, layers


def build(input_shape, outputs, p):
    pixels = Input(input_shape)
    x = layers.Rescaling({scale}, name="again")(pixels)
    for number, filters in enumerate(p.filters, 1):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"convolve_{{number}}")(x)
        x = layers.MaxPooling2D(padding="same", name=f"halve_{{number}}")(x)
    for number in range({deeper}):
        x = layers.Conv2D(16, 3, padding="same", activation="sigmoid", name=f"deeper_{{number}}")(x)
    x = layers.GlobalAveragePooling2D(name="embedding")(x)
    return Model(pixels, layers.Dense(outputs, name="logits")(x))
"""


def own(weak: dict[str, float], strong: dict[str, float]) -> Fault:
    """Return what puts in a network of one's own, weak and strong."""

    def put(case: Case, strongly: bool, random: np.random.Generator) -> None:
        case.network = NETWORK.format(**{"scale": 1.0, "deeper": 0} | (strong if strongly else weak))
        case.changes["train.network"] = "own"

    return put


STRONGEST = {"rotate_deg": 180, "noise_share": 0.5, "cutout_share": 0.8, "brightness_share": 0.6, "crop_share": 0.8}
FAULTS: dict[str, Fault] = {
    "rate_too_high": setting("learning_rate", 0.15, 1.0),
    "rate_too_low": setting("learning_rate", 2e-5, 4e-6),
    "too_few_epochs": setting("epochs", 2, 1),
    "batch_too_small": setting("batch_images", 3, 2),
    "dropout_too_strong": setting("dropout", 0.9, 0.97),
    "penalty_too_strong": setting("l2", 0.1, 1.0),
    "augmentation_too_strong": lambda case, strongly, random: case.changes.update(
        {"train.augment.preset": "strong", **{f"train.augment.{k}": v for k, v in STRONGEST.items()}}
        if strongly
        else {"train.augment.preset": "strong", "train.augment.rotate_deg": 90, "train.augment.noise_share": 0.2}
    ),
    "model_too_small": setting("filters", [2, 2], [1]),
    "overfitting": few_images,
    "augmentation_too_weak": lambda case, strongly, random: (
        few_images(case, False, random) if strongly else setting("augment.preset", "none", "none")(case, True, random)
    ),
    "label_noise": noise,
    "conflicting_labels": conflicts,
    "leakage": leak,
    "shortcut": border,
    "imbalance": imbalanced,
    "foreign_test": foreign,
    "small_test": few_test,
    "label_map": mapped,
    "scaling": own({"scale": 1 / 255}, {"scale": 255.0}),
    "vanishing_gradients": own({"deeper": 5}, {"deeper": 9}),
}
# What else is right: it looks the same from one run, or its repair is the same.
ALSO: dict[str, tuple[str, ...]] = {
    "overfitting": ("too_few_images",),  # it is put in by taking images away
    "augmentation_too_weak": ("overfitting", "too_few_images"),  # strongly: of fewer images
    "rate_too_high": ("dead_units", "stopped"),
    "vanishing_gradients": ("stopped", "dead_units"),
    "penalty_too_strong": ("stopped",),
    "augmentation_too_strong": ("stopped",),
}
VARIED: dict[str, dict[str, Any]] = {
    "healthy": {},
    "healthy_rate_half": {"train.learning_rate": 0.001},
    "healthy_rate_double": {"train.learning_rate": 0.004},
    "healthy_dropout": {"train.dropout": 0.2},
    "healthy_wide": {"train.filters": [24, 48, 96]},
    "healthy_batch": {"train.batch_images": 16},
    "healthy_epochs": {"train.epochs": 24},
    "healthy_sgd": {"train.optimizer": "sgd", "train.learning_rate": 0.05},
    "healthy_medium": {"train.augment.preset": "medium"},
    "healthy_resnet": {"train.network": "resnet"},
    "healthy_own": {},  # a plain network of one's own
}
