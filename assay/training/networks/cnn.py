"""A plain convolutional network: blocks of two convolutions, each but the first at half the resolution."""

from assay import params
from assay.training.blocks import activate, convolve, head
from assay.training.tensors import keras


def build(input_shape: tuple[int, int, int], outputs: int, p: params.Train) -> keras.Model:
    """Return the model from scaled pixels [N, *input_shape] to logits [N, outputs], a block for each of `p.filters`."""
    pixels = x = keras.Input(input_shape)
    for number, filters in enumerate(p.filters, 1):
        if number > 1:
            x = keras.layers.MaxPooling2D(name=f"halve_{number}")(x)
        for part in "ab":
            name = f"{number}{part}"
            x = activate(convolve(x, filters, p, name=name), p, name=name)
    return keras.Model(pixels, head(x, outputs, p))
