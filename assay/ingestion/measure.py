"""Measurements: what the manifest says of one image, from one open and one decode.

The statistics are those of a small copy: the upright RGB image, no side of it longer than SIDE_PX, stretched where it
must be, so that a picture measures much the same at every size. Its grey is Pillow's L, uint8 in [0, 255]. They are
rounded to four digits, for the last bits differ between processors.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageFile

from assay.images import decode as decoding
from assay.ingestion import image_statistics
from assay.sources.formats import as_jpeg, named_format

SIDE_PX = 96
WINDOW_PX = 256  # side of the middle whose single pixels are looked at
CAMERA_LETTERS = 64
HASH_PX = 32  # side of the copy whose 8x8 lowest frequencies make the perceptual hash
MODE_BITS = {"1": 1, "I": 32, "F": 32, "I;16": 16, "I;16L": 16, "I;16B": 16}


@dataclass(frozen=True, kw_only=True)
class Measurements:
    """One image; without pixels all but `decodable`, `reason` and `named_format` are None. `SCHEMA` has the units."""

    decodable: bool
    reason: str = ""
    named_format: str | None = None
    format: str | None = None
    width_px: int | None = None
    height_px: int | None = None
    mode: str | None = None
    channels: int | None = None
    bit_depth: int | None = None
    orientation: int | None = None
    n_frames: int | None = None
    pixels: str | None = None
    phash: str | None = None
    thumbnail: bytes | None = None  # grey, HASH_PX a side: not in the manifest
    brightness: float | None = None
    contrast: float | None = None
    entropy: float | None = None
    black_share: float | None = None
    white_share: float | None = None
    sharpness: float | None = None
    saturation: float | None = None
    clipped_share: float | None = None
    p1: int | None = None
    p5: int | None = None
    p50: int | None = None
    p95: int | None = None
    p99: int | None = None
    minimum: int | None = None
    maximum: int | None = None
    red: float | None = None
    green: float | None = None
    blue: float | None = None
    noise: float | None = None
    comb: float | None = None
    blockiness: float | None = None  # None too where the decode was a reduced one, or shows no two blocks of 8 px
    flat_share: float | None = None
    jpeg_quality: int | None = None  # None too for what is no JPEG
    camera: str | None = None  # None too where the file does not say
    border: bytes | None = None
    centre: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """What is kept of one image after its decode: facts, and the small copies that are left to be measured."""

    facts: dict[str, Any]
    copies: "_Copies | None" = None  # None: it cannot be decoded


@dataclass(frozen=True, kw_only=True)
class _Copies:
    grey: Image.Image  # L, no side longer than SIDE_PX
    middle: Image.Image  # L, no side longer than WINDOW_PX
    planes: np.ndarray  # red, green and blue of some of the pixels, uint8 [3, h, w]
    is_whole: bool  # whether the decode was not a reduced one


def measure(content: bytes, name: str = "", reading: decoding.Reading = decoding.USUAL) -> Measurements:
    """Return the measurements of an encoded image; bytes that cannot be decoded are measured too, not raised.

    A JPEG is decoded at 1/2, 1/4 or 1/8 where no side then falls below SIDE_PX, and `pixels` is the SHA-256 of the full
    size and the pixels of that decode: equal for JPEGs with the same coefficients, whatever else is in the files, but
    not for a large JPEG and its copy in another format. Of all else it is taken over the full pixels. A copy that was
    compressed, scaled or turned anew has other `pixels` and, but for a turned one, nearly the same `phash`.
    """
    return measurements([decode(content, name, reading)])[0]


def decode(content: bytes, name: str = "", reading: decoding.Reading = decoding.USUAL) -> Decoded:
    """Return the first half of `measure`."""
    with ExitStack() as turn:
        try:
            with decoding.opened(content, reading) as source:
                size = source.size
                reduced = source.draft(None, (SIDE_PX, SIDE_PX)) is not None
                is_whole = source.size == size
                turn.enter_context(decoding.in_turn(source))
                header = _header(source, content)  # to ask a PNG for EXIF data is to decode it
                shown = decoding.load(source, reading.white_level)
                rgb = decoding.to_rgb(shown)
        except decoding.TooLarge as error:
            return undecodable(f"{error} (params.yaml: ingest.max_megapixels)", name)
        except decoding.Undecodable as error:
            return undecodable(str(error), name)
        if not reduced:
            size = shown.size
        elif header["orientation"] in decoding.TURNED:
            size = size[::-1]
        return _decoded(header | {"named_format": named_format(name)}, size, rgb, is_whole)


def _decoded(header: dict[str, Any], size: tuple[int, int], rgb: Image.Image, is_whole: bool) -> Decoded:
    pixels = np.asarray(rgb)
    digest = hashlib.sha256("{}x{}".format(*size).encode())
    digest.update(pixels.data)
    facts = header | {"width_px": size[0], "height_px": size[1], "pixels": digest.hexdigest()}
    facts |= {"decodable": True, "minimum": int(pixels.min()), "maximum": int(pixels.max())}
    return Decoded(facts=facts, copies=_copies(rgb, pixels, is_whole))


def undecodable(reason: str, name: str) -> Decoded:
    """Return what is known of an image without pixels."""
    return Decoded(facts={"decodable": False, "reason": reason, "named_format": named_format(name)})


def measurements(images: Sequence[Decoded]) -> list[Measurements]:
    """Return the second half of `measure` for each image.

    Of many each statistic is taken of all before the next: a sixth less time, for the processor's caches then hold the
    code of one at a time.
    """
    known = iter(_statistics([each.copies for each in images if each.copies]))
    return [Measurements(**each.facts, **(next(known) if each.copies else {})) for each in images]


def _header(source: ImageFile.ImageFile, content: bytes) -> dict[str, Any]:
    exif = source.getexif()
    tables = getattr(source, "quantization", None)
    return {
        "format": as_jpeg(source.format),
        "mode": source.mode,
        "channels": len(source.getbands()),
        "bit_depth": _bit_depth(source, content),
        "orientation": decoding.orientation(source),
        "n_frames": getattr(source, "n_frames", 1),
        "jpeg_quality": image_statistics.jpeg_quality(list(tables[0])) if tables and 0 in tables else None,
        "camera": camera(exif.get(ExifTags.Base.Make), exif.get(ExifTags.Base.Model)),
    }


def camera(make: object, model: object) -> str | None:
    """Return what EXIF says of the camera, `Canon EOS 80D`, in printable letters; None: nothing."""
    names = [" ".join("".join(filter(str.isprintable, str(name or ""))).split()) for name in (make, model)]
    if names[1].lower().startswith(names[0].lower()):
        names = names[1:]
    return " ".join(filter(None, names))[:CAMERA_LETTERS] or None


def _bit_depth(source: ImageFile.ImageFile, content: bytes) -> int:
    """Return the bits of one channel in the file; Pillow's mode hides the depth of a PNG or TIFF of 1, 2, 4 or 16."""
    if source.format == "PNG":
        return content[24]
    if source.format == "TIFF":
        return int(max(source.tag_v2.get(ExifTags.Base.BitsPerSample, (1,))))  # type: ignore[attr-defined]
    return MODE_BITS.get(source.mode, 8)


