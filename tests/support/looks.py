"""New images for the champion to look at."""

import io
from pathlib import Path

import numpy as np
from checkouts import CLASSES, png
from PIL import Image


def add(folder: Path, n: int, seed: int, noise: int = 30, side_px: int = 12) -> None:
    """Add `n` images of each class, as `checkouts.draw` makes them; more `noise` is drift."""
    folder.mkdir(parents=True, exist_ok=True)
    for label in range(len(CLASSES)):
        for number in range(n):
            content = png(seed + 1000 * label + number, 50 + 75 * label, side_px)
            if noise != 30:
                random = np.random.default_rng(seed + 1000 * label + number)
                pixels = random.integers(-noise, noise, (side_px, side_px)) + 50 + 75 * label
                out = io.BytesIO()
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out, "PNG")
                content = out.getvalue()
            (folder / f"{seed}-{label}-{number}.png").write_bytes(content)
