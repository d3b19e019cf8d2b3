"""Put one fault into a set of real images: `python -m benchmarks.faults.inject SET VARIANT FOLDER`.

Leaves in FOLDER `images/`, `images/table.csv` (path, label, split, group), `truth.csv` (path, fault, param, partner)
and, where a batch comes to approved images, `approved.csv`, the rows of the table that were there before. `path` in the
truth is the file that must be named, or the class. `--list` prints the variants.
"""

import csv
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np

from assay.errors import AssayError
from benchmarks.faults import faults, pictures
from benchmarks.faults.pictures import Picture, random_of

BATCH_SHARE = 0.15  # of the images, that come after the rest was approved


@dataclass(frozen=True)
class Item:
    """One image of a variant; `content` None: a row without a file; not `listed`: a file without a row."""

    path: str
    label: str
    split: str
    group: str
    content: bytes | None
    listed: bool = True
    is_new: bool = False


@dataclass(frozen=True)
class Truth:
    path: str  # or the class
    fault: str
    param: str = ""
    partner: str = ""


@dataclass
class Variant:
    items: list[Item]
    truth: list[Truth] = field(default_factory=list)
    has_batch: bool = False


Maker = Callable[[Sequence[Picture], str, int], Variant]


def variants(set_: Sequence[Picture]) -> dict[str, Maker]:
    """Return what can be made of the set: a fault that needs colour is left out where there is none."""
    colour = set_[0].image.mode == "RGB"
    images = faults.IMAGES | (faults.COLOUR if colour else {})
    drifts = {name: change for name, change in faults.DRIFTS.items() if colour or name != "bgr"}
    return {
        "clean": lambda set_, name, k: Variant(sound(set_)),
        "benign": benign,
        **dict.fromkeys(images, with_image),
        **dict.fromkeys(faults.SAVED, with_saved),
        **dict.fromkeys(faults.FILES, with_file),
        **dict.fromkeys(faults.ROWS, with_row),
        **dict.fromkeys(faults.RELATIONS, with_copies),
        **LABELS,
        "batch_clean": with_batch,
        "batch_benign": with_batch,
        "batch_prior": with_batch,
        **{f"batch_{name}": with_batch for name in drifts},
        **{f"shortcut_{name}": with_shortcut for name in faults.SHORTCUTS},
    }


def sound(set_: Sequence[Picture]) -> list[Item]:
    return [Item(each.path, each.label, each.split, _given(each), each.content) for each in set_]


def _given(picture: Picture) -> str:
    """Return the group for the table: none where the picture is alone in it."""
    return "" if picture.group == picture.path else picture.group


def benign(set_: Sequence[Picture], name: str, k: int) -> Variant:
    """Return the same pixels in other bytes, in another order: nothing is wrong."""
    items = [replace(item, content=faults.same_pixels(item.content or b"")) for item in sound(set_)]
    return Variant([items[i] for i in random_of(name).permutation(len(items))])


def victims(set_: Sequence[Picture], name: str, k: int) -> list[int]:
    return [int(i) for i in random_of(name, 1).permutation(len(set_))[:k]]


def suffix(picture: Picture) -> str:
    return PurePosixPath(picture.path).suffix


def with_image(set_: Sequence[Picture], name: str, k: int) -> Variant:
    change, random = (faults.IMAGES | faults.COLOUR)[name], random_of(name)

    def changed(item: Item, picture: Picture) -> Item:
        return replace(item, content=pictures.encode(change(picture.image, random), suffix(picture)))

    return _replaced(set_, name, k, changed)


def with_saved(set_: Sequence[Picture], name: str, k: int) -> Variant:
    def changed(item: Item, picture: Picture) -> Item:
        content, end = faults.SAVED[name](picture.image, suffix(picture))
        return replace(item, content=content, path=PurePosixPath(item.path).with_suffix(end).as_posix())

    return _replaced(set_, name, k, changed)


def with_file(set_: Sequence[Picture], name: str, k: int) -> Variant:
    random = random_of(name)

    def changed(item: Item, _: Picture) -> Item:
        content = faults.FILES[name](item.content or b"", random)
        path = PurePosixPath(item.path)
        return replace(item, content=content, path=str(path.with_suffix(".jpg") if name == "partial_eoi" else path))

    return _replaced(set_, name, k, changed)


