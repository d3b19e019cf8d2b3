"""Small folders and tables of images, for sources to list."""

from pathlib import Path

from assay.sources import opening


def fill(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(path.encode())
    return folder


def paths(folder: Path) -> dict[str, str | None]:
    return {entry.path: entry.label for entry in opening.open_source(f"folder:{folder}").entries}
