"""Which files are images that are read, and what the others are called."""

from functools import lru_cache

from PIL import ExifTags, Image

# All that is read, the common ones first, for Pillow tries them in this order. Left out are what it hands to another
# program (EPS goes to Ghostscript), what it only knows by name, and formats of single programs.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "WEBP", "TIFF", "JPEG2000", "AVIF", "ICO", "PCX", "SGI", "FITS", "TGA")
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


class Undecodable(Exception):
    """Says why the bytes are no image that can be used."""


class TooLarge(Undecodable):
    """Says that it has more pixels than it may."""


def is_heic(content: bytes) -> bool:
    return content[4:8] == b"ftyp" and content[8:12] in HEIC


@lru_cache
def reads_heic() -> bool:
    """Say whether pillow-heif is installed, which Pillow reads the photos of phones with; it is loaded if so."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def foreign(content: bytes) -> str:
    """Return the name of a format of pictures that is none of `FORMATS`, by its first bytes; nothing for others."""
    if content[128:132] == b"DICM":
        return "DICOM"
    return next((kind for start, kind in FOREIGN.items() if content.startswith(start)), "")


def check_no_raw(source: Image.Image, content: bytes) -> None:
    """Raise `Undecodable` for the raw file of a camera: TIFF to Pillow, which sees the small preview in it alone."""
    if source.format != "TIFF":
        return
    tags = source.tag_v2  # type: ignore[attr-defined]
    is_reduced = tag(source, ExifTags.Base.NewSubfileType, 0) & 1
    if DNG_VERSION in tags or content[8:10] == b"CR" or (is_reduced and ExifTags.Base.SubIFDs in tags):
        raise Undecodable("a raw file of a camera: only its preview could be read; convert it to TIFF or JPEG")


def tag(source: Image.Image, number: int, otherwise: int) -> int:
    """Return the first value of a TIFF tag."""
    value = source.tag_v2.get(number, otherwise) if source.format == "TIFF" else otherwise  # type: ignore[attr-defined]
    return int(value[0] if isinstance(value, tuple) else value)
