"""What tests of every kind are given: images, a checkout that works on them, a server, a machine."""

import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import warm
from absl import logging as absl_logging
from checkouts import ROOT, draw, make_checkout, run
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from machine import Machine

# GTO and Prefect set up logging when they are imported, which closes the handlers of before. That of TensorFlow closes
# its stream too unless it is a standard one; where DVC has wrapped those, what pytest captures with is none.
absl_logging.get_absl_handler().python_handler.stream = sys.__stderr__

# What is tested is what comes out; a machine that does other things too takes its time.
settings.register_profile("assay", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("assay")


# All that is imported stays, and TensorFlow and Keras make much: to look through it again and again, while it comes and
# then in each test, took a fifth of the time.
gc.disable()


def pytest_configure(config: pytest.Config) -> None:
    """Let all workers ask one process for theirs, where there are several (warm.py), and use one core each."""
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # or threads of BLAS wait for each other, at a core's full speed
        warm.share()


def pytest_collection_finish() -> None:
    """Collect garbage from now on, of what the tests make."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first what takes long, so that no worker waits for the other at the end."""
    items.sort(key=lambda item: not {"flows", "whole"} & set(item.path.relative_to(ROOT).parts))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let what a test draws not hang on the tests before it, which are others in each run on two workers."""
    if tensors := sys.modules.get("assay.training.tensors"):
        tensors.draw_from(0)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of `images`, and the `checkout` that works on it; `images` and `checkout` are copies of these."""
    folder = tmp_path_factory.mktemp("made")
    draw(folder / "images", 50)
    (folder / "checkout/.dvc").mkdir(parents=True)
    checkout = make_checkout(folder / "checkout", folder / "images")
    for name in ("assay", "tasks"):  # hundreds of files, which no test changes: each copy has a link to these
        (checkout / name).rename(folder / name)
        (checkout / name).symlink_to(folder / name)
    run(checkout, "git", "add", "-A")
    run(checkout, "git", "commit", "-q", "--amend", "--no-edit")
    return folder


@pytest.fixture
def images(made: Path, tmp_path: Path) -> Path:
    """50 images of 12 x 12 px in each of three classes."""
    return Path(shutil.copytree(made / "images", tmp_path / "images"))


@pytest.fixture
def checkout(made: Path, tmp_path: Path, images: Path) -> Path:
    """A checkout whose source is `images`, as `make_checkout` leaves it, but for its code, which is not its own."""
    folder = Path(shutil.copytree(made / "checkout", tmp_path / "checkout", symlinks=True))
    source = folder / "data/source.json"
    assert str(made / "images") in source.read_text()
    source.write_text(source.read_text().replace(str(made / "images"), str(images)))
    run(folder, "git", "commit", "-q", "--amend", "--all", "--no-edit")
    return folder


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a Prefect server, which all flows of this worker use: one takes 9 s of CPU to start."""
    # Only here, for Prefect costs each process seconds.
    from prefect.events.worker import EventsWorker
    from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    # Each run would wait up to a second for the thread that sends heartbeats.
    with (
        prefect_test_harness(server_startup_timeout=120),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        EventsWorker.drain_all()  # that of another server goes on sending to it
        yield PREFECT_API_URL.value() or ""


# One machine with real processes, which all tests that are marked `live` share: its start takes a minute.


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[tuple[Machine, list[dict[str, Any]]]]":
    """The machine, and what people are told."""
    # Only here, for Prefect costs each process seconds.
    from machine import Machine
    from prefect.settings import PREFECT_API_URL, temporary_settings
    from receiver import receiving

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
    from assay.operations import alert

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
