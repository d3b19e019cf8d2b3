"""`dvc repro` on a multi-label table and on a folder of two classes, small sets that a network can learn."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from checkouts import make_checkout, run, set_params
from PIL import Image

from assay.dataset import manifest
from assay.dataset.records import contents

LEARNS = {"epochs": 8, "filters": [16, 32], "batch_images": 16, "learning_rate": 0.005, "dropout": 0}
SIDE_PX = 16


def draw(file: Path, seed: int, classes: str) -> None:
    """Write a coarse random picture, brighter for `b`, with a chequered grain for `c` and lines for `l`."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((SIDE_PX, SIDE_PX))
    grain = 25 * ("c" in classes) * (-1) ** (x + y) + 25 * ("l" in classes) * (-1) ** y + rng.integers(-8, 8, x.shape)
    pixels = rng.integers(50, 110, (4, 4)).repeat(4, axis=0).repeat(4, axis=1) + 80 * ("b" in classes) + grain
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file)


def checkout_of(folder: Path, source: str, *options: str, classes: tuple[str, ...]) -> Path:
    """Return a checkout that learns from a source of these classes, and in which the pipeline ran."""
    (folder / "checkout/.dvc").mkdir(parents=True)
    made = make_checkout(folder / "checkout", source, *options, classes=classes)
    set_params(made, train=LEARNS)
    run(made, "dvc", "repro")
    return made


def evaluated(checkout: Path) -> dict[str, Any]:
    return dict(json.loads((checkout / "metrics/eval.json").read_text())["eval"])


def rows(checkout: Path) -> pd.DataFrame:
    return manifest.read(checkout / "data/manifest.parquet").set_index("sha256")


@pytest.mark.slow
def test_multi_label_table_is_learnt_released_corrected_and_compared(tmp_path: Path) -> None:
    held = ["".join(name for bit, name in enumerate("bcl") if number >> bit & 1) for number in range(240)]
    for number, classes in enumerate(held):
        draw(tmp_path / f"images/{number}.png", number, classes)
    table = tmp_path / "images/t.csv"
    listed = [f"{number}.png,{';'.join(classes) or ';'}" for number, classes in enumerate(held)]
    table.write_text("\n".join(["path,tags", *listed]) + "\n")
    source = (f"table:{table}", "--labels", "tags", "--separator", ";")
    checkout = checkout_of(tmp_path, *source, classes=("b", "c", "l"))

    found = evaluated(checkout)
    assert found["accuracy_low"] > 0.7 > found["baseline_accuracy"]
    assert found["min_class_recall"] > 0.8
    assert found["average_precision"] > 0.9
    index = contents.read_index(checkout / "data/records.json")
    assert (index.task, index.classes) == ("multi_label", ("b", "c", "l"))
    assert "exact match" in run(checkout, "assay", "results")
    assert "Names those of 3 classes" in (checkout / "MODEL_CARD.md").read_text()
    run(checkout, "git", "add", "-A")
    run(checkout, "git", "commit", "-qm", "first run")
    assert "now the champion" in run(checkout, "assay", "release")
    assert f"promote, exact match {found['accuracy']}" in run(checkout, "git", "log", "-1", "--format=%s")

    before, shards = rows(checkout), {file.name for file in (checkout / "data/records").iterdir()}
    table.write_text(table.read_text().replace("\n7.png,b;c;l\n", "\n7.png,b\n").replace("\n9.png,b\n", "\n"))
    (tmp_path / "images/9.png").unlink()
    run(checkout, "assay", "snapshot", *source)
    run(checkout, "dvc", "repro")
    after = rows(checkout)
    assert len(after) == len(before) - 1
    assert after[["split", "group"]].equals(before.loc[after.index, ["split", "group"]])
    assert after.set_index("path").loc["7.png", "label"] == "b"
    assert len({file.name for file in (checkout / "data/records").iterdir()} - shards) <= 2
    checks = json.loads((checkout / "registry/candidate.json").read_text())["checks"]
    (against,) = [check["text"] for check in checks if check["name"] == "champion"]
    assert against.startswith("exact match ")
    assert "of champion v0.0.1 on the" in against


@pytest.mark.slow
def test_two_classes_are_learnt_and_both_are_measured(tmp_path: Path) -> None:
    for number in range(90):
        draw(tmp_path / f"images/fine/{number}.png", number, "")
        draw(tmp_path / f"images/lined/{number}.png", 500 + number, "l")
    checkout = checkout_of(tmp_path, str(tmp_path / "images"), classes=("fine", "lined"))
    found = evaluated(checkout)
    assert found["accuracy_low"] > 0.8
    assert {"roc_auc", "average_precision", "balanced_accuracy", "f1_macro_low"} <= set(found)
    scores = ["average_precision", "f1", "n", "precision", "recall", "roc_auc"]
    assert {name: sorted(of_class) for name, of_class in found["class"].items()} == {"fine": scores, "lined": scores}
    assert "Tells 2 classes apart: `fine`, `lined`." in (checkout / "MODEL_CARD.md").read_text()
    assert "| average precision, mean over classes |" in (checkout / "MODEL_CARD.md").read_text()
