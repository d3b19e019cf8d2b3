"""What can be wrong with images: each table says name -> function. inject.py puts them into a set.

An `Image` is L or RGB; random numbers come from the generator, so that a variant is the same every time.
"""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from benchmarks.faults.pictures import encode

Random = np.random.Generator
Change = Callable[[Image.Image, Random], Image.Image]
File = tuple[bytes, str]  # content and suffix


def levels(function: Callable[[np.ndarray, Random], np.ndarray]) -> Change:
    """Return a change of the grey levels, float64 [H, W] or [H, W, 3] in [0, 255], as a change of an image."""

    def changed(image: Image.Image, random: Random) -> Image.Image:
        values = function(np.asarray(image).astype(float), random)
        return Image.fromarray(np.rint(values).clip(0, 255).astype(np.uint8))

    return changed


def gain(factor: float) -> Change:
    return levels(lambda values, _: values * factor)


def noise(sigma: float) -> Change:
    return levels(lambda values, random: values + random.normal(0, sigma, values.shape))


def blank(level: int) -> Change:
    return levels(lambda values, _: np.full(values.shape, level))


def blur(share: float, least_px: float = 0) -> Change:
    return lambda image, _: image.filter(ImageFilter.GaussianBlur(max(share * image.width, least_px)))


def scale(factor: float, across: float = 1.0, resample: Image.Resampling = Image.Resampling.BICUBIC) -> Change:
    def scaled(image: Image.Image, _: Random) -> Image.Image:
        return image.resize((round(image.width * factor * across), round(image.height * factor)), resample)

    return scaled


def crop(share: float) -> Change:
    """Return the middle, so that `share` of each side is lost."""

    def cropped(image: Image.Image, _: Random) -> Image.Image:
        left, top = share / 2 * image.width, share / 2 * image.height
        return image.resize(image.size, Image.Resampling.BICUBIC, (left, top, image.width - left, image.height - top))

    return cropped


def shift(share: float) -> Change:
    def shifted(image: Image.Image, _: Random) -> Image.Image:
        by = (1, 0, share * image.width, 0, 1, share * image.height)
        return image.transform(image.size, Image.Transform.AFFINE, by, Image.Resampling.BILINEAR)

    return shifted


def jpeg(quality: int) -> Change:
    """Return what is left of the pixels after such a JPEG."""

    def saved(image: Image.Image, _: Random) -> Image.Image:
        content = io.BytesIO()
        image.save(content, "JPEG", quality=quality)
        return Image.open(content).convert(image.mode)

    return saved


def page(image: Image.Image, random: Random) -> Image.Image:
    """Return a page of text."""
    shown = Image.new("L", image.size, 250)
    for y in range(4, image.height - 8, 12):
        words = " ".join("".join(chr(97 + c) for c in random.integers(0, 26, n)) for n in random.integers(2, 9, 12))
        ImageDraw.Draw(shown).text((4, y), words, fill=20)
    return shown.convert(image.mode)


def half_grey(values: np.ndarray, _: Random) -> np.ndarray:
    return np.concatenate([values[: round(0.6 * len(values))], np.full_like(values[round(0.6 * len(values)) :], 128)])


def occluded(values: np.ndarray, _: Random) -> np.ndarray:
    height, width = (round(0.775 * side) for side in values.shape[:2])  # 60 % of the area
    top, left = (values.shape[0] - height) // 2, (values.shape[1] - width) // 2
    hidden = values.copy()
    hidden[top : top + height, left : left + width] = 0
    return hidden


def stamp(values: np.ndarray, _: Random) -> np.ndarray:
    side = max(2, values.shape[0] // 12)
    stamped = values.copy()
    stamped[:side, :side] = 255
    return stamped


def half_resolution(image: Image.Image, _: Random) -> Image.Image:
    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.NEAREST)
    return half.resize(image.size, Image.Resampling.NEAREST)


IMAGES: dict[str, Change] = {
    "tiny": lambda image, _: image.resize((8, 8)),
    "huge": scale(8),
    "odd_aspect": scale(1, across=5),
    "blank_0": blank(0),
    "blank_128": blank(128),
    "blank_255": blank(255),
    "low_info": levels(lambda values, random: random.integers(127, 130, values.shape)),
    "dark": gain(0.15),
    "dark_mild": gain(0.4),
    "bright": gain(3),
    "washed": levels(lambda values, _: 0.2 * values + 200),
    "blur_strong": blur(0.05),
    "blur_mild": blur(0.015),
    "noise": noise(60),
    "inverted": levels(lambda values, _: 255 - values),
    "half_grey": levels(half_grey),
    "occluded": levels(occluded),
    "rot90": lambda image, _: image.transpose(Image.Transpose.ROTATE_90),
    "float01": levels(lambda values, _: values / 255),
    "jpeg_q5": jpeg(5),
    "ood_text": page,
    "ood_noise": levels(lambda values, random: random.integers(0, 256, values.shape)),
}
COLOUR: dict[str, Change] = {
    "bgr": levels(lambda values, _: values[..., ::-1]),
    "grey_in_rgb": lambda image, _: image.convert("L").convert("RGB"),
}


