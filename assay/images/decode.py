"""Images: encoded bytes in, decoded images or uint8 pixels out. Nothing else in the project decodes an image.

`Pixels` are uint8 [H, W, 3] (rgb) or [H, W, 1] (grey), in [0, 255]: EXIF orientation applied, transparency laid over
white, deeper channels scaled to 8 bits, colours in sRGB (colour.py), the first frame of an animation. Grey is
Pillow's L of that: (299 R + 587 G + 114 B) / 1000.
"""

import fcntl
import io
import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps

from assay.images import colour
from assay.images.fit import Box, Plan, Resize, Size, jpeg_scale, plan, reduced

if TYPE_CHECKING:
    from assay import params

Colour = Literal["grey", "rgb"]
TURNED = (5, 6, 7, 8)  # the EXIF orientations that swap width and height
DEEP = {"PNG", "TIFF", "PPM", "JPEG2000"}  # the formats whose integers of more than 8 bits have a known range
# All that is read, the common ones first, for Pillow tries them in this order. Left out are what it hands to another
# program (EPS goes to Ghostscript), what it only knows by name, and formats of single programs.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF", "JPEG2000", "AVIF", "ICO", "PCX", "SGI", "FITS", "TGA")
LARGE_PIXELS = 16_000_000
DNG_VERSION = 50706  # the tag that only DNG has
HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # AVIF has others
FOREIGN = {
    b"\xff\x0a": "JPEG XL",
    b"\x00\x00\x00\x0cJXL ": "JPEG XL",
    b"FUJIFILMCCD-RAW": "the raw file of a camera",
    b"8BPS": "PSD",
    b"%!PS": "EPS",
    b"%PDF": "PDF",
}
# Pillow tries its formats in the order of their loading, and six know a file only by parsing it. The common ones first,
# or whoever asks for all of them (`Image.registered_extensions`) has JPEG tried after three such: a tenth of the time.
Image.preinit()


class Undecodable(Exception):
    """Says why the bytes are no image that can be used."""


class TooLarge(Undecodable):
    """Says that it has more pixels than it may."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What is not in a file and decides how it is read.

    `max_pixels`: more are refused before they are decoded; None: Pillow's own limit. `white_level`: of grey integers of
    more than 8 bits, the value that becomes 255, all above it too; None: the highest that the file could hold.
    """

    max_pixels: int | None = None
    white_level: int | None = None


USUAL = Reading()


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """What `prepare` makes of an image: the arguments that it takes."""

    height_px: int
    width_px: int
    colour: Colour
    resize: Resize
    max_pixels: int | None = None
    white_level: int | None = None


def reading(p: "params.Ingest") -> Reading:
    """Return how params.yaml has images read."""
    return Reading(max_pixels=p.max_megapixels * 10**6, white_level=p.white_level)


def preparation(p: "params.Preprocess", ingest: "params.Ingest") -> Preparation:
    """Return how params.yaml has images prepared."""
    size = {"height_px": p.height_px, "width_px": p.width_px}
    return Preparation(**size, colour=p.colour, resize=p.resize, **vars(reading(ingest)))


def decode(content: bytes, reading: Reading = USUAL) -> Image.Image:
    """Return the whole decoded image in its own mode, upright; more than 8 bits a channel become 8.

    Raises `Undecodable` for whatever Pillow cannot read to the last pixel, and for what has no known range.
    """
    with opened(content, reading) as source:
        return load(source, reading.white_level)


