"""Print the CPU time of measuring an image beside that of a bare full decode: `python benchmarks/measure.py`.

The photos are seeded noise of several coarsenesses, JPEG at quality 85. CleanVision takes part where it can be
imported. All ways take turns in one process, a new one for each size of photo, for memory that was freed before makes
decoding cheaper. README.md beside this says what came out.
"""

import hashlib
import importlib.util
import io
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from assay.ingestion.measure import measure

SIZES = {(500, 400): 200, (3000, 2000): 20}  # [width, height] in px: photos
WEIGHTS = {150: 0.5, 40: 0.3, 8: 0.2, 1: 0.06}  # of the noises, by the side of their squares in px
REPETITIONS = 7


def main() -> None:
    print(
        "| photos | way | CPU ms per image | / `load()` | / `convert` |", "|---|---|---|---|---|", sep="\n", flush=True
    )
    for size, n in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            run_alone(write_photos, Path(folder), size, n)
            run_alone(print_rows, Path(folder), size)


def run_alone(task: Callable[..., None], *arguments: object) -> None:
    child = multiprocessing.get_context("spawn").Process(target=task, args=arguments)
    child.start()
    child.join()


def write_photos(folder: Path, size: tuple[int, int], n: int) -> None:
    for seed in range(n):
        draw(seed, size).save(folder / f"{seed:04d}.jpg", quality=85)


def draw(seed: int, size: tuple[int, int]) -> Image.Image:
    rng, pixels = np.random.default_rng(seed), np.zeros((size[1], size[0], 3), np.float32)
    for side_px, weight in WEIGHTS.items():
        shape = (size[1] // side_px, size[0] // side_px, 3)
        noise = Image.fromarray(rng.integers(0, 256, shape, np.uint8))
        pixels += weight * np.asarray(noise.resize(size, Image.Resampling.BICUBIC), np.float32)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def print_rows(folder: Path, size: tuple[int, int]) -> None:
    photos = [file.read_bytes() for file in sorted(folder.iterdir())]
    ways = {
        "bare decode, `load()`": lambda: [Image.open(io.BytesIO(content)).load() for content in photos],
        'bare decode, `convert("RGB")`': lambda: [Image.open(io.BytesIO(content)).convert("RGB") for content in photos],
        "ours": lambda: [ours(content) for content in photos],
    }
    if importlib.util.find_spec("cleanvision"):
        ways["CleanVision"] = lambda: cleanvision(folder)
    times = np.array([[cpu_s(way) for way in ways.values()] for _ in range(1 + REPETITIONS)])[1:]  # the first warms up
    for name, own in zip(ways, times.T, strict=True):
        ratios = [f"{statistics.median(own / bare):.2f}" for bare in times.T[:2]]
        ms = f"{statistics.median(own) / len(photos) * 1e3:.2f}"
        print("|", " | ".join([f"{size[0]}x{size[1]}", name, ms, *ratios]), "|", flush=True)


def ours(content: bytes) -> object:
    """Do to one image all that `ingest` does after reading it."""
    hashlib.sha256(content)
    return measure(content, "photo.jpg")


def cleanvision(folder: Path) -> None:
    from cleanvision import Imagelab

    Imagelab(data_path=str(folder), verbose=False).find_issues(n_jobs=1, verbose=False)


def cpu_s(way: Callable[[], object]) -> float:
    begun = time.process_time()
    way()
    return time.process_time() - begun


if __name__ == "__main__":
    main()
