"""How good a recipe is: `python -m benchmarks.recipes [DATA ...]`, of digits, elpv, or a folder of photos in class
folders; many minutes. recipes.md has what came out.

Each recipe is the stage `train` itself on random splits, stratified by class: a quarter to test, a tenth of the rest to
choose the epoch by. Seeds differ in the split and in the network. ELPV needs `pip install elpv-dataset` (90 MB): a cell
is defective from a probability of 0.5 on, as its authors do.
"""

import contextlib
import dataclasses
import hashlib
import io
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.model_selection import train_test_split

from assay import params
from assay.dataset.records import contents, shard
from assay.training import batches, keras_file, presets
from benchmarks.faults.pictures import elpv_folder, elpv_labels
from tasks import train as stage

SEEDS = range(5)
P = params.load(Path(__file__).parents[1] / "params.yaml")
Images = tuple[np.ndarray, np.ndarray]  # uint8 [N, H, W, C], labels [N]
Rows = dict[str, np.ndarray]  # of each split


def digits() -> Images:
    """Return 1,797 handwritten digits at 16 px."""
    found = load_digits()
    images = [Image.fromarray((image * 15.9375).astype(np.uint8)).resize((16, 16)) for image in found.images]
    return np.stack([np.asarray(image) for image in images])[..., None], found.target


def elpv() -> Images:
    """Return 2,624 solar cells at 64 px: sound or defective."""
    cells = elpv_labels()
    images = [Image.open(elpv_folder() / path).convert("L").resize((64, 64)) for path in cells["path"]]
    return np.stack([np.asarray(image) for image in images])[..., None], (cells["probability"] >= 0.5).to_numpy(int)


def photos(folder: Path) -> Images:
    """Return the photos of class folders, RGB, each as a square of the shortest side among them."""
    files = sorted(folder.glob("*/*"))
    shown = [Image.open(file).convert("RGB") for file in files]
    side = min(min(image.size) for image in shown)
    names = sorted({file.parent.name for file in files})
    labels = [names.index(file.parent.name) for file in files]
    return np.stack([np.asarray(image.resize((side, side))) for image in shown]), np.array(labels)


def preset(images: np.ndarray, labels: np.ndarray) -> params.Train:
    """Return params.yaml's recipe with what the preset proposes for the images."""
    _, height, width, channels = images.shape
    n_train = round(len(images) * 0.75 * 0.9)
    found = presets.suggest(height, width, n_train, len(set(labels)), "rgb" if channels == 3 else "grey")
    return dataclasses.replace(P.train, filters=found.filters, epochs=found.epochs, batch_images=found.batch_images)


def transferred(p: params.Train) -> params.Train:
    """Return a recipe on EfficientNetLite0, whose weights a package brings."""
    transfer = dataclasses.replace(
        P.train.transfer,
        weights="imagenet",
        side_px=96,
        head_epochs=4,
        from_layer="block11_expand",
        learning_rate=0.0005,
    )
    return dataclasses.replace(p, network="EfficientNetLite0", transfer=transfer, epochs=10)


RECIPES: dict[str, tuple[Callable[[], Images], dict[str, Callable[[params.Train], params.Train]]]] = {
    "digits": (digits, {"the preset": lambda p: p, "resnet": lambda p: dataclasses.replace(p, network="resnet")}),
    "elpv": (elpv, {"the preset": lambda p: p, "EfficientNetLite0": transferred}),
}


PHOTOS = {
    "the preset": lambda p: p,
    "the preset, flipped": lambda p: dataclasses.replace(p, augment=dataclasses.replace(p.augment, flip="horizontal")),
    "EfficientNetLite0": transferred,
}


def load(name: str) -> Images:
    """Return the images of `digits`, of `elpv`, or of a folder of photos."""
    return RECIPES[name][0]() if name in RECIPES else photos(Path(name))


def main(names: list[str]) -> None:
    print("| data | recipe | epochs | test accuracy | balanced | seeds | CPU s a run |\n|---|---|---|---|---|---|---|")
    for name in names:
        images, labels = load(name)
        for recipe, change in (RECIPES[name][1] if name in RECIPES else PHOTOS).items():
            p = change(preset(images, labels))
            found = np.array([run(images, labels, p, seed) for seed in SEEDS])
            accuracy, balanced = (interval(found[:, column]) for column in (0, 1))
            counted = f"{len(found)} | {found[:, 2].mean():.0f}"
            print(f"| {name} | {recipe} | {p.epochs} | {accuracy} | {balanced} | {counted} |", flush=True)


def run(images: np.ndarray, labels: np.ndarray, p: params.Train, seed: int) -> tuple[float, float, float]:
    """Return accuracy and balanced accuracy on test, and the CPU seconds of the training."""
    predicted, actual, seconds = answers(images, labels, p, split(labels, seed), seed)
    return accuracy_score(actual, predicted), balanced_accuracy_score(actual, predicted), seconds


def answers(
    images: np.ndarray, labels: np.ndarray, p: params.Train, rows: Rows, seed: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return what was predicted of the test images, what they are, and the CPU seconds of the training."""
    with tempfile.TemporaryDirectory() as folder:
        inside: dict[str, Any] = {
            name: Path(folder) / path for name, path in vars(P.paths).items() if isinstance(path, Path)
        }
        memo = {name: Path(folder) / path for name, path in vars(P.paths.memo).items()}
        inside |= {"memo": dataclasses.replace(P.paths.memo, **memo)}
        paths = dataclasses.replace(P.paths, **inside)
        index = write(paths, images, labels, rows)
        began = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            stage.train(paths, p, seed=seed, threads=P.threads)
        seconds = time.process_time() - began
        model = keras_file.read(paths.model)
        found = [
            (model.predict_on_batch(part).argmax(axis=1), actual.numpy())
            for part, actual in batches.ordered(paths.records, index, "test", batch_images=64)
        ]
    predicted, actual = map(np.concatenate, zip(*found, strict=True))
    return predicted, actual, seconds


def split(labels: np.ndarray, seed: int) -> Rows:
    """Return the split that the seed decides."""
    rest, test = train_test_split(np.arange(len(labels)), test_size=0.25, stratify=labels, random_state=seed)
    train, val = train_test_split(rest, test_size=0.1, stratify=labels[rest], random_state=seed)
    return {"train": train, "val": val, "test": test}


def write(paths: params.Paths, images: np.ndarray, labels: np.ndarray, rows: Rows) -> contents.Index:
    """Write the records of a split."""
    splits = {}
    for name, of_split in rows.items():
        examples = [
            contents.Example(
                image=images[row], label=int(labels[row]), sha256=hashlib.sha256(str(row).encode()).hexdigest()
            )
            for row in of_split
        ]
        counts = tuple(int(count) for count in np.bincount(labels[of_split], minlength=labels.max() + 1))
        written = shard.write(paths.records, name, examples)
        splits[name] = contents.Split(n_images=len(of_split), class_counts=counts, shards=(written,))
    _, height, width, channels = images.shape
    classes = tuple(str(label) for label in range(labels.max() + 1))
    index = contents.Index(height_px=height, width_px=width, channels=channels, classes=classes, splits=splits)
    contents.write_index(paths.index, index)
    return index


def interval(values: np.ndarray) -> str:
    """Return the mean over seeds and its 95 % interval by Student's t."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.4f} ± {half:.4f}"


if __name__ == "__main__":
    main(sys.argv[1:] or list(RECIPES))
