"""Listings: what a source holds, one `Entry` per image or row, whatever kind of source it is."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from assay.labels import Task


@dataclass(frozen=True)
class Entry:
    path: str  # for people and the manifest, with "/"
    label: str | None  # as the source has it, see assay/labels.py; None: not labelled
    bytes: int  # 0: not known before it is read
    place: str  # what `Source.read` finds it by
    group: str | None = None  # images of one group share a split
    split: str | None = None  # given by the source: train, val or test
    problem: str = ""  # why it is not read, where the listing already shows that


@dataclass(frozen=True)
class Source:
    name: str
    entries: tuple[Entry, ...]
    read: Callable[[Entry], bytes]  # may raise OSError; one that cannot be pickled is called in this process only
    options: dict[str, str] = field(default_factory=dict)  # of `assay snapshot`: how a table is to be read
    has_files: bool = False  # the places are local files, or URLs: a file that did not change need not be read again
    task: Task = "single_label"
    drawn: tuple[str, ...] = ()  # splits that it lacks, though it gives others: drawn from its train
    left_out: tuple[str, ...] = ()  # files of a folder that are no images by their names
    empty: tuple[str, ...] = ()  # folders of a class without an image


def once_each(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the entries in the order of `path`, of which the first of a path can be read.

    None can where its rows have several labels: which of them is true, no row tells.
    """
    listed = list(entries)
    named: dict[str, dict[str | None, None]] = {}
    for entry in listed:
        named.setdefault(entry.path, {})[entry.label] = None
    seen: set[str] = set()
    marked = []
    for entry in listed:
        if len(named[entry.path]) > 1:
            said = " and ".join(repr(label) if label else "without a label" for label in list(named[entry.path])[:3])
            entry = replace(entry, problem=f"listed twice, as {said}")
        elif entry.path in seen:
            entry = replace(entry, problem="listed twice")
        marked.append(entry)
        seen.add(entry.path)
    return tuple(sorted(marked, key=lambda entry: entry.path))


def within(source: Source, max_file_mb: int) -> Source:
    """Return the source, in which no file of more megabytes can be read; those of unknown size can."""
    limit = f"the limit is {max_file_mb:,} (params.yaml: ingest.max_file_mb)"
    entries = (
        replace(each, problem=f"a file of {each.bytes / 1e6:,.0f} MB, {limit}")
        if each.bytes > 1e6 * max_file_mb and not each.problem
        else each
        for each in source.entries
    )
    return replace(source, entries=tuple(entries))


def check_readable(entry: Entry) -> None:
    """Raise `OSError` with the entry's problem if it has one."""
    if entry.problem:
        raise OSError(0, entry.problem)


def option(name: str) -> str:
    """Return an option of a source, as in `Source.options`, as `assay snapshot` takes it."""
    return f"--{name.replace('_', '-')}"
