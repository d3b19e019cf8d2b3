"""How fast near-duplicates are found, and which: `python -m benchmarks.neighbours [FOLDER]`; minutes, and 1 GB of disk.

Prints the tables of neighbours.md, with what `ingest` uses. FOLDER: images of a set of your own, for one more row.
"""

import io
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from sklearn.datasets import load_digits, load_sample_images

from assay.ingestion import hamming, near_duplicates

Picture = Image.Image
N_COPIED = 60
SIZES = (100_000, 1_000_000)


def main() -> None:
    heads = ("thumbnails", "radius", "hashing, CPU s", "search, CPU s", "search, s", "peak MB", "pairs")
    print(f"| {' | '.join(heads)} |", "|---" * len(heads) + "|", sep="\n")
    with tempfile.TemporaryDirectory() as folder:
        for n in SIZES:
            # A process of its own: the peak of memory is never given back.
            subprocess.run([sys.executable, "-m", "benchmarks.neighbours", "--time", str(n), folder], check=True)
    compare_with_brute_force()
    print(f"\n| set | images | limit | candidates | confirmed | false | precision | recall | {' | '.join(CHANGES)} |")
    print("|---" * (8 + len(CHANGES)) + "|")
    sets = {"digits 8 px": digits(8), "digits 64 px": digits(64), "photo tiles": tiles(), "drawn products": products()}
    if len(sys.argv) > 1:
        sets[Path(sys.argv[1]).name] = [Image.open(file).convert("L") for file in sorted(Path(sys.argv[1]).iterdir())]
    for name, pictures in sets.items():
        print(f"| {name} | {' | '.join(found(pictures))} |", flush=True)