def saved_as(kind: str, suffix: str, mode: str = "", **options: Any) -> Callable[[Image.Image, str], File]:
    """Return a way to save an image: in another mode, as another kind; `suffix` empty: the set's own."""

    def saved(image: Image.Image, own: str) -> File:
        content = io.BytesIO()
        as_own = {".png": "PNG", ".jpg": "JPEG"}[own]
        (image.convert(mode) if mode else image).save(content, kind or as_own, **options)
        return content.getvalue(), suffix or own

    return saved


def turned(image: Image.Image, own: str) -> File:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be shown turned by 90 degrees
    return saved_as("", "", exif=exif)(image, own)


def wide(image: Image.Image, _: str) -> File:
    content = io.BytesIO()
    Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(content, "PNG")
    return content.getvalue(), ".png"


def wrong_ext(image: Image.Image, own: str) -> File:
    other = {".png": ".jpg", ".jpg": ".png"}[own]
    return encode(image, other), own


SAVED: dict[str, Callable[[Image.Image, str], File]] = {
    "mode_rgba": saved_as("PNG", ".png", "RGBA"),
    "mode_p": saved_as("PNG", ".png", "P"),
    "mode_16bit": wide,
    "mode_cmyk": saved_as("JPEG", ".jpg", "CMYK"),
    "exif_rot": turned,
    "wrong_ext": wrong_ext,
}


def rot(content: bytes, random: Random) -> bytes:
    """Return the file with 16 bytes of its middle third overwritten."""
    third = len(content) // 3
    at = third + int(random.integers(max(1, third - 16)))
    return content[:at] + random.bytes(16) + content[at + 16 :]


def ended(content: bytes, random: Random) -> bytes:
    """Return three fifths of a JPEG with an end put to it, as a camera or a repair tool does."""
    image = Image.open(io.BytesIO(content))
    whole = content if image.format == "JPEG" else encode(image, ".jpg")
    return whole[: len(whole) * 3 // 5] + b"\xff\xd9"


HTML = b"<!doctype html><html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>\n"
FILES: dict[str, Callable[[bytes, Random], bytes]] = {
    "zero_byte": lambda content, _: b"",
    "html": lambda content, _: HTML,
    "truncated": lambda content, _: content[: len(content) * 2 // 5],
    "cut_tail": lambda content, _: content[: len(content) * 98 // 100],
    "bit_rot": rot,
    "not_image": lambda content, random: random.bytes(len(content)),
    "partial_eoi": ended,
}
ROWS = ("missing_file", "orphan_file")  # a row without its file, a file without its row

COPIES: dict[str, Change | None] = {
    "bytes": None,
    "pixels": None,
    "q60": jpeg(60),
    "scale": scale(0.8),
    "bright": gain(1.1),
    "blur": blur(0.01),
    "noise": noise(8),
    "crop3": crop(0.03),
    "crop10": crop(0.1),
    "shift": shift(0.02),
    "flip": lambda image, _: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "rot90": lambda image, _: image.transpose(Image.Transpose.ROTATE_90),
}
RELATIONS = ("dup", "leak", "conflict")  # in the same split, in another, under another label

DRIFTS: dict[str, Change] = {
    "gain_80": gain(0.8),
    "gain_95": gain(0.95),
    "gamma": levels(lambda values, _: 255 * (values / 255) ** 1.5),
    "blur": blur(0.005, least_px=0.5),  # less than half a pixel changes less than a JPEG at quality 95 does
    "jpeg_q30": jpeg(30),
    "noise": noise(6),
    "half_res": half_resolution,
    "inverted": levels(lambda values, _: 255 - values),
    "float01": levels(lambda values, _: values / 255),
    "bgr": levels(lambda values, _: values[..., ::-1]),  # of colour alone
}
SHORTCUTS: dict[str, Change] = {
    "gain": gain(1.1),
    "size": scale(0.9),
    "stamp": levels(stamp),
    "jpeg_q50": jpeg(50),
}


def same_pixels(content: bytes) -> bytes:
    """Return another file with the very same pixels: a PNG packed anew, or a JPEG with a comment."""
    if content[:2] == b"\xff\xd8":
        comment = b"seen"
        return content[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment + content[2:]
    packed = io.BytesIO()
    Image.open(io.BytesIO(content)).save(packed, "PNG", compress_level=1)
    return packed.getvalue()
