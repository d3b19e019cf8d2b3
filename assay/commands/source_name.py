"""The name of a source, as people write it and as a snapshot keeps it."""

from pathlib import Path

from assay.errors import AssayError

TABLES = (".csv", ".jsonl", ".parquet")


def full(source: str, command: str = "snapshot", kinds: str = "a folder, a table, a tar or a data set") -> str:
    """Return the source's full name: a bare path or URL is a table or tar by its suffix, else a folder.

    A path is absolute unless it lies within this folder.
    """
    if not source:
        raise AssayError(f"{command}: the source is empty, must name {kinds}")
    kind, colon, rest = source.partition(":")
    has_path = kind in ("folder", "table", "tar") and rest != ""
    if rest.startswith("//") and not has_path:
        return f"{_kind(source.partition('?')[0])}:{source}"
    if colon and not Path(source).exists() and (not has_path or "://" in rest):
        return source
    kind, rest = (kind, rest) if colon and has_path else (_kind(source), source)
    place, here = Path(rest).expanduser().resolve(), Path.cwd()
    return f"{kind}:{(place.relative_to(here) if place.is_relative_to(here) else place).as_posix()}"


def _kind(path: str) -> str:
    suffix = "" if Path(path).is_dir() else Path(path).suffix.lower()
    return "table" if suffix in TABLES else "tar" if suffix == ".tar" else "folder"
