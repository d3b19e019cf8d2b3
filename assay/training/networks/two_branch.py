"""An example of a network of one's own: one branch sees details, another the surroundings, and both decide together.

To add yours, copy this file to `networks/NAME.py` beside params.yaml, change it, and set `train.network: NAME`.
All it needs is the function `build`. Its model takes pixels as `train.scale` leaves them, has a layer named
`embedding` with the features [N, D] of each image, and ends in a layer named `logits`; `head` makes both.
"""

from assay import params
from assay.training.blocks import activate, convolve, head
from assay.training.tensors import keras


def build(input_shape: tuple[int, int, int], outputs: int, p: params.Train) -> keras.Model:
    """Return the model from scaled pixels [N, *input_shape] to logits [N, outputs].

    Each branch has a convolution for each of `p.filters`: 3 px wide in the one, 7 px in the other.
    """
    pixels = keras.Input(input_shape)
    details = _branch(pixels, p, name="details", side=3)
    surroundings = _branch(pixels, p, name="surroundings", side=7)
    both = keras.layers.Concatenate(name="both")([details, surroundings])
    mixed = activate(convolve(both, p.filters[-1], p, name="mixed", side=1), p, name="mixed")
    return keras.Model(pixels, head(mixed, outputs, p))


def _branch(x: keras.KerasTensor, p: params.Train, *, name: str, side: int) -> keras.KerasTensor:
    for number, filters in enumerate(p.filters, 1):
        if number > 1:
            x = keras.layers.MaxPooling2D(name=f"halve_{name}_{number}")(x)
        x = activate(convolve(x, filters, p, name=f"{name}_{number}", side=side), p, name=f"{name}_{number}")
    return x
