"""Healthy cases of a set, before a fault is put into them: images, their splits, and what the recipe is."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import GroupShuffleSplit

SIDE_PX, MOST_IMAGES = 24, 1600
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
RECIPE = {"train.epochs": 14, "register.min_accuracy": 0.5, "register.min_class_recall": 0.0}


@dataclass
class Case:
    """Images with labels, groups and splits, and what of params.yaml is other than the recipe."""

    images: list[np.ndarray]  # uint8 [H, W] or [H, W, 3]
    rows: pd.DataFrame  # label, truth (of a label that a fault changes), group, split
    changes: dict[str, Any]
    network: str = ""  # code of networks/own.py


def of(case: Case, split: str) -> np.ndarray:
    return np.flatnonzero(case.rows["split"] == split)


def digits() -> tuple[list[np.ndarray], list[str], list[str]]:
    """Return images, labels and groups of 1,797 handwritten digits."""
    found = load_digits()
    images = [np.round(image * 15.9375).astype(np.uint8) for image in found.images]
    return images, [str(label) for label in found.target], [str(n) for n in range(len(images))]


def of_folder(name: str) -> tuple[list[np.ndarray], list[str], list[str]]:
    """Return images, labels and groups; `name`: a folder of class folders, and @SIDE for another side than `SIDE_PX`.

    `NAME__GROUP.png` is of a group, others each by itself.
    """
    folder, side = Path(name.partition("@")[0]), int(name.partition("@")[2] or SIDE_PX)
    listed = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in (".png", ".jpg"))
    chosen = sorted(np.random.default_rng(0).permutation(len(listed))[:MOST_IMAGES])
    images = [np.asarray(Image.open(listed[n]).resize((side, side))) for n in chosen]
    groups = [listed[n].stem.partition("__")[2] or str(n) for n in chosen]
    return images, [listed[n].parent.name for n in chosen], groups


def healthy(name: str, seed: int) -> Case:
    images, labels, groups = digits() if name == "digits" else of_folder(name)
    rows = pd.DataFrame({"label": labels, "truth": labels, "group": groups, "split": "train"})
    split = GroupShuffleSplit(1, train_size=SHARES["train"], random_state=seed)
    _, rest = next(split.split(rows, groups=rows["group"]))
    part = GroupShuffleSplit(1, train_size=SHARES["val"] / (SHARES["val"] + SHARES["test"]), random_state=seed)
    val, test = next(part.split(rest, groups=rows["group"].iloc[rest]))
    rows.loc[rest[val], "split"], rows.loc[rest[test], "split"] = "val", "test"
    side, colour = len(images[0]) if name != "digits" else 16, "rgb" if images[0].ndim == 3 else "grey"
    size = {"preprocess.height_px": side, "preprocess.width_px": side, "preprocess.colour": colour, "seed": seed}
    return Case(images, rows, RECIPE | size)


def write(folder: Path, case: Case) -> Path:
    """Write the images and their table."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    paths = [f"{number:05}.png" for number in range(len(case.images))]
    for path, image in zip(paths, case.images, strict=True):
        Image.fromarray(image).save(folder / path)
    case.rows.drop(columns="truth").assign(path=paths).to_csv(folder / "table.csv", index=False)
    return folder / "table.csv"