def with_row(set_: Sequence[Picture], name: str, k: int) -> Variant:
    def changed(item: Item, _: Picture) -> Item:
        return replace(item, content=None) if name == "missing_file" else replace(item, listed=False)

    return _replaced(set_, name, k, changed)


def _replaced(set_: Sequence[Picture], name: str, k: int, changed: Callable[[Item, Picture], Item]) -> Variant:
    variant = Variant(sound(set_))
    for i in victims(set_, name, k):
        variant.items[i] = changed(variant.items[i], set_[i])
        variant.truth.append(Truth(variant.items[i].path, name))
    return variant


def with_copies(set_: Sequence[Picture], name: str, k: int) -> Variant:
    """Return k copies of each kind more: in the split of the original, in another, or with another label.

    Fewer where there are not train images enough: each is copied once.
    """
    variant, random = Variant(sound(set_)), random_of(name)
    labels = sorted({each.label for each in set_})
    sources = [i for i in random.permutation(len(set_)) if set_[i].split == "train"]
    k = min(k, len(sources) // len(faults.COPIES))
    for number, kind in enumerate(faults.COPIES):
        for i in sources[number * k : (number + 1) * k]:
            of, change = set_[i], faults.COPIES[kind]
            content = of.content if kind == "bytes" else faults.same_pixels(of.content)
            content = pictures.encode(change(of.image, random), suffix(of)) if change else content
            label = labels[labels.index(of.label) - 1] if name == "conflict" else of.label
            split = "test" if name == "leak" else of.split
            path = f"more/{kind}-{of.path.replace('/', '-')}"
            variant.items.append(Item(path, label, split, "", content))
            variant.truth.append(Truth(path, name, kind, of.path))
    return variant


def relabelled(new_label: Callable[[str, list[str]], str]) -> Maker:
    def maker(set_: Sequence[Picture], name: str, k: int) -> Variant:
        labels = sorted({each.label for each in set_})
        return _replaced(set_, name, k, lambda item, of: replace(item, label=new_label(of.label, labels)))

    return maker


def flips(share: float) -> Maker:
    other = relabelled(lambda label, labels: labels[labels.index(label) - 1])
    return lambda set_, name, k: other(set_, name, round(share * len(set_)))


def rarest(set_: Sequence[Picture]) -> str:
    labels = [each.label for each in set_]
    return min(sorted(set(labels)), key=labels.count)


def class_missing(set_: Sequence[Picture], name: str, k: int) -> Variant:
    """Return the set with no test image of its rarest class, and those of its groups elsewhere."""
    label = rarest(set_)
    items = [item for item in sound(set_) if (item.label, item.split) != (label, "test")]
    return Variant(items, [Truth(label, name, "test")])


def class_cut(n_left: Callable[[int], int]) -> Maker:
    def maker(set_: Sequence[Picture], name: str, k: int) -> Variant:
        label, n = rarest(set_), n_left(len(set_))
        of_class = [i for i, each in enumerate(set_) if each.label == label]
        gone = set(random_of(name).permutation(of_class)[n:])
        return Variant([item for i, item in enumerate(sound(set_)) if i not in gone], [Truth(label, name, str(n))])

    return maker


def group_leak(set_: Sequence[Picture], name: str, k: int) -> Variant:
    """Return the set with k images of train whose group is in test; where there are no groups, of pairs."""
    variant, random = Variant(sound(set_)), random_of(name)
    trained = [int(i) for i in random.permutation(len(set_)) if set_[i].split == "train"][:k]
    others = [int(i) for i in random.permutation(len(set_)) if set_[i].split == "test"][:k]
    for i, j in zip(trained, others, strict=False):
        variant.items[j] = replace(variant.items[j], group=variant.items[j].group or f"pair {j}")
        variant.items[i] = replace(variant.items[i], group=variant.items[j].group)
        variant.truth.append(Truth(set_[i].path, name, variant.items[j].group))
    return variant


LABELS: dict[str, Maker] = {
    "label_null": relabelled(lambda label, labels: ""),
    "label_new": relabelled(lambda label, labels: "zebra crossing"),
    "label_case": relabelled(lambda label, labels: label.upper()),
    "label_space": relabelled(lambda label, labels: label + " "),
    "label_flip_5": flips(0.05),
    "label_flip_10": flips(0.1),
    "label_flip_20": flips(0.2),
    "class_missing": class_missing,
    "class_small": class_cut(lambda n: 12),
    "class_rare": class_cut(lambda n: round(0.023 * n)),
    "group_leak": group_leak,
}


def with_batch(set_: Sequence[Picture], name: str, k: int) -> Variant:
    """Return the set, of which whole groups come after the rest was approved, all of them changed in one way."""
    kind, random = name.removeprefix("batch_"), random_of(name)
    groups = sorted({each.group for each in set_})
    late = set(random_of("batch").permutation(groups)[: round(BATCH_SHARE * len(groups))])
    label = rarest(set_)
    variant = Variant([], [] if kind in ("clean", "benign") else [Truth("(drift)", name)], has_batch=True)
    for item, of in zip(sound(set_), set_, strict=True):
        if of.group not in late:
            variant.items.append(item)
        elif kind != "prior" or of.label == label or random.random() < 0.2:
            variant.items.append(replace(item, content=_late(of, kind, random), is_new=True))
    return variant


def _late(of: Picture, kind: str, random: np.random.Generator) -> bytes:
    if kind == "benign":
        return faults.same_pixels(of.content)
    if kind in ("clean", "prior"):
        return of.content
    return pictures.encode(faults.DRIFTS[kind](of.image, random), suffix(of))


def with_shortcut(set_: Sequence[Picture], name: str, k: int) -> Variant:
    """Return the set with every image of the rarest class changed in one way."""
    change, random, label = faults.SHORTCUTS[name.removeprefix("shortcut_")], random_of(name), rarest(set_)
    items = [
        replace(item, content=pictures.encode(change(of.image, random), suffix(of))) if of.label == label else item
        for item, of in zip(sound(set_), set_, strict=True)
    ]
    return Variant(items, [Truth(label, name)])


def write(folder: Path, variant: Variant, *, only_approved: bool = False) -> None:
    """Make the folder hold the variant; a file that has the right bytes already keeps its time and inode.

    So does one that lies in `kept` with these bytes: it is the same file under another name.
    """
    images = folder / "images"
    wanted = [item for item in variant.items if not (only_approved and item.is_new)]
    contents = {images / item.path: item.content for item in wanted if item.content is not None}
    there = {file for file in images.rglob("*") if file.is_file()} if images.exists() else set()
    for file in there - set(contents):
        file.unlink()
    for file, content in contents.items():
        if file not in there or file.read_bytes() != content:
            file.parent.mkdir(parents=True, exist_ok=True)
            kept = folder / "kept" / file.relative_to(images)
            if kept.exists() and kept.read_bytes() == content:
                file.unlink(missing_ok=True)
                file.hardlink_to(kept)
            else:
                file.write_bytes(content)
    _write_table(images / "table.csv", [item for item in wanted if item.listed])
    if variant.has_batch:
        _write_table(folder / "approved.csv", [item for item in variant.items if not item.is_new])
    rows = [[each.path, each.fault, each.param, each.partner] for each in variant.truth]
    _write_csv(folder / "truth.csv", [["path", "fault", "param", "partner"], *rows])


def _write_table(file: Path, items: list[Item]) -> None:
    rows = [[item.path, item.label, item.split, item.group] for item in items]
    _write_csv(file, [["path", "label", "split", "group"], *rows])


def _write_csv(file: Path, rows: list[list[str]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows(rows)


def main(arguments: list[str]) -> None:
    if len(arguments) not in (2, 3):
        raise AssayError("python -m benchmarks.faults.inject SET VARIANT FOLDER, or SET --list")
    set_ = pictures.draw(arguments[0], 1000)
    known = variants(set_)
    if arguments[1] == "--list":
        print(*known, sep="\n")
        return
    if arguments[1] not in known:
        raise AssayError(f"{arguments[1]}: no such variant; --list names them")
    variant = known[arguments[1]](set_, arguments[1], 10)
    write(Path(arguments[2]), variant)
    print(f"{arguments[2]}: {len(variant.items):,} images, {len(variant.truth):,} lines in truth.csv")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except AssayError as error:
        sys.exit(str(error))
