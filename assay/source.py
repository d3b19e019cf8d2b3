"""Sources: where the images come from, read only, and the snapshot of what they held.

The listing has one `Entry` per image in the order of `path`. Its fingerprint covers paths and sizes, of tables, tars
and tfds also label, group and split, but not contents, so that a look at a million files stays cheap: a file replaced
by one of the same size is found only when it is read. The sizes of a table's images behind URLs are not asked for.
"""

import hashlib
import shlex
from pathlib import Path
from typing import Any

from assay import datasets, files, folder, labels, shards, tfds
from assay.errors import AssayError
from assay.listing import Entry as Entry
from assay.listing import Source as Source
from assay.listing import option

KINDS = "folder:PATH, table:PATH, tar:PATTERN, keras:NAME, tfds:NAME, sklearn:digits"


def open_source(name: str, options: dict[str, str] | None = None) -> Source:
    """Return the source with its listing; `options`: of `assay snapshot`, how a table is to be read.

    Raises `AssayError` if there is no such source or it cannot make a classifier.
    """
    source = _open(name, options or {})
    classes = class_names(source)
    if not classes:
        wanted = " in class sub-folders (expected CLASS/IMAGE, e.g. cat/0001.jpg)" if name.startswith("folder:") else ""
        raise AssayError(f"{name}: no images{wanted or ' with a label'}")
    if len(classes) == 1 and source.task == "single_label":
        raise AssayError(f"{name}: only one class, {classes[0]!r}; a classifier needs at least two")
    return source


def class_names(source: Source) -> tuple[str, ...]:
    """Return the names of all classes of the listing, sorted."""
    return labels.classes((entry.label for entry in source.entries if entry.label is not None), source.task)


def _open(name: str, options: dict[str, str]) -> Source:
    kind, _, rest = name.partition(":")
    if options and kind != "table":
        raise AssayError(f"{name}: has no columns; {option(next(iter(options)))} is for table:PATH")
    match kind:
        case "folder" if rest:
            return folder.open_folder(name, rest)
        case "table" if rest:
            from assay import table  # here, for pandas takes as long to import as a snapshot of a folder takes

            return table.open_table(name, rest, options)
        case "tar" if rest:
            return shards.open_shards(name, rest)
        case "keras" if rest:
            return datasets.open_keras(name, rest)
        case "tfds" if rest:
            return tfds.open_tfds(name, rest)
        case "sklearn" if rest == "digits":
            return datasets.open_digits()
    raise AssayError(f"source: {name!r} is none of {KINDS}")


def open_unlabelled(name: str) -> Source:
    """Return the source of images of whose classes nobody told: every file of a folder, or what a table lists.

    Raises `AssayError` if there is none of that name.
    """
    kind, _, rest = name.partition(":")
    match kind:
        case "folder" if rest:
            return folder.open_unlabelled(name, rest)
        case "table" if rest:
            from assay import table

            return table.open_unlabelled(name, rest)
    raise AssayError(f"source: {name!r} is neither folder:PATH nor table:PATH")


def snapshot(source: Source) -> dict[str, Any]:
    """Return what data/source.json holds: name, options and task if not the usual, number of images, fingerprint."""
    listing = hashlib.sha256()
    for entry in source.entries:
        apart = [entry.label, entry.group, entry.split] if _labels_apart(source) else []
        told = ("" if value is None else f"={value}" for value in apart)  # an empty label is one
        listing.update("\0".join([entry.path, str(entry.bytes), *told]).encode() + b"\n")
    taken: dict[str, Any] = {"source": source.name}
    taken |= {"options": source.options} if source.options else {}
    taken |= {"task": source.task} if source.task != "single_label" else {}
    return taken | {"n_images": len(source.entries), "fingerprint": listing.hexdigest()}


def _labels_apart(source: Source) -> bool:
    """Say whether the label of an image stands elsewhere than in its path."""
    return source.name.startswith(("table:", "tar:", "tfds:"))


def open_again(file: Path) -> Source:
    """Return the source that the snapshot names, as it is now; raises `AssayError` if that is no snapshot."""
    no_snapshot = AssayError(f"{file}: not a snapshot; run `assay snapshot SOURCE`")
    try:
        taken = files.read_json(file)
    except FileNotFoundError:
        raise AssayError(f"{file}: not found; run `assay snapshot SOURCE`, with one of {KINDS}") from None
    except AssayError:
        raise no_snapshot from None
    try:
        return open_source(taken["source"], taken.get("options"))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise no_snapshot from None


def read_snapshot(file: Path) -> Source:
    """Return the source that the snapshot names; raises `AssayError` if its listing is not the snapshot's any more."""
    source = open_again(file)
    taken = files.read_json(file)
    now = snapshot(source)
    if now != taken:
        said, seen = taken.get("n_images"), now["n_images"]
        other = "names, sizes or labels" if _labels_apart(source) else "names or sizes"
        what = f"{seen:,} images, not {said:,}" if seen != said else f"{seen:,} images, but other {other}"
        raise AssayError(f"{source.name}: now holds {what}, as {file} has it; run `{_command(source)}`")
    return source


def _command(source: Source) -> str:
    options = [part for name, value in source.options.items() for part in (option(name), value)]
    return shlex.join(["assay", "snapshot", source.name, *options])
