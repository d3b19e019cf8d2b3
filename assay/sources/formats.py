"""The format that a file's name promises."""

import posixpath

from PIL import Image

# What systems, and programs that show or send pictures, leave beside them; hidden files are not listed at all.
LITTER = frozenset(("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "picasa.ini", "icon\r"))
LITTER_FOLDERS = frozenset(
    ("@eadir", "__macosx", "#recycle", "$recycle.bin", "system volume information", "lost+found")
)
LITTER_STARTS, UNFINISHED = ("._", "~$"), (".tmp", ".temp", ".part", ".partial", ".crdownload", ".download", ".swp")
TEXTS = frozenset(("readme", "license", "licence", "copying", "notice", "authors", "citation", "changelog", "metadata"))
NO_IMAGES = frozenset(
    (
        *(".txt", ".md", ".rst", ".pdf", ".doc", ".docx", ".rtf", ".odt", ".xls", ".xlsx", ".ods", ".ppt", ".pptx"),
        *(".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".xml", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".parquet"),
        *(".html", ".htm", ".css", ".js", ".py", ".ipynb", ".sh", ".bat", ".m", ".r", ".c", ".cpp", ".java"),
        *(".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".npy", ".npz", ".mat", ".h5", ".hdf5", ".pkl"),
        *(".mp4", ".mov", ".avi", ".mkv", ".mp3", ".wav", ".db", ".sqlite", ".log", ".bak", ".lnk", ".url", ".torrent"),
    )
)

# Pictures that are not read: named, and not passed over, where a table does not list them.
HEIC = frozenset((".heic", ".heics", ".heif", ".heifs", ".hif"))  # read where pillow-heif is installed
FOREIGN = HEIC | frozenset(
    (".jxl", ".dng", ".nef", ".cr2", ".cr3", ".arw", ".orf", ".rw2", ".raf", ".dcm", ".psd", ".svg")
)

# Before all formats are asked for: else JPEG and PNG are tried last of them (see assay/images/decode.py).
Image.preinit()


def named_format(name: str) -> str | None:
    """Return the format that the suffix of a file's name says, as `format` has it; None: it says none."""
    suffix = posixpath.splitext(name)[1].lower()
    # Pillow knows these once pillow-heif is loaded, which happens with the first such file.
    kind = "HEIF" if suffix in HEIC else Image.registered_extensions().get(suffix)
    return as_jpeg(kind)


def is_picture(name: str) -> bool:
    """Say whether a file is a picture by its name, read here or not."""
    is_named = named_format(name) is not None or posixpath.splitext(name)[1].lower() in FOREIGN
    return is_named and not is_no_image(name)


def is_no_image(name: str) -> bool:
    """Say whether a file is none by its name: what computers, people and annotation tools put beside images.

    A file without a suffix, or with one that says nothing here, may be an image.
    """
    *above, base = name.lower().split("/")
    stem, suffix = posixpath.splitext(base)
    is_text = stem in TEXTS and named_format(name) is None
    is_litter = base in LITTER or base.startswith(LITTER_STARTS) or not LITTER_FOLDERS.isdisjoint(above)
    return suffix in NO_IMAGES or suffix in UNFINISHED or is_text or is_litter


def as_jpeg(kind: str | None) -> str | None:
    """Return JPEG for MPO: cameras hide a preview or a depth map behind a JPEG, and call the file .jpg."""
    return "JPEG" if kind == "MPO" else kind