@contextmanager
def opened(content: bytes, reading: Reading = USUAL) -> Iterator[ImageFile.ImageFile]:
    """Yield the image with its header read and its pixels not; the block may ask it anything.

    Raises `Undecodable` in place of all that goes wrong here and in the block.
    """
    if not content:
        raise Undecodable("empty file")
    is_heic = content[4:8] == b"ftyp" and content[8:12] in HEIC
    if is_heic and not _reads_heic():
        raise Undecodable("HEIC, which needs pillow-heif: `pip install 'assay[heif]'`, or convert it to JPEG")
    if kind := _foreign(content):
        raise Undecodable(f"{kind}, which is not read: convert it to JPEG, PNG or TIFF")
    try:
        # A filter of warnings belongs to all threads at once, so nothing but silence may hang on this one.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source = Image.open(io.BytesIO(content), formats=["HEIF"] if is_heic else FORMATS)
            _check_no_raw(source, content)
            _check_area(source, reading.max_pixels or Image.MAX_IMAGE_PIXELS)
            if reading.white_level is not None:
                _check_all_bits(source, reading.white_level)
            _mend(source)
            yield source
    except Undecodable:
        raise
    except Image.DecompressionBombError as error:  # Pillow's own limit, twice as high, and met before ours
        limit = reading.max_pixels or Image.MAX_IMAGE_PIXELS
        raise TooLarge(_bomb(int(re.sub(r"\D*(\d+).*", r"\1", str(error))), limit)) from None
    except Exception as error:  # Pillow's decoders raise anything from struct.error to SyntaxError on broken files
        raise Undecodable(_reason(error)) from None


@contextmanager
def in_turn(source: ImageFile.ImageFile) -> Iterator[None]:
    """Hold the block until no other process or thread of this user works on an image of more than LARGE_PIXELS.

    An image of 89 megapixels takes 900 MB on its way; as many at once as there are cores would fill any machine.
    """
    with ExitStack() as held:
        if source.width * source.height > LARGE_PIXELS:
            with suppress(OSError):  # no folder that can be written to: then there are no turns
                lock = held.enter_context(Path(tempfile.gettempdir(), f"assay-{os.getuid()}.lock").open("ab"))
                fcntl.flock(lock, fcntl.LOCK_EX)  # gone when the file is closed, or its holder killed
        yield


def load(source: ImageFile.ImageFile, white_level: int | None = None) -> Image.Image:
    """Return the pixels of an opened image in its own mode, upright, 8 bits a channel."""
    source.load()
    # In place, for else Pillow copies what it does not turn.
    ImageOps.exif_transpose(source, in_place=True)
    return _shallow(source, white_level) if source.mode == "F" or source.mode.startswith("I") else source


@lru_cache
def _reads_heic() -> bool:
    """Say whether pillow-heif is installed, which Pillow reads the photos of phones with; it is loaded if so."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def _foreign(content: bytes) -> str:
    """Return the name of a format of pictures that is none of `FORMATS`, by its first bytes; nothing for others."""
    if content[128:132] == b"DICM":
        return "DICOM"
    return next((kind for start, kind in FOREIGN.items() if content.startswith(start)), "")


def _check_no_raw(source: ImageFile.ImageFile, content: bytes) -> None:
    """Raise `Undecodable` for the raw file of a camera: TIFF to Pillow, which sees the small preview in it alone."""
    if source.format != "TIFF":
        return
    tags = source.tag_v2  # type: ignore[attr-defined]
    is_reduced = _tag(source, ExifTags.Base.NewSubfileType, 0) & 1
    if DNG_VERSION in tags or content[8:10] == b"CR" or (is_reduced and ExifTags.Base.SubIFDs in tags):
        raise Undecodable("a raw file of a camera: only its preview could be read; convert it to TIFF or JPEG")


def _check_area(source: Image.Image, limit: int | None) -> None:
    area = source.width * source.height
    if limit is not None and area > limit:
        raise TooLarge(_bomb(area, limit))


def _check_all_bits(source: ImageFile.ImageFile, white_level: int) -> None:
    """Raise `Undecodable` for colour of 16 bits: Pillow drops the low ones, and with them most of what is asked for."""
    raw = source.tile[0].args if source.tile else None
    name = raw if isinstance(raw, str) else raw[0] if isinstance(raw, tuple) and raw else ""
    if source.mode in ("RGB", "RGBA", "CMYK", "LA") and ";16" in str(name):
        raise Undecodable(
            f"colour of 16 bits, and white is declared as {white_level:,} (params.yaml: ingest.white_level): only the "
            "upper 8 bits of such a file can be read; scale it to the whole range, or convert it to 8 bits"
        )


def _bomb(area: int, limit: int | None) -> str:
    return f"decompression bomb: {area:,} pixels, at most {limit:,}"


def _reason(error: Exception) -> str:
    """Return Pillow's complaint as one line that is the same in every process."""
    if type(error).__name__ == "UnidentifiedImageError":
        return "not an image"
    text = re.sub(r"<[^>]* at 0x[0-9a-f]+>", "the file", " ".join(str(error).split()))
    return text or type(error).__name__