def drawn(n: int, folder: Path) -> np.ndarray:
    """Return smooth thumbnails with grain, as a memory map; one in 50 is there twice, the second time with more."""
    thumbnails = np.lib.format.open_memmap(folder / f"{n}.npy", "w+", np.uint8, (n, 32, 32))
    random = np.random.default_rng(0)
    waves = np.cos(np.outer(np.arange(1, 9), (np.arange(32) + 0.5) * np.pi / 32)).astype(np.float32)
    fall = 40 / np.sqrt(np.add.outer(np.arange(1, 9), np.arange(1, 9)))
    for low in range(0, n, 10_000):
        strengths = random.normal(size=(10_000, 8, 8)) * fall
        shown = 128 + waves.T @ strengths @ waves + random.normal(0, 4, (10_000, 32, 32))
        thumbnails[low : low + 10_000] = shown.clip(0, 255)
    grain = random.integers(-6, 7, (n // 50, 32, 32))
    thumbnails[: n // 50] = (thumbnails[n // 50 : n // 50 * 2] + grain).clip(0, 255)
    return thumbnails


def print_time(n: int, folder: Path) -> None:
    thumbnails = drawn(n, folder)
    start, how = time.process_time(), near_duplicates.look(thumbnails)
    codes, hashed = near_duplicates.codes(thumbnails, np.arange(n), how.middle), time.process_time() - start
    with peak() as most:
        cpu, wall = time.process_time(), time.perf_counter()
        pairs = hamming.pairs(codes, how.radius)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(f"| {n:,} | {how.radius} | {hashed:.2f} | {cpu:.2f} | {wall:.2f} | {most[0]} | {len(pairs):,} |", flush=True)


@contextmanager
def peak() -> Iterator[list[int]]:
    """Yield a list whose number is, in the end, the most MB of its own that the process held: no mapped file counts."""
    most, stop = [0], threading.Event()

    def look() -> None:
        while not stop.wait(0.02):
            told = Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]
            most[0] = max(most[0], int(told) // 1024)

    thread = threading.Thread(target=look)
    thread.start()
    yield most
    stop.set()
    thread.join()


def compare_with_brute_force(n: int = 20_000) -> None:
    hashes = np.random.default_rng(n).integers(0, 2**64, n, dtype=np.uint64)
    hashes[: n // 50] = hashes[n // 50 : n // 50 * 2] ^ np.uint64(5)
    start = time.perf_counter()
    brute = [np.flatnonzero(np.bitwise_count(hashes[i] ^ hashes[i + 1 :]) <= 4) for i in range(n)]
    middle = time.perf_counter()
    pairs = hamming.pairs(hashes[None], 4)
    ratio = (middle - start) / (time.perf_counter() - middle)
    equal = sum(map(len, brute)) == len(pairs)
    print(f"\n{n:,} hashes, radius 4: brute force takes {ratio:.0f} times as long; as many pairs: {equal}")


def found(pictures: list[Picture]) -> list[str]:
    """Return the cells of a row. The limit is that of the set without the copies, as when they come later."""
    chosen = np.random.default_rng(0).permutation(len(pictures))[:N_COPIED]
    copies = [change(pictures[i]) for change in CHANGES.values() for i in chosen]
    of = np.concatenate([np.arange(len(pictures)), np.tile(chosen, len(CHANGES))])
    thumbnails = np.stack([thumbnail(picture) for picture in pictures + copies])
    limit = near_duplicates.calibrate(thumbnails[: len(pictures)], seed=0)
    pairs = near_duplicates.candidates(thumbnails, near_duplicates.look(thumbnails))
    kept = pairs[near_duplicates.distance(thumbnails, pairs) <= limit]
    is_true = of[kept[:, 0]] == of[kept[:, 1]]
    seen = set(map(tuple, kept.tolist()))
    planted = np.stack([of, np.arange(len(of))], axis=1)[len(pictures) :].tolist()
    rates = np.reshape([tuple(pair) in seen for pair in planted], (len(CHANGES), -1)).mean(axis=1)
    numbers = [f"{len(pictures):,}", f"{limit:.4f}", f"{len(pairs):,}", f"{len(kept):,}", str((~is_true).sum())]
    return [*numbers, f"{is_true.mean():.3f}", f"{rates.mean():.3f}", *(f"{rate:.2f}" for rate in rates)]


def thumbnail(picture: Picture) -> np.ndarray:
    return np.asarray(picture.convert("L").resize((32, 32), Image.Resampling.BILINEAR))


def digits(side_px: int) -> list[Picture]:
    pictures = [Image.fromarray((image * 255 / 16).round().astype(np.uint8)) for image in load_digits().images]
    return [picture.resize((side_px, side_px), Image.Resampling.BICUBIC) for picture in pictures]


def tiles(side_px: int = 48) -> list[Picture]:
    corners = [(x, y) for y in range(0, 427 - side_px, side_px) for x in range(0, 640 - side_px, side_px)]
    photos = [Image.fromarray(photo) for photo in load_sample_images().images]
    return [photo.crop((x, y, x + side_px, y + side_px)) for photo in photos for x, y in corners]


def products(n: int = 400) -> list[Picture]:
    """Return grey boxes on white, all in one place, each with a patch and three stripes of its own."""
    pictures = []
    for random in map(np.random.default_rng, range(n)):
        shown = np.full((128, 128), 245.0)
        shown[24:112, 36:92] = random.uniform(60, 120)
        x, y = random.integers(40, 70), random.integers(30, 90)
        shown[y : y + random.integers(8, 20), x : x + random.integers(8, 20)] = random.uniform(150, 230)
        for stripe in random.integers(28, 108, 3):
            shown[stripe : stripe + 2, 40:88] = random.uniform(0, 255)
        pictures.append(Image.fromarray(shown.clip(0, 255).astype(np.uint8)))
    return pictures


def resave(picture: Picture) -> Picture:
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=60)
    return Image.open(content)


def inner(picture: Picture, left: float, right: float) -> Picture:
    """Return the part between two shares of the width and of the height, at the old size."""
    w, h = picture.size
    return picture.resize((w, h), box=(left * w, left * h, right * w, right * h))


def shift(picture: Picture) -> Picture:
    w, h = picture.size
    return picture.transform(
        (w, h), Image.Transform.AFFINE, (1, 0, 0.02 * w, 0, 1, 0.02 * h), Image.Resampling.BILINEAR
    )


def noise(picture: Picture) -> Picture:
    pixels = np.asarray(picture).astype(float)
    return Image.fromarray((pixels + np.random.default_rng(0).normal(0, 8, pixels.shape)).clip(0, 255).astype(np.uint8))


CHANGES: dict[str, Callable[[Picture], Picture]] = {
    "JPEG q60": resave,
    "scale 0.8": lambda picture: picture.resize((round(picture.width * 0.8), round(picture.height * 0.8))),
    "crop 3 %": lambda picture: inner(picture, 0.015, 0.985),
    "crop 6 %": lambda picture: inner(picture, 0.03, 0.97),
    "gain 1.1": lambda picture: picture.point(lambda value: min(255, round(value * 1.1))),
    "blur 1 %": lambda picture: picture.filter(ImageFilter.GaussianBlur(0.01 * picture.width)),
    "noise 8": noise,
    "shift 2 %": shift,
}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--time"]:
        print_time(int(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
