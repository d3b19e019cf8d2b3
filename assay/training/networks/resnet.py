"""A small residual network: each block adds what it computes to what it was given. https://arxiv.org/abs/1512.03385"""

from assay import params
from assay.training.blocks import activate, convolve, head
from assay.training.tensors import keras


def build(input_shape: tuple[int, int, int], outputs: int, p: params.Train) -> keras.Model:
    """Return the model from scaled pixels [N, *input_shape] to logits [N, outputs], a block for each of `p.filters`.

    Every block but the first halves the picture.
    """
    pixels = keras.Input(input_shape)
    x = activate(convolve(pixels, p.filters[0], p, name="stem"), p, name="stem")
    for number, filters in enumerate(p.filters, 1):
        x = _block(x, filters, p, name=str(number), stride=1 if number == 1 else 2)
    return keras.Model(pixels, head(x, outputs, p))


def _block(x: keras.KerasTensor, filters: int, p: params.Train, *, name: str, stride: int) -> keras.KerasTensor:
    shortcut = x
    if stride > 1 or x.shape[-1] != filters:
        shortcut = convolve(x, filters, p, name=f"{name}_shortcut", side=1, stride=stride)
    x = activate(convolve(x, filters, p, name=f"{name}a", stride=stride), p, name=f"{name}a")
    x = convolve(x, filters, p, name=f"{name}b")
    return activate(keras.layers.Add(name=f"add_{name}")([x, shortcut]), p, name=f"{name}b")
