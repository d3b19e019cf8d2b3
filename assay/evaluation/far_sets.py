"""Pictures that a classifier has certainly not been made for, in the shape of its own: how well are they told apart?

Images are uint8 [N, H, W, C], C 1 or 3. What is built in: `noise`, `inverted` (the set's own test images with dark and
bright swapped), `photos` (pieces of the two that scikit-learn ships), `digits` (its 1,797, where the set is another).
"""

from collections.abc import Sequence

import numpy as np
import sklearn.datasets
import sklearn.metrics
from PIL import Image

N_IMAGES = 200  # of each set
LARGEST_PIECE = 4  # times the side of the images that a photo is cut into, at most
SEED = 0


def build(images: np.ndarray, classes: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the far sets, each uint8 [M, H, W, C], M at most `N_IMAGES`; `images`: of the test split [N, H, W, C]."""
    rng = np.random.default_rng(SEED)
    _, height, width, channels = images.shape
    shape = (height, width, channels)
    found = {
        "noise": rng.integers(0, 256, (N_IMAGES, *shape), np.uint8),
        "inverted": 255 - images[:N_IMAGES],
        "photos": _photos(shape, rng),
    }
    if set(classes) != set("0123456789"):  # to a reader of digits those of another hand are no far set
        found["digits"] = _digits(shape, rng)
    return found


def _photos(shape: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
    """Return squares of all sizes out of the photos."""
    photos = [Image.fromarray(photo) for photo in sklearn.datasets.load_sample_images().images]
    found = []
    for number in range(N_IMAGES):
        photo = photos[number % len(photos)]
        most = min(*photo.size, LARGEST_PIECE * max(shape[:2]))
        side = int(rng.integers(min(most, max(shape[:2])), most + 1))
        left, top = (int(rng.integers(0, length - side + 1)) for length in photo.size)
        found.append(_fitted(photo.crop((left, top, left + side, top + side)), shape))
    return np.stack(found)


def _digits(shape: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
    pixels = (sklearn.datasets.load_digits().images * 15.9375).astype(np.uint8)  # 0 to 16
    chosen = rng.choice(len(pixels), N_IMAGES, replace=False)
    return np.stack([_fitted(Image.fromarray(pixels[number]), shape) for number in chosen])


def _fitted(image: Image.Image, shape: tuple[int, int, int]) -> np.ndarray:
    height, width, channels = shape
    resized = image.convert("L" if channels == 1 else "RGB").resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized).reshape(shape)


def separation(near: np.ndarray, far: np.ndarray) -> float:
    """Return the area under the ROC curve of two sets of scores, [N] and [M]: 0.5 by chance, 1 if all far are higher.

    Infinite scores count as the highest.
    """
    both = np.nan_to_num(np.concatenate([near, far]), nan=np.finfo(float).max, posinf=np.finfo(float).max)
    return float(sklearn.metrics.roc_auc_score(np.arange(len(both)) >= len(near), both))
