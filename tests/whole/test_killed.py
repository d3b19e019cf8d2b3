"""Runs that are killed, and that find the disk full: the next one goes on, and the bytes are equal."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkouts import draw, make_checkout, run
from whole_runs import STAGES, hashes

# Leaves a line for each image that is measured or prepared. At the one with the wanted number no thread goes on, and
# when so many files match the pattern as are wanted, or will not in a minute, it kills itself.
LATER = ("models/answering", "models/reference", "models/export")  # of evaluate and register, beside the model
COUNTING = """
import os, pathlib, runpy, signal, sys, time
from assay.images import decode
from assay.ingestion import measure, scan

stage, name, kill_at, pattern, wanted = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5])
scan.PART_IMAGES = 20
module = {"decode": measure, "prepare": decode}[name]
original, calls = getattr(module, name), []

def counting(content, *arguments, **options):
    calls.append(content)
    if kill_at and len(calls) >= kill_at:
        patience = time.monotonic() + 60
        while len(list(pathlib.Path().glob(pattern))) < wanted and time.monotonic() < patience:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
    with open("done.log", "a") as log:
        log.write(str(hash(content)) + "\\n")
    return original(content, *arguments, **options)

setattr(module, name, counting)
runpy.run_module("tasks." + stage, run_name="__main__")
"""


def environment(checkout: Path) -> dict[str, str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PATH": path, "PYTHONPATH": str(checkout), "PYTHONHASHSEED": "0"}


def counted(checkout: Path, stage: str, name: str, kill_at: int = 0, after: tuple[str, int] = ("", 0)) -> Counter[str]:
    """Return how often each image was measured or prepared by a stage that dies at the image `kill_at`; 0: it lives.

    Before it dies it waits `after` what the main thread writes meanwhile: a pattern, and how many files match it.
    """
    (checkout / "done.log").unlink(missing_ok=True)
    command = [sys.executable, "-c", COUNTING, stage, name, str(kill_at), after[0], str(after[1])]
    done = subprocess.run(command, cwd=checkout, env=environment(checkout), capture_output=True, text=True)
    assert done.returncode == (-signal.SIGKILL if kill_at else 0), done.stderr
    return Counter((checkout / "done.log").read_text().split())


@pytest.mark.slow
def test_image_that_was_measured_before_a_kill_is_not_measured_again(checkout: Path) -> None:
    before = counted(checkout, "ingest", "decode", kill_at=115, after=(".assay/images/**/*.arrow", 2))
    after = counted(checkout, "ingest", "decode")
    assert before.total() >= 100
    assert len(before + after) == 150
    assert after.total() <= 150 - 40  # what is no whole part of 20 images yet is lost
    assert before.total() + after.total() - 150 <= 75
    manifest = (checkout / "data/manifest.parquet").read_bytes()
    shutil.rmtree(checkout / ".assay")
    assert counted(checkout, "ingest", "decode").total() == 150
    assert (checkout / "data/manifest.parquet").read_bytes() == manifest


@pytest.mark.slow
def test_shard_that_was_whole_before_a_kill_is_not_encoded_again(checkout: Path) -> None:
    text = (checkout / "params.yaml").read_text()
    (checkout / "params.yaml").write_text(text.replace("shard_images: 1000", "shard_images: 20"))
    for stage in ("ingest", "validate", "gate"):
        run(checkout, "python", "-m", f"tasks.{stage}")
    before = counted(checkout, "preprocess", "prepare", kill_at=100, after=("data/records/*.tfrecord", 4))
    shards = {file.name: file.stat().st_mtime_ns for file in (checkout / "data/records").glob("*.tfrecord")}
    assert len(shards) >= 4
    after = counted(checkout, "preprocess", "prepare")
    assert len(before + after) == 150
    assert after.total() <= 150 - 10 * len(shards)  # halving leaves more than 10 images in a full shard
    whole = {file.name: file.stat().st_mtime_ns for file in (checkout / "data/records").iterdir()}
    assert shards.items() <= whole.items()
    shutil.rmtree(checkout / "data/records")
    assert counted(checkout, "preprocess", "prepare").total() == 150
    assert {file.name for file in (checkout / "data/records").iterdir()} == set(whole)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkout in which the pipeline ran once, from start to end."""
    folder = tmp_path_factory.mktemp("undisturbed")
    draw(folder / "images", 50)
    (folder / "checkout/.dvc").mkdir(parents=True)
    run(make_checkout(folder / "checkout", folder / "images"), "dvc", "repro")
    return folder / "checkout"


