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
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps

from assay.images import colour, depth, kinds
from assay.images.kinds import TooLarge as TooLarge
from assay.images.kinds import Undecodable as Undecodable
from assay.images.resizing import Resize, jpeg_scale, plan, reduced, resized

if TYPE_CHECKING:
    from assay import params

Colour = Literal["grey", "rgb"]
TURNED = (5, 6, 7, 8)  # the EXIF orientations that swap width and height
LARGE_PIXELS = 16_000_000
# Pillow tries its formats in the order of their loading, and six know a file only by parsing it. The common ones first,
# or whoever asks for all of them (`Image.registered_extensions`) has JPEG tried after three such: a tenth of the time.
Image.preinit()


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What is not in a file and decides how it is read.

    `max_pixels`: more are refused before they are decoded; None: Pillow's own limit. `white_level`: of grey integers of
    more than 8 bits in PNG and TIFF, the value that becomes 255, all above it too; None: the highest that the file
    could hold. PPM and JPEG 2000 say themselves what is white.
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
    is_heic = kinds.is_heic(content)
    if is_heic and not kinds.reads_heic():
        raise Undecodable("HEIC, which needs pillow-heif: `pip install 'assay[heif]'`, or convert it to JPEG")
    if kind := kinds.foreign(content):
        raise Undecodable(f"{kind}, which is not read: convert it to JPEG, PNG or TIFF")
    try:
        # A filter of warnings belongs to all threads at once, so nothing but silence may hang on this one.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            source = Image.open(io.BytesIO(content), formats=["HEIF"] if is_heic else kinds.FORMATS)
            kinds.check_no_raw(source, content)
            _check_area(source, reading.max_pixels or Image.MAX_IMAGE_PIXELS)
            if reading.white_level is not None:
                depth.check_all_bits(source, reading.white_level)
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
    return depth.shallow(source, white_level) if source.mode == "F" or source.mode.startswith("I") else source


def _check_area(source: Image.Image, limit: int | None) -> None:
    area = source.width * source.height
    if limit is not None and area > limit:
        raise TooLarge(_bomb(area, limit))


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
    """Return the `Pixels` [height_px, width_px, C] of an encoded image, brought to that size as resizing.py says.

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
        return resized(_coloured(shown, colour), planned, box, canvas)


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
    return resized(_coloured(shown, colour), planned, planned.box, canvas)


def _coloured(shown: Image.Image, colour: Colour) -> Image.Image:
    return shown if colour == "rgb" else shown.convert("L")


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
