"""A tiny labelled image set, and a checkout of this project that works on it."""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import warm
import yaml
from PIL import Image

from assay import files

ROOT = Path(__file__).parent.parent.parent
CLASSES = ("ape", "bee", "cow")


def png(seed: int, brightness: int = 128, side_px: int = 12, width_px: int | None = None) -> bytes:
    """Return a grey PNG of noise around a brightness, a square if no width is given."""
    noise = np.random.default_rng(seed).integers(-30, 30, (side_px, width_px or side_px))
    content = io.BytesIO()
    Image.fromarray((noise + brightness).clip(0, 255).astype(np.uint8)).save(content, "PNG")
    return content.getvalue()


def draw(folder: Path, per_class: int, first: int = 0) -> None:
    """Add images to each class; the brighter the later its name, so that a network can tell them apart."""
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(first, first + per_class):
            (folder / name / f"{number:03d}.png").write_bytes(png(1000 * label + number, 50 + 75 * label))


def make_checkout(to: Path, images: Path | str, *options: str, classes: Sequence[str] = CLASSES) -> Path:
    """Return a git checkout of the project whose source is `images`, small enough to run in seconds.

    `options`: of `assay snapshot`; `classes`: those that the suites know.
    """
    for name in ("assay", "tasks", "expectations", "networks", "registry", ".dvc/plots"):
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__", "candidate.json"))
    for name in ("dvc.yaml", "params.yaml", ".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, to / name)
    set_params(
        to,
        # One block that is shown images as they are: most of so short a training is to build the graph of each step.
        train={"epochs": 2, "filters": [8], "augment": {"preset": "none", "flip": "none"}},
        register={
            "min_accuracy": 0,
            "min_class_recall": 0,
            "margin": 1,
            "max_new_error_share": 1,
            "allow_label_change": True,
        },
    )
    labels = (to / "expectations/labels.yaml").read_text()
    digits = '["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]'
    assert digits in labels
    (to / "expectations/labels.yaml").write_text(labels.replace(digits, str(list(classes))))
    run(to, "git", "init", "-q", "-b", "main")
    run(to, "git", "config", "user.email", "tester@example.org")
    run(to, "git", "config", "user.name", "Tester")
    run(to, "assay", "snapshot", str(images), *options)
    run(to, "git", "add", "-A")
    run(to, "git", "commit", "-qm", "start")
    run(to, "git", "gc", "-q")  # few files: tests work on copies
    return to


def set_params(checkout: Path, **sections: dict[str, object]) -> None:
    content = files.read_yaml(checkout / "params.yaml")
    for section, values in sections.items():
        content[section] |= values
    (checkout / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def run(checkout: Path, *command: str, code: int = 0, **environment: str) -> str:
    """Return what the command printed; fails unless it exits with `code`. It is warm, and what it runs (warm.py)."""
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    # The root of this project is on the path of an editable install; the checkout's own modules must win.
    own = {"PATH": paths, "PYTHONPATH": str(checkout), "GIT_CONFIG_GLOBAL": os.devnull}
    variables = warm.added(os.environ | own | environment)
    given = ["python", "-m", *command] if command[0] in ("assay", "dvc") else list(command)
    done = subprocess.run(given, cwd=checkout, env=variables, capture_output=True, text=True, timeout=600)
    printed = done.stdout + done.stderr
    assert done.returncode == code, printed
    return printed


@contextmanager
def put_back(folder: Path) -> Iterator[None]:
    """Let a test change the folder, and have it as it was afterwards, at the same place: sources and DVC know it."""
    kept = folder.with_name(f"{folder.name} kept")
    shutil.copytree(folder, kept, symlinks=True)
    yield
    shutil.rmtree(folder)
    kept.rename(folder)
