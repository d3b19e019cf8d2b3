"""A tiny labelled image set, and a checkout of this project that works on it."""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from PIL import Image

if TYPE_CHECKING:
    from machine import Machine

ROOT = Path(__file__).parent.parent
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
    for name in ("assay", "tasks", "expectations", "registry", ".dvc/plots"):
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__", "candidate.json"))
    for name in ("dvc.yaml", "params.yaml", ".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, to / name)
    set_params(to, train={"epochs": 2, "filters": [8, 8]}, register={"min_accuracy": 0, "min_class_recall": 0})
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
    return to


def set_params(checkout: Path, **sections: dict[str, object]) -> None:
    content = yaml.safe_load((checkout / "params.yaml").read_text())
    for section, values in sections.items():
        content[section] |= values
    (checkout / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def run(checkout: Path, *command: str, code: int = 0, **environment: str) -> str:
    """Return what the command printed; fails unless it exits with `code`."""
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    # The root of this project is on the path of an editable install; the checkout's own modules must win.
    variables = os.environ | {"PATH": paths, "PYTHONPATH": str(checkout), "GIT_CONFIG_GLOBAL": os.devnull} | environment
    done = subprocess.run(command, cwd=checkout, env=variables, capture_output=True, text=True, timeout=600)
    printed = done.stdout + done.stderr
    assert done.returncode == code, printed
    return printed


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """50 images of 12 x 12 px in each of three classes."""
    draw(tmp_path / "images", 50)
    return tmp_path / "images"


@pytest.fixture
def checkout(tmp_path: Path, images: Path) -> Path:
    (tmp_path / "checkout/.dvc").mkdir(parents=True)
    return make_checkout(tmp_path / "checkout", images)


# One machine with real processes, which all tests that are marked `live` share: its start takes a minute.


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[tuple[Machine, list[dict[str, Any]]]]":
    """The machine, and what people are told."""
    # Only here, for Prefect costs each process seconds.
    from machine import Machine
    from prefect.settings import PREFECT_API_URL, temporary_settings
    from test_alert import receiving

    with receiving() as (url, told):
        machine = Machine(tmp_path_factory.mktemp("machine"), url)
        with temporary_settings({PREFECT_API_URL: machine.api}):
            machine.start("server")
            machine.limit("cpu", "gpu")
            machine.start("serve")
            yield machine, told
            machine.stop()


@pytest.fixture(scope="session")
def undisturbed(running: "tuple[Machine, list[dict[str, Any]]]") -> tuple[str, str, list[str]]:
    """What a retraining leaves that nothing disturbs."""
    machine, told = running
    assert machine.end(machine.ask()) == "Completed"
    assert (machine.champion(), told) == ("v0.0.1", [])
    return machine.result()


@pytest.fixture
def machine(
    running: "tuple[Machine, list[dict[str, Any]]]", undisturbed: object, monkeypatch: pytest.MonkeyPatch
) -> "Machine":
    """The machine before its first retraining, with everything running; its checkout is the current folder."""
    from assay import alert

    machine, told = running
    for name in ("server", "serve"):
        machine.start(name)
    machine.reset()
    told.clear()
    monkeypatch.chdir(machine.checkout)
    monkeypatch.setenv(alert.URLS, machine.settings[alert.URLS])
    return machine


@pytest.fixture
def told(running: "tuple[Machine, list[dict[str, Any]]]") -> list[dict[str, Any]]:
    """What people were told."""
    return running[1]


@pytest.fixture
def titles(told: list[dict[str, Any]]) -> Callable[[], list[str]]:
    """Wait for a message, and return the headlines of those that came since the last time."""
    from machine import until

    def ask() -> list[str]:
        until(lambda: told)
        found = [each["title"] for each in told]
        told.clear()
        return found

    return ask
