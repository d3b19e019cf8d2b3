"""How long it takes to validate images: `python -m benchmarks.validation [OPTIONS]`, which `--help` lists.

The images are seeded noise like that of measure.py, JPEG at quality 85, in ten classes. `snapshot`, `ingest` and
`validate` run as the commands that they are, in a checkout of nothing else; CleanVision, in a Python that has it, with
as many processes as there are cores. CPU seconds are those of all processes and threads.
"""

import os
import resource
import shutil
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
        place = Path(scratch) / "checkout"
        checkout(place, [f"class {n}" for n in range(CLASSES)])
        ours = [("snapshot", timed(["assay", "snapshot", str(folder)], place))]
        ours += [(stage, timed([sys.executable, "-m", f"tasks.{stage}"], place)) for stage in ("ingest", "validate")]
        for name, seconds in ours:
            row(name, seconds, theirs)
        row("all three", (sum(s[0] for _, s in ours), sum(s[1] for _, s in ours)), theirs)
        for name in ("ingest", "validate"):
            row(f"{name} once more", timed([sys.executable, "-m", f"tasks.{name}"], place), theirs)


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