def _copies(rgb: Image.Image, pixels: np.ndarray, is_whole: bool) -> _Copies:
    size = min(rgb.width, SIDE_PX), min(rgb.height, SIDE_PX)
    grey, some = rgb.convert("L"), pixels[:: -(-rgb.height // SIDE_PX), :: -(-rgb.width // SIDE_PX)]
    return _Copies(
        grey=grey.resize(size, Image.Resampling.BOX),
        middle=_window(grey),
        planes=np.ascontiguousarray(np.moveaxis(some, -1, 0)),  # what follows is twice as quick so
        is_whole=is_whole,
    )


def _statistics(images: Sequence[_Copies]) -> Iterator[dict[str, Any]]:
    if not images:
        return
    levels, middles = [np.asarray(each.grey) for each in images], [np.asarray(each.middle) for each in images]
    colours = [image_statistics.of_colours(each.planes) for each in images]
    small = [thumbnail(each.grey) for each in images]
    parts = [image_statistics.border_and_centre(each) for each in small]
    of_levels = image_statistics.of_levels(_histograms([each.grey for each in images]))
    numbers: dict[str, Sequence[float | None]] = {
        **{name: column.tolist() for name, column in of_levels.items()},
        **{name: [each[name] for each in colours] for name in colours[0]},
        "sharpness": [image_statistics.sharpness(each) for each in levels],
        "flat_share": [image_statistics.flat_share(each) for each in levels],
        "noise": [image_statistics.noise(each) for each in middles],
        "comb": image_statistics.comb(_histograms([each.middle for each in images])).tolist(),
        "blockiness": [
            image_statistics.blockiness(middle) if each.is_whole else None
            for each, middle in zip(images, middles, strict=True)
        ],
    }
    bits: dict[str, Sequence[str | bytes]] = {
        "phash": phashes([each.grey for each in images]),
        "thumbnail": [each.tobytes() for each in small],
        "border": [border.tobytes() for border, _ in parts],
        "centre": [centre.tobytes() for _, centre in parts],
    }
    for n in range(len(images)):
        known = ((name, column[n]) for name, column in numbers.items())
        rounded = {name: None if value is None else round(value, 4) for name, value in known}
        yield rounded | {name: column[n] for name, column in bits.items()}


def _window(grey: Image.Image) -> Image.Image:
    """Return the middle of an image, from a corner of the 8 px grid of JPEG."""
    if max(grey.size) <= WINDOW_PX:
        return grey
    left, top = (max(0, side - WINDOW_PX) // 16 * 8 for side in grey.size)
    return grey.crop((left, top, min(grey.width, left + WINDOW_PX), min(grey.height, top + WINDOW_PX)))


def _histograms(greys: Sequence[Image.Image]) -> np.ndarray:
    """Return how many pixels of each have each level: int [N, 256]."""
    return np.array([each.histogram() for each in greys])


def thumbnail(grey: Image.Image) -> np.ndarray:
    """Return the whole of a grey image as uint8 [HASH_PX, HASH_PX], in [0, 255]: what `neighbours` compares.

    Each pixel is a weighted mean, the same on every processor. A box would cut an image of 48 px into pixels of one and
    of two, and its copy of 40 px into others.
    """
    return np.asarray(grey.resize((HASH_PX, HASH_PX), Image.Resampling.BILINEAR))


def _cosines() -> np.ndarray:
    """Return the 8 lowest cosines of the DCT-II over HASH_PX points, in whole 1/4096: [8, HASH_PX]."""
    angles = np.outer(np.arange(8), 2 * np.arange(HASH_PX) + 1) * np.pi / (2 * HASH_PX)
    # Whole numbers make the products exact: bits of flat images are not noise, and every processor finds the same.
    return np.round(np.cos(angles) * 4096)


COSINES = _cosines()


def phashes(greys: Sequence[Image.Image]) -> list[str]:
    """Return the perceptual hashes of grey images, 64 bits as 16 hex digits; copies differ in few bits.

    A bit says whether one of the 8x8 lowest frequencies of the 32x32 copy lies above their median, row by row. Zauner,
    "Implementation and benchmarking of perceptual image hash functions" (2010), section 3.2.1.
    """
    small = [np.asarray(grey.resize((HASH_PX, HASH_PX), Image.Resampling.BOX)) for grey in greys]
    low = (COSINES @ np.stack(small).astype(np.float64) @ COSINES.T).reshape(len(small), -1)
    medians = np.sort(low, axis=1)[:, 31:33].mean(axis=1, keepdims=True)
    return [bits.tobytes().hex() for bits in np.packbits(low > medians, axis=1)]
