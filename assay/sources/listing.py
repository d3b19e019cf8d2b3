"""Listings: what a source holds, one `Entry` per image or row, whatever kind of source it is."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from operator import attrgetter
from typing import Any, overload

import pyarrow as pa
import pyarrow.compute as pc

from assay.labels import Task

PIECE = 10_000  # entries that are objects at once
COLUMNS = pa.schema(
    [
        ("path", pa.string()),
        ("label", pa.string()),
        ("bytes", pa.int64()),
        ("place", pa.binary()),  # a name of a file need not be UTF-8
        ("group", pa.string()),
        ("split", pa.string()),
        ("problem", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Entry:
    path: str  # for people and the manifest, with "/"
    label: str | None  # as the source has it, see assay/labels.py; None: not labelled
    bytes: int  # 0: not known before it is read
    place: str  # what `Source.read` finds it by
    group: str | None = None  # images of one group share a split
    split: str | None = None  # given by the source: train, val or test
    problem: str = ""  # why it is not read, where the listing already shows that


class Entries(Sequence[Entry]):
    """Entries as the columns of a table, in a fifth of the memory of as many objects: there may be ten million."""

    def __init__(self, entries: Iterable[Entry] | pa.Table) -> None:
        """Take the entries, or a table with `COLUMNS`."""
        self.table = entries if isinstance(entries, pa.Table) else tabled(map(attrgetter(*COLUMNS.names), entries))

    def __len__(self) -> int:
        return len(self.table)

    @overload
    def __getitem__(self, which: int) -> Entry: ...
    @overload
    def __getitem__(self, which: slice) -> "Entries": ...
    def __getitem__(self, which: int | slice) -> "Entry | Entries":
        if isinstance(which, slice):
            return Entries(self.table.take(pa.array(range(len(self))[which], pa.int64())))
        return self.at([range(len(self))[which]])[0]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entries) and self.table.equals(other.table)

    __hash__ = None  # type: ignore[assignment]

    def __iter__(self) -> Iterator[Entry]:
        return (Entry(*values) for values in self.values(*COLUMNS.names))

    def at(self, numbers: Sequence[int]) -> tuple[Entry, ...]:
        """Return the entries at these places."""
        return tuple(Entries(self.table.take(pa.array(numbers, pa.int64()))))

    def values(self, *names: str) -> Iterator[tuple[Any, ...]]:
        """Yield the fields of these names of each entry."""
        chosen = self.table.select(list(names))
        for start in range(0, len(self), PIECE):
            piece = chosen.slice(start, PIECE)
            yield from zip(*(_objects(name, piece[name]) for name in names), strict=True)

    def column(self, name: str) -> list[Any]:
        """Return the different values of a field."""
        return _objects(name, self.table[name].unique())


def tabled(entries: Iterable[tuple[Any, ...]], columns: pa.Schema = COLUMNS) -> pa.Table:
    """Return a table of the values of each entry, in their order."""
    rest, pieces = iter(entries), [columns.empty_table()]
    while some := list(islice(rest, PIECE)):
        by_name = zip(columns, zip(*some, strict=True), strict=True)
        pieces.append(pa.table([pa.array(_told(each, values), each.type) for each, values in by_name], columns))
    return pa.concat_tables(pieces).combine_chunks()


def _told(column: pa.Field, values: Iterable[Any]) -> list[Any]:
    is_place = column.type == pa.binary()
    return [value.encode("utf-8", "surrogatepass") if is_place else value for value in values]


def _objects(name: str, column: pa.ChunkedArray) -> list[Any]:
    found: list[Any] = column.to_pylist()
    return [value.decode("utf-8", "surrogatepass") for value in found] if name == "place" else found


@dataclass(frozen=True)
class Source:
    name: str
    entries: Entries
    read: Callable[[Entry], bytes]  # may raise OSError; one that cannot be pickled is called in this process only
    options: dict[str, str] = field(default_factory=dict)  # of `assay snapshot`: how a table is to be read
    has_files: bool = False  # the places are local files, or URLs: a file that did not change need not be read again
    task: Task = "single_label"
    drawn: tuple[str, ...] = ()  # splits that it lacks, though it gives others: drawn from its train
    left_out: tuple[str, ...] = ()  # files of a folder that are no images by their names
    empty: tuple[str, ...] = ()  # folders of a class without an image


def once_each(entries: Iterable[Entry]) -> Entries:
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
    return Entries(sorted(marked, key=lambda entry: entry.path))


def within(source: Source, max_file_mb: int) -> Source:
    """Return the source, in which no file of more megabytes can be read; those of unknown size can."""
    if not pc.any(pc.greater(source.entries.table["bytes"], int(1e6 * max_file_mb))).as_py():
        return source
    limit = f"the limit is {max_file_mb:,} (params.yaml: ingest.max_file_mb)"
    entries = (
        replace(each, problem=f"a file of {each.bytes / 1e6:,.0f} MB, {limit}")
        if each.bytes > 1e6 * max_file_mb and not each.problem
        else each
        for each in source.entries
    )
    return replace(source, entries=Entries(entries))


def check_readable(entry: Entry) -> None:
    """Raise `OSError` with the entry's problem if it has one."""
    if entry.problem:
        raise OSError(0, entry.problem)


def option(name: str) -> str:
    """Return an option of a source, as in `Source.options`, as `assay snapshot` takes it."""
    return f"--{name.replace('_', '-')}"