@pytest.mark.live
def test_run_killed_at_ten_random_moments_is_finished_by_the_next_to_the_same_bytes(
    undisturbed: Path, tmp_path: Path
) -> None:
    (tmp_path / "checkout/.dvc").mkdir(parents=True)
    checkout = make_checkout(tmp_path / "checkout", undisturbed.parent / "images")
    chosen = random.Random(7)
    stages = ["ingest", "ingest", "validate", "validate", "preprocess", "preprocess", "train", "train"]
    finished: list[str] = []
    for number, stage in enumerate([*stages, "evaluate", "register"]):
        printed = killed(checkout, stage, chosen.uniform(0, 3), group=number % 2 == 0)
        assert_skipped(printed, finished)
        started = [name for name in STAGES if f"Running stage '{name}'" in printed]
        finished += started[:-1]  # DVC starts a stage when the one before it is recorded
    printed = run(checkout, "dvc", "repro")
    assert_skipped(printed, finished)
    assert hashes(checkout) == hashes(undisturbed)
    assert set(outputs(checkout)) == set(outputs(undisturbed))
    assert outputs(checkout) == outputs(undisturbed)
    assert "Running stage" not in run(checkout, "dvc", "repro")


def killed(checkout: Path, stage: str, seconds: float, *, group: bool) -> str:
    """Return what `dvc repro` printed until it was killed, some time after a stage began; `group`: its children too."""
    log = checkout.parent / "killed.log"
    with log.open("w") as out:
        dvc = subprocess.Popen(
            ["dvc", "repro"], cwd=checkout, env=environment(checkout), stdout=out, stderr=out, start_new_session=True
        )
        end = time.time() + 300
        while f"Running stage '{stage}'" not in log.read_text() and dvc.poll() is None and time.time() < end:
            time.sleep(0.05)
        time.sleep(seconds)
        if dvc.poll() is None:  # else it came to its end before its moment
            (os.killpg if group else os.kill)(dvc.pid, signal.SIGKILL)
        dvc.wait()
    return log.read_text()


def assert_skipped(printed: str, finished: list[str]) -> None:
    """No stage that had finished runs again."""
    assert [name for name in finished if f"Running stage '{name}'" in printed] == [], printed


def outputs(checkout: Path) -> dict[str, bytes]:
    """Return every file of the outputs of dvc.lock, as it is on the disk."""
    found = {}
    for path in hashes(checkout):
        place = checkout / path
        for file in place.rglob("*") if place.is_dir() else [place]:
            if file.is_file():
                found[str(file.relative_to(checkout))] = file.read_bytes()
    return found


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a disk of its own, of 3 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", folder]).returncode:
        pytest.skip("only root may mount a disk of its own")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "folder"), [("ingest", "data/raw"), ("preprocess", "data/records"), ("train", "models")]
)
def test_full_disk_is_said_and_leaves_nothing_that_looks_whole(
    undisturbed: Path, tmp_path: Path, small_disk: Path, stage: str, folder: str
) -> None:
    checkout = tmp_path / "checkout"
    shutil.copytree(undisturbed, checkout, symlinks=True)

    def left() -> dict[str, object]:  # but what later stages leave in the folder
        return {path: found for path, found in outputs(checkout).items() if not path.startswith(LATER)}

    before = left()
    shutil.rmtree(checkout / folder)
    (checkout / folder).symlink_to(small_disk)
    filler = small_disk / ".filler"
    with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as out:
        while True:
            out.write(b"x" * 4096)
    printed = run(checkout, "python", "-m", f"tasks.{stage}", code=1)
    assert "No space left on device" in printed
    assert "nothing was recorded" in printed
    assert "Traceback" not in printed
    assert [file.name for file in small_disk.iterdir()] == [".filler"]
    filler.unlink()
    if stage == "preprocess":
        (checkout / folder / ".gitignore").touch()
    run(checkout, "python", "-m", f"tasks.{stage}")
    assert left() == before
