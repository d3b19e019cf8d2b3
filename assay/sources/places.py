"""Places: where bytes lie. A local path, or a URL of whatever fsspec knows: s3://, gs://, https://, memory://, ...

A local file that cannot be read, and an object that is not there or not allowed, is an `OSError`: a fault of that one
image. Any other failure of a URL is an `AssayError`: a network that is down must stop the run and not drop images.
"""

import asyncio
import ipaddress
import os
import stat
from collections.abc import Iterator
from functools import cache
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
    """Yield path below the folder, bytes and place of every file that is not hidden, behind links to folders too.

    Raises `AssayError` for a folder that is not there, a link to a folder above it, and one to a folder that is gone.
    """
    yield from _walk_url(folder) if is_url(folder) else _walk_local(Path(folder))


def absolute(place: str) -> str:
    """Return the place as a process in another folder finds it; no link on the way is looked at."""
    return place if is_url(place) else os.path.join(os.getcwd(), place)  # noqa: PTH109, PTH118


def is_circle(place: Path) -> bool:
    """Say whether a place is a link to a folder that it lies in, by whatever links it was come to."""
    return place.is_symlink() and place.resolve() in {each.resolve() for each in place.absolute().parents}


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
    for parent, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        above = "" if parent == str(folder) else f"{os.path.relpath(parent, folder)}/"
        for name in folders:
            _check_no_circle(Path(parent) / name)
        for name in names:
            if not name.startswith("."):
                place = os.path.join(parent, name)  # noqa: PTH118
                if "." not in name:
                    _check_not_gone(Path(place))
                # A name that is not UTF-8 cannot be written to the manifest as it is.
                shown = f"{above}{name}"
                if not shown.isascii():
                    shown = shown.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
                yield shown, size(place), place


def _check_no_circle(place: Path) -> None:
    if is_circle(place):
        raise AssayError(f"{place}: a link to {place.resolve()}, which it lies in: a circle; remove the link")


def _check_not_gone(place: Path) -> None:
    """Raise `AssayError` for what was a link to a folder, perhaps of a whole class: it has no suffix."""
    if place.is_symlink() and not place.exists():
        raise AssayError(f"{place}: a link to {place.readlink()}, which is not there; mend the link, or remove it")


def _walk_url(folder: str) -> Iterator[tuple[str, int, str]]:
    filesystem, root = _filesystem(folder)
    try:
        found = filesystem.find(root, detail=True, **_not_omitting(filesystem))
    except FileNotFoundError:
        raise AssayError(f"{folder}: no such folder") from None
    except Exception as error:
        raise _unreachable(folder, error) from None
    for name, about in found.items():
        path = name.removeprefix(root.rstrip("/")).lstrip("/")
        path = unquote(path) if _is_web(folder) else path
        if not any(part.startswith(".") for part in path.split("/")) and not path.endswith("/"):
            yield path, about.get("size") or 0, filesystem.unstrip_protocol(name)


def _not_omitting(filesystem: Any) -> dict[str, str]:
    """Return what keeps `find` from passing over a folder that cannot be listed, as fsspec's own does."""
    from fsspec.asyn import AsyncFileSystem  # type: ignore[import-untyped]
    from fsspec.spec import AbstractFileSystem  # type: ignore[import-untyped]

    kind = type(filesystem)
    its_own = (
        kind._find is not AsyncFileSystem._find if filesystem.async_impl else kind.find is not AbstractFileSystem.find
    )
    return {} if its_own else {"on_error": "raise"}


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
        filesystem, path = fsspec.url_to_fs(url, **{each: {"client_kwargs": _of_web()} for each in _web_protocols(url)})
    except Exception as error:  # ValueError: no such protocol; ImportError: its package is missing, and named
        raise _unreachable(url, error) from None
    return filesystem, path


def _web_protocols(url: str) -> set[str]:
    """Return those of http and https that the URL asks by, behind others too: `simplecache::https://...`."""
    return {part.partition("://")[0] for part in url.split("::")} & {"http", "https"}


@cache
def _of_web() -> dict[str, Any]:
    """Return what fsspec gives aiohttp; one and the same for all, for it keeps a session for each."""
    from aiohttp import TraceConfig

    watched = TraceConfig()
    watched.on_request_redirect.append(_check_redirect)
    return {"trace_configs": [watched]}


async def _check_redirect(_session: object, _context: object, asked: Any) -> None:
    """Raise `AssayError` where a server of the world sends us to an address that only this machine or network has.

    What lies there was not named by whoever named the source; a source of that network may send us where it likes.
    """
    from yarl import URL

    location = asked.response.headers.get("Location") or asked.response.headers.get("URI") or ""
    try:
        to = asked.url.join(URL(location))
    except ValueError:
        return  # aiohttp says so itself
    if to.host and await _is_inner(to.host) and not await _is_inner(asked.url.host):
        asked.response.close()
        raise AssayError(
            f"redirects to {to.origin()}, an address of this machine or its network; if these images are meant, name "
            "them by that address"
        )


async def _is_inner(host: str) -> bool:
    """Say whether an address of the host is loopback, link-local, private or otherwise none of the world's."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None)
    except OSError:
        return False  # the request says so itself
    return any(not _of_the_world(str(address[0])) for *_, address in found)


def _of_the_world(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    inside = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None)
    return (inside or ip).is_global and not ip.is_multicast


def _unreachable(url: str, error: Exception) -> AssayError:
    said = " ".join(str(error).split()) or type(error).__name__
    return AssayError(f"{url}: cannot be reached: {said}")


def _refuse(error: OSError) -> None:
    raise AssayError(f"{error.filename}: {error.strerror}")


def _without_waiting(place: str, flags: int) -> int:
    """Open a named pipe too without waiting for its writer."""
    return os.open(place, flags | os.O_NONBLOCK)
