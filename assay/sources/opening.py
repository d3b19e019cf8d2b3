"""Sources: where the images come from, read only, and the snapshot of what they held.

The listing has one `Entry` per image in the order of `path`. Its fingerprint covers paths and contents, of tables, tars
and tfds also label, group and split. A local file is read once, and again when its size, time or inode changes; behind
a URL, and in a tar, the size stands for the content. The sizes of a table's images behind URLs are not asked for.
"""

import hashlib
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from assay import files, labels, words
from assay.errors import AssayError
from assay.sources import bundled, contents, folder, tfds, webdataset
from assay.sources.listing import Entries as Entries
from assay.sources.listing import Entry as Entry
from assay.sources.listing import Source as Source
from assay.sources.listing import option

KINDS = "folder:PATH, table:PATH, tar:PATTERN, keras:NAME, tfds:NAME, sklearn:digits"


def open_source(name: str, options: dict[str, str] | None = None) -> Source:
    """Return the source with its listing; `options`: of `assay snapshot`, how a table is to be read.

    Raises `AssayError` if there is no such source or it cannot make a classifier.
    """
    source = _with_drawn(_open(name, options or {}))
    classes = class_names(source)
    if not classes:
        wanted = " in class sub-folders (expected CLASS/IMAGE, e.g. cat/0001.jpg)" if name.startswith("folder:") else ""
        raise AssayError(f"{name}: no images{wanted or ' with a label'}{_seen(source)}")
    if len(classes) == 1 and source.task == "single_label":
        level = f"; if {classes[0]!r} holds the folders of the classes, name it: {name}/{classes[0]}"
        more = level if name.startswith("folder:") and _is_level_too_high(source) else ""
        raise AssayError(f"{name}: only one class, {classes[0]!r}; a classifier needs at least two{more}")
    return source


def _seen(source: Source) -> str:
    n = len(source.entries)
    where = "lie right in it" if source.name.startswith("folder:") else "have none"
    return f"; {words.counted(n, 'file')} {where}, {source.entries[0].path!r} the first" if n else ""


def _with_drawn(source: Source) -> Source:
    """Return the source without the split train of its images where it gives another split to none.

    So `ingest` draws what is missing from them, by params.yaml: ingest; a val or test that is given stays whole.
    """
    listed = source.entries.table
    is_used = pc.and_(pc.is_valid(listed["label"]), pc.equal(listed["problem"], ""))
    given = set(listed["split"].filter(is_used).unique().to_pylist())
    missing = tuple(split for split in ("val", "test") if split not in given)
    if "train" not in given or None in given or not missing:
        return source
    entries = (replace(each, split=None) if each.split == "train" else each for each in source.entries)
    return replace(source, entries=Entries(entries), drawn=missing)


def notes(source: Source) -> list[str]:
    """Return what a person should know of a listing before anything is measured: a line each."""
    said = [f"{split}: none is given, so it is drawn from train (params.yaml: ingest.{split}_share)"
            for split in source.drawn]  # fmt: skip
    said += _read_as(source)
    if n := len(source.left_out):
        names = ", ".join(source.left_out[:3]) + ", ..." * (n > 3)
        said.append(f"{words.counted(n, 'file')} left out, no {'images' if n > 1 else 'image'} by name: {names}")
    if source.empty:
        said.append(f"no image in {words.some(source.empty)}: no class without images is known to the model")
    classes = class_names(source)
    same = _same_below(source)
    if looks := [name for name in classes if folder.meant(name)]:
        said.append(
            f"is {looks[0]!r} a split and no class? Splits are folders train, val and test above those of classes"
        )
    elif len(same) > 1:
        said.append(
            f"the folders of several classes are called {words.some(same)}: if these are the classes, then "
            f"{words.some(classes)} are none: call those train, val and test, or write a table of path, label and group"
        )
    elif source.name.startswith("folder:") and _is_level_too_high(source):
        said.append(
            f"no image lies right in the folder of its class: if {classes[0]!r} is no class but holds the folders of "
            f"classes, name that: assay snapshot {source.name.removeprefix('folder:').rstrip('/')}/{classes[0]}"
        )
    return said


def _read_as(source: Source) -> list[str]:
    """Return what the folders of splits are taken for where they are called otherwise."""
    if not source.name.startswith("folder:") or not (source.drawn or any(source.entries.column("split"))):
        return []
    above = sorted({path.split("/")[0] for (path,) in source.entries.values("path") if "/" in path})
    return [f"{name} is read as the split {folder.meant(name)}" for name in above if name not in folder.SPLITS]


def _same_below(source: Source) -> list[str]:
    """Return the names that folders of several classes have in common, if they are at least half of all."""
    below: dict[str, set[str]] = {}
    is_folder = source.name.startswith("folder:") and not source.drawn
    for label, split, path in source.entries.values("label", "split", "path") if is_folder else ():
        if label is not None and split is None:
            below.setdefault(label, set()).update(path.split("/")[1:-1][:1])
    names = [name for of_class in below.values() for name in of_class]
    same = {name for name in names if names.count(name) > 1}
    return sorted(same) if 2 * len(same) >= len(set(names)) else []


def _is_level_too_high(source: Source) -> bool:
    """Say whether all images of a folder without splits lie deeper than CLASS/IMAGE."""
    if source.drawn or any(source.entries.column("split")):
        return False
    deep = [path.count("/") > 1 for path, label in source.entries.values("path", "label") if label is not None]
    return len(deep) > 0 and all(deep)


def class_names(source: Source) -> tuple[str, ...]:
    """Return the names of all classes of the listing, sorted."""
    return labels.classes((label for label in source.entries.column("label") if label is not None), source.task)


def _open(name: str, options: dict[str, str]) -> Source:
    kind, _, rest = name.partition(":")
    if options and kind != "table":
        raise AssayError(f"{name}: has no columns; {option(next(iter(options)))} is for table:PATH")
    match kind:
        case "folder" if rest:
            return folder.open_folder(name, rest)
        case "table" if rest:
            from assay.sources import table  # here, for pandas takes as long to import as a snapshot of a folder takes

            return table.open_table(name, rest, options)
        case "tar" if rest:
            return webdataset.open_shards(name, rest)
        case "keras" if rest:
            return bundled.open_keras(name, rest)
        case "tfds" if rest:
            return tfds.open_tfds(name, rest)
        case "sklearn" if rest == "digits":
            return bundled.open_digits()
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
            from assay.sources import table

            return table.open_unlabelled(name, rest)
    raise AssayError(f"source: {name!r} is neither folder:PATH nor table:PATH")


def snapshot(source: Source) -> dict[str, Any]:
    """Return what data/source.json holds: name, options and task if not the usual, number of images, fingerprint."""
    listing = hashlib.sha256()
    apart = ("label", "group", "split") if _labels_apart(source) else ()
    listed = source.entries.values("path", "bytes", *apart)
    for (path, size, *values), content in zip(listed, contents.hashes(source), strict=True):
        told = ("" if value is None else f"={value}" for value in values)  # an empty label is one
        listing.update("\0".join([path, content or str(size), *told]).encode() + b"\n")
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
        other = "names, contents or labels" if _labels_apart(source) else "names or contents"
        what = f"{seen:,} images, not {said:,}" if seen != said else f"{seen:,} images, but other {other}"
        raise AssayError(f"{source.name}: now holds {what}, as {file} has it; run `{_command(source)}`")
    return source


def _command(source: Source) -> str:
    options = [part for name, value in source.options.items() for part in (option(name), value)]
    return shlex.join(["assay", "snapshot", source.name, *options])
