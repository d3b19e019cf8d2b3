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


def once_each(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the entries in the order of `path`; one whose path came before becomes one that cannot be read."""
    seen: set[str] = set()
    marked = []
    for entry in entries:
        marked.append(replace(entry, problem="listed twice") if entry.path in seen else entry)
        seen.add(entry.path)
    return tuple(sorted(marked, key=lambda entry: entry.path))


def check_readable(entry: Entry) -> None:
    """Raise `OSError` with the entry's problem if it has one."""
    if entry.problem:
        raise OSError(0, entry.problem)


def option(name: str) -> str:
    """Return an option of a source, as in `Source.options`, as `assay snapshot` takes it."""
    return f"--{name.replace('_', '-')}"
