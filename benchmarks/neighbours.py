"""How fast near-duplicates are found, and which: `python -m benchmarks.neighbours [FOLDER]`; a few minutes.

Prints the table of times, then the tables of neighbours.md. FOLDER: images of a set of your own, for one more row.
"""

import io
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from scipy.fft import dctn
from sklearn.datasets import load_digits, load_sample_images

from assay import neighbours

Picture = Image.Image
N_COPIED = 60
RADIUS = 8


def main() -> None:
    print("| hashes | radius | seconds | peak MB | pairs |\n|---|---|---|---|---|")
    for n, radius in ((100_000, 4), (100_000, 8), (1_000_000, 4), (1_000_000, 8)):
        # A process of its own: the peak of memory is never given back.
        subprocess.run([sys.executable, __file__, "--time", str(n), str(radius)], check=True)
    compare_with_brute_force()
    print(f"\n| set | images | threshold | pairs by hash | confirmed | false | {' | '.join(CHANGES)} |")
    print("|---" * (6 + len(CHANGES)) + "|")
    sets = {"digits 8 px": digits(8), "digits 64 px": digits(64), "photo tiles": tiles(), "drawn products": products()}
    if len(sys.argv) > 1:
        sets[Path(sys.argv[1]).name] = [Image.open(file).convert("L") for file in sorted(Path(sys.argv[1]).iterdir())]
    for name, pictures in sets.items():
        print(f"| {name} | {' | '.join(found(pictures))} |", flush=True)


def planted(n: int) -> np.ndarray:
    """Return random hashes of which one in 50 has a neighbour two bits away."""
    hashes = np.random.default_rng(n).integers(0, 2**64, n, dtype=np.uint64)
    hashes[: n // 50] = hashes[n // 50 : n // 50 * 2] ^ np.uint64(5)
    return hashes


def print_time(n: int, radius: int) -> None:
    hashes, start = planted(n), time.perf_counter()
    pairs = neighbours.pairs(hashes, radius)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"| {n:,} | {radius} | {seconds:.2f} | {peak} | {len(pairs):,} |", flush=True)


def compare_with_brute_force(n: int = 20_000) -> None:
    hashes, start = planted(n), time.perf_counter()
    brute = [np.flatnonzero(np.bitwise_count(hashes[i] ^ hashes[i + 1 :]) <= 4) for i in range(n)]
    middle = time.perf_counter()
    pairs = neighbours.pairs(hashes, 4)
    ratio = (middle - start) / (time.perf_counter() - middle)
    equal = sum(map(len, brute)) == len(pairs)
    print(f"\n{n:,} hashes, radius 4: brute force takes {ratio:.0f} times as long; as many pairs: {equal}")


def found(pictures: list[Picture]) -> list[str]:
    """Return the cells of a row: threshold, pairs and, by change, the copies found by hash and pixels / by pixels."""
    chosen = np.random.default_rng(0).permutation(len(pictures))[:N_COPIED]
    copies = [change(pictures[i]) for change in CHANGES.values() for i in chosen]
    of = np.concatenate([np.arange(len(pictures)), np.tile(chosen, len(CHANGES))])
    thumbnails = np.stack([thumbnail(picture) for picture in pictures + copies])
    threshold = neighbours.calibrate(thumbnails[: len(pictures)], seed=0)
    pairs = neighbours.pairs(phash(thumbnails), RADIUS)
    kept = pairs[neighbours.confirm(thumbnails, pairs, threshold)]
    false = (of[kept[:, 0]] != of[kept[:, 1]]).sum()
    planted_pairs = np.stack([of, np.arange(len(of))], axis=1)[len(pictures) :]
    seen = neighbours.confirm(thumbnails, planted_pairs, threshold)
    close = np.array([tuple(pair) in set(map(tuple, kept.tolist())) for pair in planted_pairs.tolist()])
    rates = np.stack([close, seen], axis=1).reshape(len(CHANGES), -1, 2).mean(axis=1)
    numbers = [f"{len(pictures):,}", f"{threshold:.4f}", f"{len(pairs):,}", f"{len(kept):,}", str(false)]
    return numbers + [f"{both:.2f} / {pixels:.2f}" for both, pixels in rates]


def thumbnail(picture: Picture) -> np.ndarray:
    return np.asarray(picture.convert("L").resize((32, 32), Image.Resampling.BILINEAR))


def phash(thumbnails: np.ndarray) -> np.ndarray:
    low = dctn(thumbnails.astype(float), axes=(1, 2))[:, :8, :8].reshape(-1, 64)
    bits = low > np.median(low[:, 1:], axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64).ravel()


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
        print_time(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
