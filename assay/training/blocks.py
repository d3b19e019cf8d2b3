"""What networks are made of: a convolution, and the head that every network ends in."""

from assay import params
from assay.training.normalisation import BatchNormalization
from assay.training.tensors import keras


def convolve(
    x: keras.KerasTensor, filters: int, p: params.Train, *, name: str, side: int = 3, stride: int = 1
) -> keras.KerasTensor:
    """Return [N, H / stride, W / stride, filters]: convolved and normalised, not yet activated."""
    x = keras.layers.Conv2D(
        filters, side, strides=stride, padding="same", use_bias=p.normalisation == "none", name=f"convolve_{name}"
    )(x)
    return normalise(x, p, name=name)


def normalise(x: keras.KerasTensor, p: params.Train, *, name: str) -> keras.KerasTensor:
    """Return `x` normalised as `p.normalisation` says, or as it is."""
    if p.normalisation == "none":
        return x
    return BatchNormalization(momentum=0.9, name=f"normalize_{name}")(x)


def activate(x: keras.KerasTensor, p: params.Train, *, name: str) -> keras.KerasTensor:
    """Return `x` after the function that `p.activation` names."""
    return keras.layers.Activation(p.activation, name=f"activate_{name}")(x)


def head(x: keras.KerasTensor, outputs: int, p: params.Train) -> keras.KerasTensor:
    """Return the logits [N, outputs] of features [N, H, W, D]; on the way `embedding` [N, D], their mean over H and W.

    These names are what evaluation, explanations and the export look for.
    """
    x = keras.layers.GlobalAveragePooling2D(name="embedding")(x)
    if p.dropout:
        x = keras.layers.Dropout(p.dropout, name="dropout")(x)
    return keras.layers.Dense(outputs, name="logits")(x)
