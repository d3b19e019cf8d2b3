"""Places: where bytes lie. A local path, or a URL of whatever fsspec knows: s3://, gs://, https://, memory://, ...

A local file that cannot be read, and an object that is not there or not allowed, is an `OSError`: a fault of that one
image. Any other failure of a URL is an `AssayError`: a network that is down must stop the run and not drop images.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from assay.errors import AssayError


def is_url(place: str) -> bool:
    return "://" in place


def read(place: str) -> bytes:
    """Return the bytes at a place; raises `OSError` or `AssayError`."""
    if is_url(place):
        return _fetch(place)
    with open(place, "rb", opener=_without_waiting) as content:
        if not stat.S_ISREG(os.fstat(content.fileno()).st_mode):
            raise OSError(0, "not a regular file")
        return content.read()


def size(place: str) -> int:
    """Return the bytes of a local file; 0 for a link to nothing or in a circle, and for a URL, which is not asked."""
    try:
        return 0 if is_url(place) else os.stat(place).st_size  # noqa: PTH116
    except OSError:
        return 0


def walk(folder: str) -> Iterator[tuple[str, int, str]]:
    """Yield path below the folder, bytes and place of every file that is not hidden; raises `AssayError`."""
    yield from _walk_url(folder) if is_url(folder) else _walk_local(Path(folder))


def join(folder: str, path: str) -> str:
    """Return the place of a path below a folder."""
    if not is_url(folder):
        return os.path.join(folder, path)  # noqa: PTH118  (half the time of Path, and there may be a million)
    return f"{folder.rstrip('/')}/{quote(path) if _is_web(folder) else path}"


def parent(place: str) -> str:
    """Return the folder that a file lies in."""
    if is_url(place):
        return (place.partition("?")[0] if _is_web(place) else place).rpartition("/")[0]
    return str(Path(place).parent)


def _is_web(url: str) -> bool:
    """Say whether blanks and the like stand in the URL as %20."""
    return url.startswith(("http://", "https://"))


def _walk_local(folder: Path) -> Iterator[tuple[str, int, str]]:
    if not folder.is_dir():
        raise AssayError(f"folder:{folder}: no such folder")
    for parent, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        above = "" if parent == str(folder) else f"{os.path.relpath(parent, folder)}/"
        for name in names:
            if not name.startswith("."):
                place = os.path.join(parent, name)  # noqa: PTH118
                # A name that is not UTF-8 cannot be written to the manifest as it is.
                shown = f"{above}{name}".encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
                yield shown, size(place), place


def _walk_url(folder: str) -> Iterator[tuple[str, int, str]]:
    filesystem, root = _filesystem(folder)
    try:
        found = filesystem.find(root, detail=True)
    except Exception as error:
        raise _unreachable(folder, error) from None
    for name, about in found.items():
        path = name.removeprefix(root.rstrip("/")).lstrip("/")
        path = unquote(path) if _is_web(folder) else path
        if not any(part.startswith(".") for part in path.split("/")) and not path.endswith("/"):
            yield path, about.get("size") or 0, filesystem.unstrip_protocol(name)


def _fetch(url: str) -> bytes:
    filesystem, path = _filesystem(url)
    try:
        content: bytes = filesystem.cat_file(path)
    except (FileNotFoundError, IsADirectoryError):
        raise OSError(0, "no such file") from None
    except PermissionError:
        raise OSError(0, "not allowed") from None
    except Exception as error:
        raise _unreachable(url, error) from None
    return content


def _filesystem(url: str) -> tuple[Any, str]:
    import fsspec  # type: ignore[import-untyped]

    try:
        filesystem, path = fsspec.url_to_fs(url)
    except Exception as error:  # ValueError: no such protocol; ImportError: its package is missing, and named
        raise _unreachable(url, error) from None
    return filesystem, path


def _unreachable(url: str, error: Exception) -> AssayError:
    said = " ".join(str(error).split()) or type(error).__name__
    return AssayError(f"{url}: cannot be reached: {said}")


def _refuse(error: OSError) -> None:
    raise AssayError(f"{error.filename}: {error.strerror}")


def _without_waiting(place: str, flags: int) -> int:
    """Open a named pipe too without waiting for its writer."""
    return os.open(place, flags | os.O_NONBLOCK)