def _mend(source: ImageFile.ImageFile) -> None:
    """Drop EXIF data that cannot be read, as browsers do, and put a PNG's clear level on the scale of its pixels."""
    if "exif" in source.info:
        try:
            source.getexif()
        except Exception:  # SyntaxError, struct.error, ...: whatever the bytes lead to
            del source.info["exif"]
    if source.format == "PNG" and "transparency" in source.info:
        source.info["transparency"] = _clear(source)


def _shallow(source: ImageFile.ImageFile, white_level: int | None) -> Image.Image:
    """Return a grey image of more than 8 bits as L, or LA if one of its levels is clear.

    Integers lose their low bits, as Pillow does to colour of 16 bits: less than one level of 255 below the exact value;
    where white is declared they are scaled to it and rounded. Floating-point pixels must lie in [0, 1].
    """
    wide = np.asarray(source)
    if source.mode == "F":
        grey = _from_unit(wide)
    elif white_level is None or _low_bits(source) == 0:
        grey = wide.view(_unsigned(wide)) >> _low_bits(source)
    else:
        grey = _below_white(wide.view(_unsigned(wide)), white_level)
    if _tag(source, ExifTags.Base.PhotometricInterpretation, 1) == 0:  # white is zero
        grey = 255 - grey
    shallow = Image.fromarray(grey.astype(np.uint8))
    if "transparency" in source.info:
        alpha = np.where(wide == source.info["transparency"], 0, 255).astype(np.uint8)
        shallow.putalpha(Image.fromarray(alpha))
    shallow.info = {key: value for key, value in source.info.items() if key == "icc_profile"}
    return shallow


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


def _low_bits(source: ImageFile.ImageFile) -> int:
    """Return by how many bits an integer of the image is wider than 8; raises `Undecodable` where nothing tells."""
    is_signed = _tag(source, ExifTags.Base.SampleFormat, 1) != 1
    if source.format not in DEEP or is_signed:
        kind = "signed" if is_signed else f"{source.format} of mode {source.mode}"
        raise Undecodable(f"{kind} pixels have no known range")
    bits = 32 if source.mode == "I" and source.format != "PPM" else 16
    return _tag(source, ExifTags.Base.BitsPerSample, bits) - 8


def _tag(source: ImageFile.ImageFile, tag: int, otherwise: int) -> int:
    """Return the first value of a TIFF tag."""
    value = source.tag_v2.get(tag, otherwise) if source.format == "TIFF" else otherwise  # type: ignore[attr-defined]
    return int(value[0] if isinstance(value, tuple) else value)


def _clear(source: ImageFile.ImageFile) -> Any:
    """Return what an unread PNG calls clear, on the scale of 8 bits: Pillow has it on that of the file."""
    level = source.info["transparency"]
    match source.tile[0].args:  # what the decoder will be told; gone once it has run
        case "L;2":
            return level * 85
        case "L;4":
            return level * 17
        case "RGB;16B":
            return tuple(each >> 8 for each in level)
    return level


