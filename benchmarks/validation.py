"""How long it takes to validate images: `python -m benchmarks.validation [OPTIONS]`, which `--help` lists.

The images are seeded noise like that of measure.py, JPEG at quality 85, in ten classes. `snapshot`, `ingest` and
`validate` run as the commands that they are, some rounds, each in a new checkout of nothing else; CleanVision, once, in
a Python that has it, with as many processes as there are cores. CPU seconds are those of all processes and threads.
"""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import click

from benchmarks.faults.checkout import ROOT, checkout
from benchmarks.measure import draw

CLASSES = 10
ROUNDS = 3  # of ours, whose median counts: one is short, and the more at the mercy of chance
PEER = """
import sys
from cleanvision import Imagelab
Imagelab(data_path=sys.argv[1], verbose=False).find_issues(n_jobs=int(sys.argv[2]), verbose=False)
"""


@click.command()
@click.option("--images", default=20_000)
@click.option("--size", nargs=2, default=(256, 256), help="Of each image, in px: width and height.")
@click.option("--cleanvision", metavar="PYTHON", help="A Python that has CleanVision.")
def main(images: int, size: tuple[int, int], cleanvision: str | None) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "images"
        write(folder, images, size)
        n_bytes = sum(file.stat().st_size for file in folder.rglob("*.jpg"))
        print(f"{images:,} images of {size[0]}x{size[1]} px, {n_bytes / 1e6:.0f} MB, {os.cpu_count()} cores\n")
        print("| way | CPU s | wall s | of CleanVision's CPU | of its wall |\n|---|---|---|---|---|")
        theirs = (
            timed([cleanvision, "-c", PEER, str(folder), str(os.cpu_count())], Path(scratch)) if cleanvision else None
        )
        row("CleanVision", theirs, theirs)
        rounds = [ours(Path(scratch) / f"checkout {n}", folder) for n in range(ROUNDS)]
        for name in rounds[0]:
            row(name, median([each[name] for each in rounds]), theirs)


def ours(place: Path, images: Path) -> dict[str, tuple[float, float]]:
    """Return the CPU and wall seconds of each command in a new checkout, by name, then of another run there."""
    checkout(place, [f"class {n}" for n in range(CLASSES)])
    stages = {name: [sys.executable, "-m", f"tasks.{name}"] for name in ("ingest", "validate")}
    commands = {"snapshot": ["assay", "snapshot", str(images)]} | stages
    first = {name: timed(command, place) for name, command in commands.items()}
    whole = tuple(map(sum, zip(*first.values(), strict=True)))
    again = {f"{name} once more": timed(command, place) for name, command in stages.items()}
    shutil.rmtree(place)
    return first | {"all three": (whole[0], whole[1])} | again


def median(seconds: list[tuple[float, float]]) -> tuple[float, float]:
    cpu, wall = (statistics.median(column) for column in zip(*seconds, strict=True))
    return cpu, wall


def write(folder: Path, n_images: int, size: tuple[int, int]) -> None:
    for number in range(CLASSES):
        (folder / f"class {number}").mkdir(parents=True)
    with ProcessPoolExecutor() as processes:  # gone when the clock begins: a child counts at its end
        list(processes.map(partial(save, folder, size), range(n_images), chunksize=100))


def save(folder: Path, size: tuple[int, int], number: int) -> None:
    draw(number, size).save(folder / f"class {number % CLASSES}" / f"{number:06}.jpg", quality=85)


def timed(command: list[str], folder: Path) -> tuple[float, float]:
    """Return the CPU and wall seconds of a command that must succeed."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [shutil.which(command[0]) or command[0], *command[1:]]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    after, ended = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, ended - begun


def row(name: str, seconds: tuple[float, float] | None, theirs: tuple[float, float] | None) -> None:
    if seconds:
        shares = [f"{own / other:.3f}" for own, other in zip(seconds, theirs, strict=True)] if theirs else ["", ""]
        print("|", " | ".join([name, *(f"{each:.1f}" for each in seconds), *shares]), "|", flush=True)


if __name__ == "__main__":
    main()
