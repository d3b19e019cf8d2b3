"""Grey of more than 8 bits, and floating-point pixels, brought to 8 bits."""

import numpy as np
from PIL import ExifTags, Image, ImageFile

from assay.images.kinds import Undecodable, tag

DEEP = {"PNG", "TIFF", "PPM", "JPEG2000"}  # the formats whose integers of more than 8 bits have a known range
WHITE_SAID = {"PPM", "JPEG2000"}  # that hold the highest value themselves, to which Pillow has scaled them


def shallow(source: Image.Image, white_level: int | None) -> Image.Image:
    """Return a grey image of more than 8 bits as L, or LA if one of its levels is clear.

    Integers lose their low bits, as Pillow does to colour of 16 bits: less than one level of 255 below the exact value;
    where white is declared they are scaled to it and rounded. Floating-point pixels must lie in [0, 1].
    """
    wide = np.asarray(source)
    if source.mode == "F":
        grey = _from_unit(wide)
    elif white_level is None or source.format in WHITE_SAID or _low_bits(source) == 0:
        grey = wide.view(_unsigned(wide)) >> _low_bits(source)
    else:
        grey = _below_white(wide.view(_unsigned(wide)), white_level)
    if tag(source, ExifTags.Base.PhotometricInterpretation, 1) == 0:  # white is zero
        grey = 255 - grey
    made = Image.fromarray(grey.astype(np.uint8))
    if "transparency" in source.info:
        alpha = np.where(wide == source.info["transparency"], 0, 255).astype(np.uint8)
        made.putalpha(Image.fromarray(alpha))
    made.info = {key: value for key, value in source.info.items() if key == "icc_profile"}
    return made


def _from_unit(levels: np.ndarray) -> np.ndarray:
    low, high = levels.min(), levels.max()
    if not (low >= 0 and high <= 1):  # so that NaN is refused too
        raise Undecodable(f"floating-point pixels from {low:.4g} to {high:.4g}: only [0, 1] has a known range")
    scaled: np.ndarray = np.rint(levels * 255)
    return scaled


def _below_white(levels: np.ndarray, white: int) -> np.ndarray:
    scaled: np.ndarray = (np.minimum(levels, white).astype(np.uint32) * 255 + white // 2) // white
    return scaled


def _unsigned(wide: np.ndarray) -> np.dtype:
    """Return the type of unsigned integers that is as wide: Pillow calls those of 32 bits signed."""
    return np.dtype(f"{wide.dtype.byteorder}u{wide.dtype.itemsize}")


def _low_bits(source: Image.Image) -> int:
    """Return by how many bits an integer of the image is wider than 8; raises `Undecodable` where nothing tells."""
    is_signed = tag(source, ExifTags.Base.SampleFormat, 1) != 1
    if source.format not in DEEP or is_signed:
        kind = "signed" if is_signed else f"{source.format} of mode {source.mode}"
        raise Undecodable(f"{kind} pixels have no known range")
    bits = 32 if source.mode == "I" and source.format != "PPM" else 16
    return tag(source, ExifTags.Base.BitsPerSample, bits) - 8


def check_all_bits(source: ImageFile.ImageFile, white_level: int) -> None:
    """Raise `Undecodable` for colour of 16 bits: Pillow drops the low ones, and with them most of what is asked for."""
    raw = source.tile[0].args if source.tile else None
    name = raw if isinstance(raw, str) else raw[0] if isinstance(raw, tuple) and raw else ""
    if source.mode in ("RGB", "RGBA", "CMYK", "LA") and ";16" in str(name):
        raise Undecodable(
            f"colour of 16 bits, and white is declared as {white_level:,} (params.yaml: ingest.white_level): only the "
            "upper 8 bits of such a file can be read; scale it to the whole range, or convert it to 8 bits"
        )
