"""Folders: CLASS/IMAGE, or SPLIT/CLASS/IMAGE with train, val (or validation, valid) and test as given splits."""

from assay import places
from assay.errors import AssayError
from assay.listing import Entry, Source

SPLITS = {"train": "train", "val": "val", "validation": "val", "valid": "val", "test": "test"}


def open_folder(name: str, folder: str) -> Source:
    """Return the source of a folder, local or a URL; raises `AssayError` if only some classes lie in split folders."""
    found = sorted(places.walk(folder))
    has_splits = _has_splits(name, [path for path, _, _ in found])
    entries = (_entry(path, size, place, has_splits=has_splits) for path, size, place in found)
    return Source(name, tuple(entries), _read_image, has_files=True)


def open_unlabelled(name: str, folder: str) -> Source:
    """Return the source of all files below a folder; its sub-folders say nothing of classes."""
    entries = (Entry(path, None, size, place) for path, size, place in sorted(places.walk(folder)))
    return Source(name, tuple(entries), _read_image, has_files=True)


def _has_splits(name: str, paths: list[str]) -> bool:
    """Say whether the classes lie in split folders. A file right below `train/` does not: there train is a class."""
    in_split = next((path for path in paths if path.split("/")[0] in SPLITS and path.count("/") > 1), None)
    elsewhere = next((path for path in paths if "/" in path and path.split("/")[0] not in SPLITS), None)
    if in_split and elsewhere:
        raise AssayError(
            f"{name}: {in_split!r} lies in a split folder and {elsewhere!r} does not; put every class below "
            f"{', '.join(SPLITS)}, or none"
        )
    return in_split is not None


def _entry(path: str, size: int, place: str, *, has_splits: bool) -> Entry:
    *above, _ = path.split("/")
    split = SPLITS[above.pop(0)] if has_splits and above else None
    return Entry(path, above[0] if above else None, size, place, split=split)


def _read_image(entry: Entry) -> bytes:
    return places.read(entry.place)
