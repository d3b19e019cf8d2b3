"""What the workers of a cluster are worth: `python -m benchmarks.cluster [N]`; docs/scale.md says what came out.

Draws N photos of 500x400 px, and runs `ingest`, `preprocess` and `assay predict` over them: by this machine alone, then
by one and by two workers of Dask that run on it. Seconds by the clock, so nothing else should run. What answers is
models/export of this checkout, which `dvc repro` makes.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from distributed import LocalCluster
from PIL import Image

from assay.compute import backend
from benchmarks.faults.checkout import ROOT, checkout

CLASSES = [f"class {number}" for number in range(10)]
SIZE_PX, COARSE_PX = (500, 400), (50, 40)
WAYS = {"this machine": 0, "1 worker": 1, "2 workers": 2}
STAGES = ("ingest", "validate", "gate", "preprocess")
TIMED = ("ingest", "preprocess", "predict")


def main(n: int) -> None:
    print("| seconds by the clock |", " | ".join(TIMED), "|\n|---|", "---|" * len(TIMED), sep="")
    with tempfile.TemporaryDirectory() as scratch:
        images = Path(scratch) / "images"
        draw(images, n)
        for way, n_workers in WAYS.items():
            with running(n_workers) as more:
                took = spent(Path(scratch) / way, images, more)
            print(f"| {way} |", " | ".join(f"{took[name]:.1f}" for name in TIMED), "|", flush=True)


@contextmanager
def running(n_workers: int) -> Iterator[dict[str, str]]:
    """Yield the variables that let the work run on so many workers; 0: by this machine alone."""
    if not n_workers:
        yield {}
        return
    with LocalCluster(n_workers=n_workers, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
        yield {backend.BACKEND: "dask", backend.ADDRESS: cluster.scheduler_address}


def spent(place: Path, images: Path, more: dict[str, str]) -> dict[str, float]:
    """Return the seconds of each stage in a new checkout, and of predictions."""
    checkout(place, CLASSES)
    assay = ("-c", "from assay.commands.main import main; main()")
    run(place, {}, *assay, "snapshot", str(images))
    found = {stage: run(place, more, "-m", f"tasks.{stage}") for stage in STAGES}
    export = str(ROOT / "models/export")
    asked = ("predict", str(images), "--model", export, "--format", "csv", "--out", "said.csv")
    return found | {"predict": run(place, more, *assay, *asked)}


def run(place: Path, more: dict[str, str], *arguments: str) -> float:
    begun = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | more
    done = subprocess.run([sys.executable, *arguments], cwd=place, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return time.perf_counter() - begun


def draw(folder: Path, n: int) -> None:
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
    with ProcessPoolExecutor() as processes:
        list(processes.map(partial(save, folder), range(n), chunksize=100))


def save(folder: Path, number: int) -> None:
    coarse = np.random.default_rng(number).integers(0, 256, (*COARSE_PX[::-1], 3), np.uint8)
    photo = Image.fromarray(coarse).resize(SIZE_PX, Image.Resampling.BICUBIC)
    photo.save(folder / CLASSES[number % len(CLASSES)] / f"{number:06}.jpg", quality=85)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 6_000)