def prepare(
    content: bytes,
    *,
    height_px: int,
    width_px: int,
    colour: Colour,
    resize: Resize,
    max_pixels: int | None = None,
    white_level: int | None = None,
) -> np.ndarray:
    """Return the `Pixels` [height_px, width_px, C] of an encoded image, brought to that size as fit.py says.

    A JPEG that is large enough is decoded at a reduced scale. Antialiased bilinear interpolation. `max_pixels` and
    `white_level` as in `Reading`. Raises `Undecodable`.
    """
    canvas = width_px, height_px
    with ExitStack() as turn:
        with opened(content, Reading(max_pixels=max_pixels, white_level=white_level)) as source:
            if source.format != "JPEG":  # whose EXIF data come before the pixels, and who may be decoded reduced
                turn.enter_context(in_turn(source))
            turned = orientation(source)
            size = source.size[::-1] if turned in TURNED else source.size
            planned = plan(size, canvas, resize)
            scale = jpeg_scale(planned)
            # Pillow's draft finds the scale by the size that must be left, and is None for all that is no JPEG.
            is_reduced = scale > 1 and source.draft(None, (source.width // scale, source.height // scale)) is not None
            if source.format == "JPEG":
                turn.enter_context(in_turn(source))
            shown = to_rgb(load(source, white_level))
        if is_reduced:
            box = reduced(planned.box, size, scale, shown.size, turned)
        else:
            planned = plan(shown.size, canvas, resize)  # Pillow turns some formats when it opens them, others later
            box = planned.box
        return _placed(shown, planned, box, canvas, colour)


def prepare_decoded(image: Image.Image, *, height_px: int, width_px: int, colour: Colour, resize: Resize) -> np.ndarray:
    """Return the `Pixels` [height_px, width_px, C] of an image that Pillow has already; it stays as it is.

    They are those of `prepare` unless that decodes at a reduced scale. Raises `Undecodable`.
    """
    canvas = width_px, height_px
    try:
        upright = ImageOps.exif_transpose(image)
        deep = upright.mode == "F" or upright.mode.startswith("I")
        if deep:
            raise Undecodable(f"pixels of mode {upright.mode} have no known range; pass the file's bytes, or 8 bits")
        shown = to_rgb(upright)
    except (OSError, ValueError, SyntaxError) as error:
        raise Undecodable(_reason(error)) from None
    planned = plan(shown.size, canvas, resize)
    return _placed(shown, planned, planned.box, canvas, colour)


def _placed(shown: Image.Image, planned: Plan, box: Box, canvas: Size, colour: Colour) -> np.ndarray:
    coloured = shown if colour == "rgb" else shown.convert("L")
    inside = np.asarray(coloured.resize(planned.inside, Image.Resampling.BILINEAR, box))
    inside = inside.reshape(*planned.inside[::-1], -1)
    return inside if planned.inside == canvas else _on_black(inside, planned.corner, canvas[::-1])


def _on_black(inside: np.ndarray, corner: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    canvas = np.zeros((*shape, inside.shape[-1]), np.uint8)
    canvas[corner[1] : corner[1] + inside.shape[0], corner[0] : corner[0] + inside.shape[1]] = inside
    return canvas


def orientation(source: ImageFile.ImageFile) -> int:
    """Return the EXIF orientation of an opened image, 1 to 8; 1 where it says none."""
    found: Any = source.getexif().get(ExifTags.Base.Orientation)
    return int(found) if found in range(1, 9) else 1


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an image of 8 bits a channel in mode RGB, its colours in sRGB, clear parts white."""
    profile = image.info.get("icc_profile")
    if not image.has_transparency_data:
        return colour.to_srgb(_plain(image), profile)
    above = image.convert("RGBA")
    alpha = above.getchannel("A")
    is_grey = image.mode in ("L", "LA", "La", "1")
    colours = colour.to_srgb(above.getchannel("R") if is_grey else above.convert("RGB"), profile)
    return Image.composite(colours, Image.new("RGB", image.size, "white"), alpha)


def _plain(image: Image.Image) -> Image.Image:
    """Return the image in the mode that its profile speaks of."""
    if image.mode in ("L", "RGB", "CMYK"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")
