"""How much memory each image costs: `python -m benchmarks.memory [N]`; memory.md says what came out.

Draws N JPEGs of 48 px, noise in ten classes, and runs the stages as DVC does, each in a process of its own, over half
of them and over all, in a new checkout for each. The memory is the peak of the largest process, with the pages of files
that it maps; the slope is what it grows by from the one size to the other, divided by the images between them.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.faults.checkout import ROOT, checkout

CLASSES = [f"class {number}" for number in range(10)]
SIDE_PX = 48
# Between this process and the stage: what begins as a copy of a process counts the memory of that too.
WATCH = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
STAGES = {
    "ingest": "ingest",
    "ingest, nothing new": "ingest",
    "validate": "validate",
    "gate": "gate",
    "preprocess": "preprocess",
}


def main(n: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        images, sizes = Path(scratch) / "images", (n // 2, n)
        found = []
        for before, size in zip((0, *sizes), sizes, strict=False):
            draw(images, before, size)
            found.append(dict(peaks(Path(scratch) / f"checkout {size}", images)))
    print(
        f"| MB of the largest process | {sizes[0]:,} images | {sizes[1]:,} | bytes an image |",
        "|---" * 4 + "|",
        sep="\n",
    )
    for name in found[0]:
        small, large = (each[name] for each in found)
        slope = (large - small) / (sizes[1] - sizes[0])
        print(f"| {name} | {small / 1e6:,.0f} | {large / 1e6:,.0f} | {slope:,.0f} |")


def peaks(place: Path, images: Path) -> Iterator[tuple[str, int]]:
    """Yield the name and the peak, in bytes, of each stage in a new checkout."""
    checkout(place, CLASSES)
    run(place, "-c", "from assay.commands.main import main; main()", "snapshot", str(images))
    for name, stage in STAGES.items():
        peak = run(place, "-m", f"tasks.{stage}")
        if name != "gate":
            yield name, peak


def run(place: Path, *arguments: str) -> int:
    """Return the peak of a Python process and those that it started, of the one that held most, in bytes."""
    more = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WATCH, sys.executable, *arguments]
    done = subprocess.run(command, cwd=place, env=more, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return int(done.stdout.splitlines()[-1]) * 1024


def draw(folder: Path, first: int, n: int) -> None:
    for name in CLASSES:
        (folder / name).mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor() as processes:
        list(processes.map(partial(save, folder), range(first, n), chunksize=1000))


def save(folder: Path, number: int) -> None:
    pixels = np.random.default_rng(number).integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)
    Image.fromarray(pixels).save(folder / CLASSES[number % len(CLASSES)] / f"{number:08}.jpg", quality=20)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
